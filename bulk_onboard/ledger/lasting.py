"""A connection to the ledger that is lost is waited for, and what was under way is done again.

So whatever is done has to come to the same when it is done twice: the answer to a commit may be lost after
the commit. An intent is believed only after that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from bulk_onboard.errors import LedgerError

MOST = 60.0  # seconds
_PAUSES = (0.1, 0.2, 0.5, 1.0)  # seconds, the last one from then on

P = ParamSpec("P")
T = TypeVar("T")


class Lost(LedgerError):  # noqa: N818  (a fact)
    """The database cannot be reached; it may be back soon. ``shown`` says which one."""

    def __init__(self, message: str, shown: str) -> None:
        super().__init__(message)
        self.shown = shown


class Patience:
    """Waits up to ``most`` seconds for a database that is lost. ``tell`` is called while it waits."""

    def __init__(
        self,
        tell: Callable[[str], None] = lambda _words: None,
        *,
        most: float = MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tell, self._most, self._clock = tell, most, clock
        self._over = threading.Event()

    def end(self) -> None:
        """Wait no longer, now and later: the run is to end at once."""
        self._over.set()

    def through(self, work: Callable[[], T]) -> T:
        """What the work returns. Raises LedgerError if the database stays away."""
        began: float | None = None
        times = 0
        while True:
            try:
                return work()
            except Lost as lost:
                began = self._clock() if began is None else began
                waited = self._clock() - began
                if waited >= self._most or self._over.is_set():
                    raise LedgerError(f"{lost}; it was waited for {waited:.0f} s") from None
                self.tell(f"the ledger {lost.shown} cannot be reached: waiting")
                self._over.wait(_PAUSES[min(times, len(_PAUSES) - 1)])
                times += 1


class Patient(Protocol):
    """What can be waited for."""

    @property
    def patience(self) -> Patience: ...


L = TypeVar("L", bound=Patient)


def lasting(work: Callable[Concatenate[L, P], T]) -> Callable[Concatenate[L, P], T]:
    """For what is done on a ledger and comes to the same when it is done again."""

    @wraps(work)
    def again(ledger: L, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return ledger.patience.through(partial(work, ledger, *args, **kwargs))

    return again
