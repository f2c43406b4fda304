"""While Leaf is unavailable nearly nothing is sent, and then all goes on; in a time that passes by itself."""

from __future__ import annotations

import asyncio

import pytest

from bulk_onboard.domain.model import Absent, Ambiguous, Refused, Throttled, Transient
from bulk_onboard.errors import LeafUnavailable
from bulk_onboard.leaf.availability import Availability, is_failure
from tests.support.virtual_time import warp


def requests(lasts: float, rows: int = 300, asked: float | None = None) -> tuple[list[float], list[str], int]:
    """So many rows ask a Leaf that is out of order for so long: the times of all requests, the messages, and
    how many rows were given up.
    """

    async def main() -> tuple[list[float], list[str], int]:
        clock, messages, times = asyncio.get_running_loop().time, list[str](), list[float]()
        availability, began = Availability(messages.append), clock()

        async def row(number: int) -> None:
            await asyncio.sleep(number / 300)
            while True:
                tries = await availability.wait()
                try:
                    times.append(clock() - began)
                    await asyncio.sleep(0.05)
                    out = clock() - began < lasts
                    lost = Ambiguous("server-error", after=asked)
                    availability.heard(f"g-{number}", lost if out else Absent())
                finally:
                    if tries:
                        availability.end_try()
                if not out:
                    return
                await asyncio.sleep(0.2)

        ends = await asyncio.gather(*map(row, range(rows)), return_exceptions=True)
        given_up = [end for end in ends if end is not None]
        assert all(isinstance(end, LeafUnavailable) for end in given_up)
        return times, messages, len(given_up)

    return warp(main())


@pytest.mark.parametrize("lasts", [2.0, 20.0, 55.0])
def test_an_outage_is_waited_out_with_few_requests(lasts: float) -> None:
    times, messages, given_up = requests(lasts)
    assert given_up == 0
    assert len([at for at in times if at < lasts]) <= 60
    assert max(times) <= lasts + 5.5
    gone, back = messages
    assert gone.startswith("Leaf is unavailable (server-error)")
    assert back == "Leaf is available again"


def test_a_long_outage_ends_all_waiters() -> None:
    times, messages, given_up = requests(1e9)
    assert given_up == 300
    assert 55 <= max(times) <= 60.1
    assert len(times) <= 60
    assert len(messages) == 1


@pytest.mark.parametrize(("asked", "lasts"), [(120.0, 180), (1e6, 660)])
def test_a_retry_after_extends_the_wait(asked: float, lasts: int) -> None:
    times, _, given_up = requests(1e9, asked=asked)
    assert given_up == 300
    assert lasts - 5 <= max(times) <= lasts + 0.1


@pytest.mark.parametrize(
    ("growers", "is_out"),
    [("abc" * 4, True), ("a" * 40, False), ("ab" * 20, False), ("abcdefghi", False), ("aaaaaaaabc", True)],
)
def test_ten_failures_in_a_row_of_three_growers_are_an_outage(growers: str, is_out: bool) -> None:
    async def main() -> bool:
        availability = Availability(lambda _message: None)
        for grower in growers:
            availability.heard(grower, Ambiguous("server-error"))
        return availability.is_out

    assert warp(main()) is is_out


@pytest.mark.parametrize(
    ("verdict", "failure"),
    [
        (Transient("connection-refused"), True),
        (Ambiguous("server-error", "HTTP 503"), True),
        (Ambiguous("no-answer"), True),
        (Ambiguous("unreadable-reply"), False),
        (Throttled(1.0), False),
        (Refused("leaf:no"), False),
        (Absent(), False),
    ],
)
def test_which_replies_are_an_outage(verdict: object, failure: bool) -> None:
    assert is_failure(verdict) is failure


def test_a_cancelled_probe_is_repeated_by_the_next_request() -> None:
    async def main() -> bool:
        availability = Availability(lambda _message: None)
        for number in range(12):
            availability.heard(f"g-{number}", Ambiguous("server-error"))
        waiting = asyncio.create_task(availability.wait())
        await asyncio.sleep(0.1)
        waiting.cancel()
        return await availability.wait()

    assert warp(main())
