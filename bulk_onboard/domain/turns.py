"""How a request gets its turn: what it says about itself, and what is asked to grant it."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol


class Urgency(IntEnum):
    """Which requests get their turn first: what completes a row goes before all others."""

    BEGIN = 0
    CONTINUE = 1
    COMPLETE = 2


# Asked when a request's turn has come, before it is sent: whether what it relies on still holds.
StillValid = Callable[[], bool]


def always() -> bool:
    """The condition of a request that relies on nothing."""
    return True


class Turns(Protocol):
    """What says when the next request may go out."""

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
        """The request of this turn was not one too many."""

    def throttled(self, turn: float, after: float | None) -> None:
        """The request of this turn was one too many; ``after``: seconds until the next is welcome."""
