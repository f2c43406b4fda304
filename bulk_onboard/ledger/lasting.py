"""A connection to the ledger that is lost is waited for, and what was under way is done again.

So whatever is done has to come to the same when it is done twice: the answer to a commit may be lost after
the commit. An intent is believed only after that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial, wraps
from itertools import chain, repeat
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from bulk_onboard.errors import Interrupted, LedgerError

MOST = 60.0  # seconds
QUIET = 10.0  # seconds between two lines about the same
_PAUSES = (0.1, 0.2, 0.5, 1.0)  # seconds, the last one from then on

P = ParamSpec("P")
T = TypeVar("T")


class Lost(LedgerError):  # noqa: N818  (a fact)
    """The database cannot be reached; it may be back soon. ``shown`` says which one."""

    def __init__(self, message: str, shown: str) -> None:
        super().__init__(message)
        self.shown = shown


class Patience:
    """Waits up to ``most`` seconds for a database that is lost, unless all is ``over``.

    ``tell`` is called with a line for people now and then while it waits.
    """

    def __init__(
        self,
        tell: Callable[[str], None] = lambda _words: None,
        *,
        over: Callable[[], bool] = lambda: False,
        most: float = MOST,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._tell, self._over, self._most = tell, over, most
        self._clock, self._sleep = clock, sleep
        self._told = float("-inf")

    def through(self, work: Callable[[], T]) -> T:
        """What the work returns. Raises LedgerError if the database stays away, Interrupted."""
        began: float | None = None
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            try:
                return work()
            except Lost as lost:
                now = self._clock()
                began = now if began is None else began
                if self._over():
                    raise Interrupted(f"interrupted while waiting for the ledger {lost.shown}") from None
                if now - began >= self._most:
                    raise LedgerError(f"{lost}; gave up after {now - began:.0f} s") from None
                self._say(lost, now)
            self._sleep(pause)
        raise AssertionError  # there is always another pause

    def _say(self, lost: Lost, now: float) -> None:
        if now - self._told >= QUIET:
            self._told = now
            self._tell(f"the ledger {lost.shown} cannot be reached: waiting")


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
