"""Turns of requests: their urgency and condition, and the interface of the pace that grants them."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol


class Urgency(IntEnum):
    """The urgency of requests: requests that complete a row go before all others."""

    BEGIN = 0
    CONTINUE = 1
    COMPLETE = 2


# Called when a request's turn has come, before it is sent: whether it is still valid.
StillValid = Callable[[], bool]


def always() -> bool:
    """The condition of a request that is always valid."""
    return True


class Turns(Protocol):
    """The interface of the pace, which decides when the next request may be sent."""

    @property
    def rate(self) -> float:
        """Requests per second that may go out now, 0 for no ceiling."""

    async def turn(self, *, urgency: Urgency = ..., still_valid: StillValid = ...) -> float | None:
        """Wait for this request's turn; return a number that identifies it, None if it is not valid any more.

        The most urgent requests are first.
        """

    def hold(self, seconds: float) -> None:
        """Send no request for this many seconds."""

    def passed(self, turn: float) -> None:
        """Record that Leaf accepted the request of this turn."""

    def throttled(self, turn: float, after: float | None) -> None:
        """Record that Leaf throttled this turn's request; ``after``: seconds to wait before the next."""
