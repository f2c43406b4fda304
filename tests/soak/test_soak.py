"""The soak, in small: the ordinary suite goes through one round, `pytest -m soak` through as many as fit."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from bulk_onboard.sandbox import Fault
from tests.soak.colleague import Act
from tests.soak.leaks import leaks, shown
from tests.soak.plan import MARK, Stop, When, plan
from tests.soak.rounds import Story, tell
from tests.soak.truth import Paused, about_colleague, about_deletes, about_posts

SOAKED = 10.0  # seconds after which no new round begins


def _told(story: Story) -> str:
    return "\n".join(
        [*story.wrong, f"again: python -m tests.soak --seed {story.seed} --rounds 1 --rows {story.rows}"]
    )


@pytest.mark.soak(10)
def test_killed_and_repeated_runs_store_each_grower_once(tmp_path: Path) -> None:
    drawn = plan(1, 40, stops=0)
    small = replace(
        drawn,
        stops=(Stop(When.POSTS, 8, 0.0, ("KILL",)),),
        latency=0.005,
        options=("--rate", "0", "--no-events"),
        shares={
            Fault.CUT_AFTER: 0.15,
            Fault.CUT_BEFORE: 0.1,
            Fault.E502_AFTER: 0.1,
            Fault.THROTTLE_BARE: 0.05,
        },
    )
    story = tell(small, tmp_path)
    assert not story.wrong, _told(story)
    assert (story.runs, story.lost, story.twice) == (2, 0, 0)


@pytest.mark.soak(18)
@pytest.mark.timeout(400)
def test_rounds_of_faults_and_kills(tmp_path: Path) -> None:
    ends, seed = time.monotonic() + SOAKED, 0
    while time.monotonic() < ends:
        story = tell(plan(seed, 100), tmp_path / str(seed))
        assert not story.wrong, _told(story)
        seed += 1


def test_the_same_seed_is_the_same_round() -> None:
    assert plan(7, 50) == plan(7, 50)
    assert plan(7, 50) != plan(8, 50)


@pytest.mark.parametrize(
    "dress",
    [
        MARK,
        quote(MARK, safe=""),
        json.dumps({"token": MARK}),
        MARK.encode().hex(),
        *(base64.b64encode(b"x" * n + MARK.encode() + b"tail").decode() for n in range(3)),
        base64.urlsafe_b64encode(b"some:" + MARK.encode()).decode(),
    ],
)
def test_secrets_are_found_in_every_encoding(dress: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file.txt").write_text(f"before {dress} after")
    assert leaks(tmp_path) == [str(tmp_path / "deep" / "file.txt")]


def test_harmless_texts_are_not_reported() -> None:
    assert not shown(b"a secret of another kind, s0ak and 4=")


def _post(index: int, *, stored: bool, fingerprint: str = "f") -> dict[str, object]:
    return {
        "index": index,
        "method": "POST",
        "provider": "raven",
        "leafUserId": "a",
        "fingerprint": fingerprint,
        "stored": stored,
    }


def test_a_second_post_is_reported() -> None:
    never = [_post(0, stored=False), _post(1, stored=False), _post(2, stored=True)]
    assert not list(about_posts(Paused(never, {"a": "1"}, {})))
    assert list(about_posts(Paused([*never, _post(3, stored=False)], {"a": "1"}, {})))


def test_a_post_for_a_connected_grower_is_reported() -> None:
    mine = Paused([_post(0, stored=False)], {"a": "1"}, {"a": "1"}, frozenset({"theirs"}))
    assert "touched" in next(about_posts(mine))


def _request(index: int, method: str, monotonic: float, *, stored: bool = False) -> dict[str, object]:
    seen = _post(index, stored=stored) | {"method": method, "monotonic": monotonic}
    return seen | {"path": "/users/a/raven-credentials", "status": 200, "fault": None}


_STORED, _DELETED = Act("a", "theirs", False, 1, 10.0), Act("a", None, False, 2, 12.0)
_LOOK = _request(0, "GET", 9.0)


@pytest.mark.parametrize(
    ("requests", "acts", "held", "is_wrong"),
    [
        pytest.param([_LOOK], [_STORED], "theirs", False, id="left alone"),
        pytest.param([_LOOK], [_STORED], None, True, id="gone"),
        pytest.param([_LOOK], [_STORED, _DELETED], None, False, id="deleted by the colleague"),
        pytest.param([_LOOK, _request(1, "POST", 10.1)], [_STORED], "theirs", False, id="could not know"),
        pytest.param(
            [_LOOK, _request(1, "POST", 10.1, stored=True)],
            [_STORED],
            "ours",
            False,
            id="overwritten by Leaf",
        ),
        pytest.param(
            [_LOOK, _request(1, "GET", 11.0), _request(2, "POST", 14.0)], [_STORED], "theirs", True, id="knew"
        ),
        pytest.param([_LOOK, _request(1, "POST", 99.0)], [_STORED], "theirs", True, id="an old look"),
    ],
)
def test_a_post_that_may_overwrite_credentials_of_others_is_reported(
    requests: list[dict[str, object]], acts: list[Act], held: str | None, is_wrong: bool
) -> None:
    calm = replace(plan(1, 5, stops=0), at_work=0.0, timeout=1.0)
    assert bool(list(about_colleague(calm, Paused(requests, {"a": held}, {}, acts=acts)))) is is_wrong


@pytest.mark.parametrize(
    ("replaces", "before", "is_wrong"),
    [(False, {"a": "1"}, True), (True, {}, True), (True, {"a": "1"}, False)],
)
def test_an_unexpected_delete_is_reported(
    replaces: bool, before: dict[str, str | None], is_wrong: bool
) -> None:
    held = Paused([_request(0, "DELETE", 1.0)], {}, before)
    assert bool(list(about_deletes(held, replaces=replaces))) is is_wrong
