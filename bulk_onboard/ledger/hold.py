"""That a process holds a ledger, and how sure of it one can be."""

from __future__ import annotations

import time
from collections.abc import Callable

from bulk_onboard.errors import LedgerBusy, LedgerError

BEAT = 1.0  # seconds between two looks at a lock
# Seconds since the last look that found the lock ours: after more than these nothing is sent.
SURE = 3.0


def clock() -> float:
    """Seconds, counted also while the machine sleeps, where it can."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Hold:
    """A lock. That of a file cannot expire: it has no ``clock``.

    ``epoch``: that of the run which it is for, once there is one. ``missing``: returns why what was locked is
    not there any more; None while it is.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._confirmed = self.now()
        self.epoch: str | None = None
        self.missing: Callable[[], LedgerError | None] = lambda: None
        self._lost: LedgerBusy | LedgerError | None = None

    @property
    def lost(self) -> LedgerBusy | LedgerError | None:
        """Why the ledger is not ours any more and will not be; None while it is."""
        if self._lost is None:
            self._lost = self.missing()
        return self._lost

    def now(self) -> float:
        """By the clock of `confirm`."""
        return self._clock() if self._clock else 0.0

    def age(self) -> float:
        """Seconds since it was known to be ours."""
        return self.now() - self._confirmed

    def is_sure(self) -> bool:
        """Whether it has been ours just now. Raises what it was lost for, LedgerBusy or LedgerError."""
        if (lost := self.lost) is not None:
            raise type(lost)(str(lost))
        return self.age() <= SURE

    def confirm(self, at: float) -> None:
        """It was ours at this time."""
        self._confirmed = at

    def lose(self, why: LedgerBusy | LedgerError) -> None:
        """It is not ours any more."""
        self._lost = why
