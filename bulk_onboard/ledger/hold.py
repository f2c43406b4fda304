"""That a process holds a ledger, and how sure of it one can be."""

from __future__ import annotations

from collections.abc import Callable

from bulk_onboard.errors import LedgerBusy, LedgerError

BEAT = 1.0  # seconds between two looks at a lock


class Hold:
    """A lock. That of a file cannot be lost: it has no ``clock``."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._confirmed = self.clock()
        self.lost: LedgerBusy | LedgerError | None = None

    def clock(self) -> float:
        """Seconds, by the clock of `confirm`."""
        return self._clock() if self._clock else 0.0

    def age(self) -> float:
        """Seconds since it was known to be ours."""
        return self.clock() - self._confirmed

    def confirm(self, at: float) -> None:
        """It was ours at this time."""
        self._confirmed = at

    def lose(self, why: LedgerBusy | LedgerError) -> None:
        """It is not ours any more and will not be."""
        self.lost = why
