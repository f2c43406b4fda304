"""Items made by another thread: the same ones in the same order, and never many at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bulk_onboard.threads import ahead


def test_items_come_in_their_order_from_another_thread() -> None:
    makers = set()

    def made() -> Iterator[int]:
        for number in range(100):
            makers.add(threading.current_thread())
            yield number

    assert list(ahead(made())) == list(range(100))
    assert threading.current_thread() not in makers
    assert len(makers) == 1
    assert list(ahead(iter([]))) == []


def test_no_more_than_one_item_waits() -> None:
    made = []

    def making() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    for number in ahead(making()):
        assert len(made) <= number + 2


def test_an_error_is_raised_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("planted")

    found = ahead(failing())
    assert next(found) == 1
    with pytest.raises(ValueError, match="planted"):
        next(found)


def test_stopping_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    found = ahead(iter(range(10)))
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
