"""The adaptive rate after single answers; `test_pace` has whole runs against servers with a limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.pace.adaptive import BELOW, BEYOND, HOLD, SLOWEST, Adaptive


def sending(rate: float, seconds: float, adaptive: Adaptive, start: float = 0.0, refuse: int = 0) -> float:
    """Send evenly and have everything accepted but the last ``refuse`` requests; the time of the last one."""
    turns = [start + (number + 1) / rate for number in range(round(rate * seconds))]
    for number, turn in enumerate(turns):
        adaptive.sent(turn, waited=True)
        if number < len(turns) - refuse:
            adaptive.passed(turn)
        else:
            adaptive.refused(turn, 0.0)
    return turns[-1]


def limited(rate: float = 100.0) -> Adaptive:
    """After 94 of a second's 100 requests were accepted."""
    adaptive = Adaptive(rate)
    sending(rate, 3, adaptive, refuse=6)
    return adaptive


def test_refusals_in_a_row_bring_the_rate_just_below_what_was_accepted() -> None:
    assert limited().rate == pytest.approx(94 * BELOW)


def test_a_single_refusal_changes_nothing() -> None:
    adaptive = Adaptive(100.0)
    sending(100, 3, adaptive, refuse=1)
    assert adaptive.rate == 100


def test_the_rate_is_held_and_then_passes_the_limit_slowly_and_ever_faster() -> None:
    adaptive = limited()
    end = sending(91, HOLD - 0.5, adaptive, start=3.0)
    assert adaptive.rate == pytest.approx(94 * BELOW)
    end = sending(94, 2.0, adaptive, start=end)
    assert 94 < adaptive.rate <= 94 * BEYOND
    sending(100, 2.0, adaptive, start=end)
    assert adaptive.rate == 100


def test_requests_under_way_when_the_rate_was_lowered_do_not_lower_it_again() -> None:
    adaptive = Adaptive(100.0)
    last = sending(100, 3, adaptive, refuse=6)
    rate = adaptive.rate
    for turn in (last - 0.02, last - 0.01, last):
        assert adaptive.refused(turn, 1.0)
    assert adaptive.rate == rate


def test_the_first_single_refusals_pause_all_requests_and_later_ones_their_rows_only() -> None:
    adaptive, pauses = Adaptive(100.0), []
    for number in range(5):
        last = sending(100, 0.1, adaptive, start=number * 0.1)
        pauses.append(adaptive.refused(last, 1.0))
    assert pauses == [True, True, False, False, False]
    assert adaptive.rate == 100


def test_without_a_ceiling_an_idle_process_does_not_take_a_refusal_for_a_limit() -> None:
    adaptive = Adaptive(0.0)
    for number in range(10):
        adaptive.sent(float(number), waited=False)
        adaptive.refused(float(number), 0.0)
    assert adaptive.rate == 0


@given(
    st.floats(0.5, 2000) | st.just(0.0),
    st.lists(st.tuples(st.floats(0.001, 3), st.booleans(), st.sampled_from([0.0, 1.0, 60.0])), max_size=300),
)
def test_the_rate_is_never_above_the_ceiling_and_never_nothing(
    highest: float, answers: list[tuple[float, bool, float]]
) -> None:
    adaptive, now = Adaptive(highest), 0.0
    for gap, accepted, pause in answers:
        now += gap
        adaptive.sent(now, waited=True)
        if accepted:
            adaptive.passed(now)
        elif adaptive.refused(now, pause) and pause:
            adaptive.paused()
        assert adaptive.rate <= highest or not highest
        assert adaptive.rate >= min(SLOWEST, highest)
