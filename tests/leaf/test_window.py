"""What was held up on its way does not come in a crowd."""

from __future__ import annotations

import pytest

from bulk_onboard.leaf import window
from bulk_onboard.leaf.window import Window


@pytest.mark.parametrize(("rate", "most"), [(3.0, 3), (2.5, 3), (0.5, 1)])
def test_a_second_has_room_for_so_many_and_then_for_one_more_when_the_first_is_a_second_old(
    monkeypatch: pytest.MonkeyPatch, rate: float, most: int
) -> None:
    now = 100.0
    monkeypatch.setattr(window, "perf_counter", lambda: now)
    found = Window(rate)
    for _ in range(most):
        assert found.left() <= 0
        found.take()
    assert found.left() == max(1.0, 1 / rate)
    now += max(1.0, 1 / rate)
    assert found.left() <= 0


def test_without_a_rate_there_is_always_room() -> None:
    found = Window(0)
    for _ in range(5):
        found.take()
        assert found.left() <= 0
