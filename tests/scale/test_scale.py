"""reports/scale.md says what the code computes, and the simulation gives what was kept of it."""

from __future__ import annotations

import pytest

from bulk_onboard.census import PAGE, SAMPLE_IF_NONE
from tests.scale import paper
from tests.scale.constants import MEASURED, value
from tests.scale.scenes import QUICK, SCENES, kept
from tests.scale.simulation import Scene, simulate


def test_the_page_is_what_the_constants_and_the_simulation_make() -> None:
    assert paper.PATH.read_text() == paper.page(kept()), "run `python -m tests.scale`"


@pytest.mark.parametrize("scene", QUICK, ids=str)
def test_what_is_simulated_again_is_what_was_kept(scene: Scene) -> None:
    assert simulate(scene) == kept()[scene], "run `python -m tests.scale --simulate`"


def test_in_all_that_was_simulated_the_ceiling_is_kept_and_nothing_lost_or_sent_twice() -> None:
    found = kept()
    assert set(found) == {scene for scenes in SCENES.values() for scene in scenes}
    for scene, seen in found.items():
        assert seen.fullest <= scene.rate
        assert (seen.twice, seen.lost) == (0, 0)
        assert seen.reached >= (0.97 if scene.ahead and not scene.limit and not scene.deaths else 0.8)


def test_who_dies_in_the_simulation_leaves_rows_behind_that_others_ask_about() -> None:
    assert all(seen.asked > 0 for scene, seen in kept().items() if scene.deaths)


def test_every_constant_was_measured_and_agrees_with_what_the_code_says_of_itself() -> None:
    assert all(each.value > 0 for each in MEASURED.values())
    # A POST, and for its health the credentials and their latest event.
    after = value("requests per row: post and events")
    assert (value("requests per row: post"), after) == (1, 3)
    assert value("requests per row: ask, post and events") == after + 1
    # Nobody on the list was connected.
    pages = value("requests per row: pages, post and events, of 1,000")
    assert pages == pytest.approx(after + 1 / PAGE + SAMPLE_IF_NONE / 1000)
