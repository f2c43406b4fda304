"""How fast to go after a refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.pace.adaptive import BEYOND, SLOWEST, TRY_AGAIN, Immune, Probe, Refusal, learn


def refusal(
    rate: float = 100, taken: int = 80, answered: int = 100, refused: int = 1, **more: float
) -> Refusal:
    return Refusal(rate, True, taken, 60.0, 1, answered, refused, **more)  # type: ignore[arg-type]


KNOWN = Probe(limit=80, start=77.6, again=TRY_AGAIN, before=100)


def test_the_first_refusal_brings_the_rate_just_below_what_was_taken() -> None:
    found = learn(None, refusal(rate=100, taken=80))
    assert found == KNOWN


def test_without_a_whole_second_before_it_a_single_refusal_is_no_evidence() -> None:
    early = refusal()._replace(age=0.5)
    assert learn(None, early) is None
    assert isinstance(learn(None, early._replace(in_a_row=6)), Probe)


def test_a_refusal_below_the_known_limit_changes_nothing_as_long_as_they_are_few() -> None:
    assert learn(KNOWN, refusal(rate=79, answered=19, refused=19)) is KNOWN
    assert learn(KNOWN, refusal(rate=79, answered=100, refused=4)) is KNOWN


def test_many_refusals_below_the_known_limit_lower_it() -> None:
    found = learn(KNOWN, refusal(rate=79, taken=40, answered=100, refused=50))
    assert isinstance(found, Probe)
    assert (found.limit, found.share, found.before) == (40, 0.5, 100)


def test_refusals_that_going_slower_does_not_lessen_bring_the_old_rate_back() -> None:
    slowed = Probe(limit=60, start=58, again=TRY_AGAIN, before=100, share=0.3)
    assert learn(slowed, refusal(rate=59, answered=20, refused=5)) == Immune(0.25)


def test_refusals_that_going_slower_lessens_do_not() -> None:
    slowed = Probe(limit=60, start=58, again=TRY_AGAIN, before=100, share=0.3)
    assert isinstance(learn(slowed, refusal(rate=59, taken=50, answered=100, refused=10)), Probe)


def test_a_leaf_that_takes_next_to_nothing_is_not_pressed() -> None:
    slowed = Probe(limit=60, start=58, again=TRY_AGAIN, before=100, share=0.9)
    found = learn(slowed, refusal(rate=59, taken=0, answered=20, refused=20))
    assert isinstance(found, Probe)
    assert found.start == SLOWEST


def test_a_share_that_grows_ends_the_immunity() -> None:
    assert learn(Immune(0.2), refusal(answered=100, refused=30)) == Immune(0.2)
    assert isinstance(learn(Immune(0.2), refusal(answered=100, refused=70)), Probe)


def test_at_the_known_limit_one_refusal_is_enough() -> None:
    found = learn(KNOWN, refusal(rate=82, taken=81, answered=900, refused=1))
    assert isinstance(found, Probe)
    assert (found.limit, found.before) == (81, 82)


def test_a_dear_refusal_is_not_risked_again_soon() -> None:
    found = learn(None, refusal(pause=5.0)._replace(in_a_row=6))
    assert isinstance(found, Probe)
    assert found.again == 100


DEAR = Probe(limit=100, start=97, again=20, before=500, dear=True)


def test_where_a_refusal_costs_a_pause_the_rate_stays_until_the_limit_is_tried_again() -> None:
    assert learn(None, refusal(rate=500, taken=100, pause=1.0)._replace(in_a_row=6)) == DEAR
    assert {DEAR.rate(at) for at in (0, 10, 19.9)} == {97}
    assert DEAR.rate(20) == 100


def test_a_limit_that_proves_to_be_the_same_is_tried_less_and_less_often() -> None:
    known = DEAR
    for again in (40, 80, 80):
        # A few more were taken in the second before than are allowed: they came late.
        found = learn(known, refusal(rate=103, taken=102, pause=1.0))
        assert found == replace(known, again=again, before=103)
        assert isinstance(found, Probe)
        known = found


def test_no_distance_brings_the_rate_to_nothing() -> None:
    known = Probe(limit=SLOWEST, start=SLOWEST, again=20, before=9, dear=True)
    for rate in (SLOWEST, SLOWEST / 2):
        found = learn(known, refusal(rate=rate, taken=1, pause=1.0))
        assert isinstance(found, Probe)
        assert found.start == SLOWEST


def test_another_limit_is_tried_again_soon() -> None:
    known = replace(DEAR, again=80)
    for rate, taken in ((150, 140), (101, 60)):
        found = learn(known, refusal(rate=rate, taken=taken, pause=1.0)._replace(in_a_row=6))
        assert found == replace(DEAR, limit=taken, start=pytest.approx(taken * 0.97), before=rate)


def test_who_is_refused_before_that_keeps_more_of_a_distance_and_comes_closer_again() -> None:
    known = learn(DEAR, refusal(rate=97, taken=96, pause=1.0))
    assert known == replace(DEAR, start=pytest.approx(97 * 0.97))
    assert isinstance(known, Probe)
    closer = learn(known, refusal(rate=101, taken=99, pause=1.0))
    assert isinstance(closer, Probe)
    assert closer.start / closer.limit == pytest.approx(known.start / known.limit * 1.01)


def test_nobody_keeps_too_much_of_a_distance_for_single_refusals() -> None:
    known = DEAR
    for _ in range(20):
        found = learn(known, refusal(rate=known.start, taken=int(known.start * 0.9), pause=1.0))
        assert isinstance(found, Probe)
        assert found.limit == known.limit
        known = found
    assert 85 <= known.start < 90


def test_a_single_refusal_that_costs_a_pause_makes_no_limit() -> None:
    assert learn(None, refusal(rate=100, taken=80, pause=1.0)) is None


def test_a_limit_that_has_fallen_by_much_is_seen_at_once() -> None:
    found = learn(DEAR, refusal(rate=97, taken=30, pause=1.0))
    assert isinstance(found, Probe)
    assert (found.limit, found.before) == (30, 500)


def test_the_rate_passes_the_known_limit_slowly_and_then_ever_faster() -> None:
    assert KNOWN.rate(0) == KNOWN.start
    assert KNOWN.rate(KNOWN.again) == pytest.approx(80)
    assert KNOWN.rate(KNOWN.again + 2) == pytest.approx(80 * BEYOND)
    assert KNOWN.rate(KNOWN.again + 12) > 10 * 80
    assert Probe(2, 2, 5, 9).rate(7) == pytest.approx(3)


refusals = st.builds(
    Refusal,
    rate=st.floats(0.5, 5000) | st.just(0.0),
    busy=st.booleans(),
    taken=st.integers(0, 500),
    age=st.floats(0, 100),
    in_a_row=st.integers(1, 9),
    answered=st.integers(1, 500),
    refused=st.integers(1, 500),
    pause=st.floats(0, 600),
)


@given(st.none() | st.builds(Immune, st.floats(0, 1)) | st.sampled_from([KNOWN, DEAR]), refusals)
def test_a_refusal_never_raises_the_rate_of_a_probe(known: Probe | Immune | None, told: Refusal) -> None:
    found = learn(known, told)
    if isinstance(found, Probe) and found is not known:
        assert SLOWEST <= found.start <= max(SLOWEST, told.rate or told.taken)


@given(st.floats(SLOWEST, 1000), st.lists(st.floats(0, 200), min_size=2, max_size=20))
def test_the_rate_never_falls_while_nothing_is_refused(limit: float, times: list[float]) -> None:
    probe = Probe(limit, limit * 0.97, TRY_AGAIN, 2000)
    rates = [probe.rate(at) for at in sorted(times)]
    assert rates == sorted(rates)


def test_who_had_little_to_send_slows_down_a_little_only() -> None:
    found = learn(None, refusal(rate=100, taken=2)._replace(busy=False))
    assert isinstance(found, Probe)
    assert found.limit == 70
    assert learn(None, refusal(rate=0, taken=2)._replace(busy=False)) is None
