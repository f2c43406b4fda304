"""The pool: so many in hand and not more, what is begun is ended, and a stop is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.engine.worker_pool import BATCH, work_through
from bulk_onboard.errors import ExitCode, LedgerError, LoginRefused
from tests.support.properties import scaled
from tests.support.virtual_time import warp


@dataclass
class Works:
    """Work that takes ``first`` seconds until it is under way and ``rest`` after; what was seen of it."""

    first: float = 0.1
    rest: float = 1.0
    error: dict[int, Exception] = field(default_factory=dict)
    begun: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    waiting: int = 0
    under_way: int = 0
    most_waiting: int = 0
    most_in_hand: int = 0
    read: int = 0

    def items(self, count: int) -> Iterator[int]:
        for number in range(count):
            self.read += 1
            yield number

    async def __call__(self, item: int, under_way: Callable[[], None]) -> None:
        self.begun.append(item)
        self.waiting += 1
        self._note()
        await asyncio.sleep(self.first)
        self.waiting -= 1
        self.under_way += 1
        under_way()
        under_way()  # a row has several requests
        self._note()
        try:
            await asyncio.sleep(self.rest)
        finally:
            self.under_way -= 1
        if item in self.error:
            raise self.error[item]
        self.done.append(item)

    def _note(self) -> None:
        self.most_waiting = max(self.most_waiting, self.waiting)
        self.most_in_hand = max(self.most_in_hand, self.waiting + self.under_way)

    def run(
        self,
        count: int,
        starts: int = 4,
        in_hand: int = 100,
        stop_at: float | None = None,
        how: str = "drain",
    ) -> StopSignal:
        async def main() -> StopSignal:
            stop = StopSignal()
            if stop_at is not None:
                act = stop.abort if how == "abort" else lambda: stop.drain("enough")
                asyncio.get_running_loop().call_later(stop_at, act)
            await work_through(self.items(count), self, stop, starts=starts, in_hand=in_hand)
            return stop

        return warp(main())


def test_every_item_is_worked_on_once_and_in_order() -> None:
    works = Works()
    works.run(1300)
    assert works.begun == list(range(1300))
    assert sorted(works.done) == works.begun


@pytest.mark.parametrize(("starts", "in_hand", "in_hand_seen"), [(3, 1000, 33), (3, 10, 10), (50, 7, 7)])
def test_the_limit_in_flight_is_kept(starts: int, in_hand: int, in_hand_seen: int) -> None:
    works = Works()
    works.run(300, starts, in_hand)
    assert works.most_waiting == min(starts, in_hand)
    assert works.most_in_hand == in_hand_seen


def test_no_items_is_fine() -> None:
    works = Works()
    assert not works.run(0).draining
    assert works.begun == []


def test_reading_is_ahead_by_a_few_batches() -> None:
    works = Works(rest=10.0)
    works.run(100_000, stop_at=1.0, how="abort", in_hand=5)
    assert len(works.begun) == 5
    assert works.read <= 3 * BATCH


def test_a_drain_finishes_begun_items_only() -> None:
    works = Works()
    works.run(100_000, stop_at=1.05)
    assert sorted(works.done) == works.begun
    # Four at a time, a tenth of a second each; those that had their start when the drain came are done.
    assert 40 <= len(works.begun) <= 44
    assert works.read <= 3 * BATCH


def test_an_abort_cancels_what_is_under_way() -> None:
    works = Works(rest=1000.0)
    works.run(100, stop_at=1.0, how="abort")
    assert (works.done, works.under_way) == ([], 0)


def test_an_error_drains_the_run_with_its_exit_code() -> None:
    works = Works(error={3: LoginRefused("Leaf refused"), 5: LedgerError("later")})
    stop = works.run(1000)
    assert (stop.reason, stop.exit_code) == ("Leaf refused", ExitCode.LOGIN)
    assert sorted({*works.done, 3, 5}) == works.begun
    assert len(works.begun) < 100


def test_a_bug_is_raised_unchanged() -> None:
    works = Works(error={3: ZeroDivisionError("bug")})
    with pytest.raises(ZeroDivisionError):
        works.run(1000)
    assert works.under_way == 0


def test_a_bug_in_the_reader_is_raised_unchanged() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    async def main() -> None:
        await work_through(items(), Works(), StopSignal(), starts=1, in_hand=1)

    with pytest.raises(ZeroDivisionError):
        warp(main())


@settings(max_examples=scaled(40))
@given(st.integers(0, 700), st.integers(1, 9), st.integers(1, 9), st.none() | st.floats(0, 20))
def test_begun_items_always_end(count: int, starts: int, in_hand: int, stop_at: float | None) -> None:
    works = Works()
    works.run(count, starts, in_hand, stop_at=stop_at)
    assert sorted(works.done) == works.begun == list(range(len(works.begun)))
    assert works.most_in_hand <= in_hand
    assert len(works.begun) == count or stop_at is not None


def test_a_suspended_run_resumes() -> None:
    works = Works()

    async def work() -> None:
        stop = StopSignal()
        working = asyncio.create_task(work_through(works.items(20), works, stop, starts=2, in_hand=4))
        await asyncio.sleep(2)
        stop.suspend()
        await asyncio.sleep(5)
        before = len(works.begun)
        assert sorted(works.done) == sorted(works.begun)
        await asyncio.sleep(60)
        assert len(works.begun) == before < 20
        stop.resume()
        await working

    warp(work())
    assert len(works.done) == 20


def test_a_suspended_run_hears_a_stop() -> None:
    works = Works()

    async def work() -> None:
        stop = StopSignal()
        working = asyncio.create_task(work_through(works.items(20), works, stop, starts=2, in_hand=4))
        await asyncio.sleep(2)
        stop.suspend()
        await asyncio.sleep(5)
        stop.drain("stop")
        await working

    warp(work())
    assert sorted(works.done) == sorted(works.begun) != []
