"""A sliding second has room for so many, and then for one more when the first is a second old."""

from __future__ import annotations

import pytest

from bulk_onboard.window import Window


@pytest.mark.parametrize(("rate", "most"), [(3.0, 3), (2.5, 3), (0.5, 1)])
def test_a_second_has_room_for_so_many_and_then_for_one_more_when_the_first_is_a_second_old(
    rate: float, most: int
) -> None:
    found = Window(rate)
    for _ in range(most):
        assert found.opens() <= 100.0
        found.take(100.0)
    assert found.opens() == 100.0 + max(1.0, 1 / rate)


def test_without_a_rate_there_is_always_room() -> None:
    found = Window(0)
    for now in range(5):
        found.take(now)
        assert found.opens() <= now


def test_what_went_out_counts_at_another_rate_too() -> None:
    found = Window(4)
    assert found.last is None
    for now in (1.0, 1.1, 1.2):
        found.take(now)
    assert (found.at(2).opens(), found.at(2).last) == (2.1, 1.2)
    assert found.at(5).opens() <= 1.2


def test_a_request_that_was_put_off_counts_from_when_it_went_out() -> None:
    found = Window(2)
    found.take(1.0)
    found.take(1.1)
    found.put_off(1.0, 1.4)
    assert (found.opens(), found.last) == (2.1, 1.4)
    found.take(2.1)
    assert found.opens() == 2.4


def test_even_one_that_was_forgotten_meanwhile_counts() -> None:
    found = Window(2)
    for now in (1.0, 2.0, 2.5):
        found.take(now)
    found.put_off(1.0, 2.7)
    assert (found.opens(), found.last) == (3.5, 2.7)
