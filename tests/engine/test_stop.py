"""When a run stops for safety's sake, and what stopping means to who waits."""

from __future__ import annotations

import asyncio

import pytest

from bulk_onboard.domain.model import UNAVAILABLE, Status
from bulk_onboard.domain.run_events import RowFinished
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import ExitCode, LoginRefused
from bulk_onboard.policy.stop_rules import ALIKE, StopRules
from bulk_onboard.settings import RowLimit, Safety
from tests.support.virtual_time import in_virtual_time, warp

GOOD = RowFinished(2, Status.CREATED)
BAD = RowFinished(2, Status.REJECTED, "leaf:no")
DOWN = RowFinished(2, Status.FAILED, "connection-refused")


def stops_after(ends: list[RowFinished], safety: Safety | None = None, to_do: int = 1000) -> int | None:
    """After how many rows the watch says stop; None if it never does."""
    watch = StopRules(safety or Safety(), to_do)
    for number, end in enumerate(ends, 1):
        if watch.reason_to_stop(end):
            return number
    return None


@pytest.mark.parametrize(
    ("ends", "stops"),
    [
        ([BAD] * 100, 20),
        ([BAD] * 19, None),
        ([GOOD] * 100, None),
        ([RowFinished(2, Status.EXISTING, "already-connected")] * 100, None),
        ([GOOD] + [BAD] * 99, None),
        ([BAD] * 19 + [GOOD] + [BAD] * 99, None),
        ([BAD] * 10 + [RowFinished(2, Status.REJECTED, "leaf:other")] + [BAD] * 99, None),
        ([RowFinished(2, Status.UNRESOLVED, "x")] * 20, 20),
    ],
)
def test_the_first_twenty_rows_stop_the_run_if_all_fail_alike(
    ends: list[RowFinished], stops: int | None
) -> None:
    assert stops_after(ends) == stops


def test_the_reason_names_what_they_all_ended_with() -> None:
    watch = StopRules(Safety(), 1000)
    reasons = [watch.reason_to_stop(BAD) for _ in range(ALIKE)]
    assert reasons[-1] == "the first 20 rows all ended rejected for the same reason (leaf:no)"


@pytest.mark.parametrize("code", sorted({*UNAVAILABLE, "throttled-too-long"}))
def test_twenty_consecutive_outages_stop_the_run(code: str) -> None:
    down = RowFinished(2, Status.FAILED, code)
    assert stops_after([GOOD] * 50 + [down] * 30) == 70
    assert stops_after(([GOOD] + [down] * 19) * 5) is None


def test_refused_rows_are_not_an_outage() -> None:
    assert stops_after([GOOD] * 50 + [BAD] * 100) is None


def test_a_success_after_retries_is_not_an_outage() -> None:
    assert stops_after([RowFinished(2, Status.CREATED, "server-error")] * 100) is None


@pytest.mark.parametrize(
    ("limit", "to_do", "stops"),
    [
        (RowLimit(count=0), 100, 1),
        (RowLimit(count=3), 100, 4),
        (RowLimit(share=0.0), 100, 1),
        (RowLimit(share=0.05), 100, 6),
        (RowLimit(share=0.29), 100, 30),
        (RowLimit(share=1.0), 100, None),
    ],
)
def test_max_failures_is_exact(limit: RowLimit, to_do: int, stops: int | None) -> None:
    mixed = [RowFinished(2, Status.REJECTED, f"leaf:{number}") for number in range(to_do)]
    assert stops_after(mixed, Safety(max_failures=limit), to_do) == stops


@pytest.mark.parametrize("status", Status)
def test_failures_are_rows_that_need_attention(status: Status) -> None:
    stops = stops_after([RowFinished(2, status)], Safety(max_failures=RowLimit(count=0)))
    assert (stops == 1) is status.needs_attention


# --- the signal -------------------------------------------------------------------------------------


@in_virtual_time
async def test_the_first_reason_to_stop_counts() -> None:
    stop, told = StopSignal(), []
    stop.on_drain = told.append
    assert not stop.draining
    stop.drain("first", ExitCode.LOGIN)
    stop.drain("second")
    assert (stop.draining, stop.reason, stop.exit_code) == (True, "first", ExitCode.LOGIN)
    assert told == ["first"]


def test_a_drain_ends_all_after_its_grace() -> None:
    async def main() -> float:
        stop = StopSignal()
        stop.grace = 12.0
        clock = asyncio.get_running_loop().time
        began = clock()
        stop.drain("enough")
        await stop.aborted()
        return clock() - began

    assert warp(main()) == pytest.approx(12.0, abs=0.01)


def test_an_abort_ends_all_at_once() -> None:
    async def main() -> float:
        stop = StopSignal()
        clock = asyncio.get_running_loop().time
        began = clock()
        stop.abort()
        assert stop.draining
        await stop.aborted()
        return clock() - began

    assert warp(main()) == 0.0


@pytest.mark.parametrize(
    ("seconds", "drained_at", "goes_on", "lasts"),
    [
        (5, None, True, 5),
        (5, 2, True, 5),  # the grace of ten seconds leaves time for it
        (12, 2, True, 12),
        (13, 2, False, 2),
        (500, 2, False, 2),
        (5, 0, True, 5),
        (11, 0, False, 0),
        (0, None, True, 0),
    ],
)
def test_a_drain_ends_only_waits_longer_than_its_grace(
    seconds: float, drained_at: float | None, goes_on: bool, lasts: float
) -> None:
    async def main() -> tuple[bool, float]:
        stop = StopSignal()
        stop.grace = 10.0
        loop = asyncio.get_running_loop()
        began = loop.time()
        if drained_at == 0:
            stop.drain("enough")
        elif drained_at:
            loop.call_later(drained_at, stop.drain, "enough")
        return await stop.pause(seconds), loop.time() - began

    went_on, lasted = warp(main())
    assert went_on is goes_on
    assert lasted == pytest.approx(lasts, abs=0.01)


def test_a_drain_cuts_waiting_work_short() -> None:
    async def main() -> list[str]:
        stop, seen = StopSignal(), []

        async def wait(seconds: float) -> None:
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                seen.append("cancelled")
                raise
            seen.append("done")

        async def fail() -> None:
            raise LoginRefused("no")

        with pytest.raises(LoginRefused):
            await stop.cut_short(fail())
        await stop.cut_short(wait(1))
        asyncio.get_running_loop().call_later(5, stop.drain, "interrupted")
        began = asyncio.get_running_loop().time()
        await stop.cut_short(wait(600))
        assert asyncio.get_running_loop().time() - began == pytest.approx(5)
        return seen

    assert warp(main()) == ["done", "cancelled"]
