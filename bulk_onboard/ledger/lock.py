"""One run at a time on one ledger: a lock of the operating system on a file, or of a session on a server.

Both end with the process. A session can be lost while the process goes on, so it is asked once a second:
without a recent answer nothing is sent, and when the session is gone the run stops.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from bulk_onboard.errors import LedgerBusy, LedgerError
from bulk_onboard.ledger.create import open_database
from bulk_onboard.ledger.database import Retry
from bulk_onboard.ledger.ledger import Ledger
from bulk_onboard.settings import LedgerPlace

if TYPE_CHECKING:
    from bulk_onboard.ledger.postgres import Postgres

BEAT = 1.0  # seconds between two questions to the session
# Seconds since the last question that was answered: after more than these nothing is sent.
SURE = 3.0
# Seconds for which what was seen of the ledger's file counts: to look again for each row is expensive.
SEEN = 0.02


def clock() -> float:
    """Return seconds, counted also while the machine sleeps where the system can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def process_name() -> str:
    """Return this process for people: ``process 4711 on host``."""
    return f"process {os.getpid()} on {socket.gethostname()}"


class Lock:
    """The right to work on a ledger, or on a part of a run.

    ``missing``: returns why the ledger cannot be used any more, None while it can.
    """

    def __init__(self, confirmed: float | None = None) -> None:
        """``confirmed``: when it was taken, by `clock`; None for one that does not expire."""
        self.missing: Callable[[], LedgerError | None] = lambda: None
        self._lost: LedgerBusy | LedgerError | None = None
        self._confirmed, self._seen_at = confirmed, float("-inf")

    @property
    def lost(self) -> LedgerBusy | LedgerError | None:
        """The reason why the lock is lost, None while it is held."""
        if self._lost is None and (now := clock()) - self._seen_at > SEEN:
            self._lost, self._seen_at = self.missing(), now
        return self._lost

    def lose(self, reason: LedgerBusy | LedgerError) -> None:
        """Record that it is not ours any more."""
        self._lost = reason

    def confirm(self, at: float) -> None:
        """Record that it was ours at this time, by `clock`."""
        self._confirmed = at

    def age(self) -> float:
        """Return the seconds since it was known to be ours; 0 for one that does not expire."""
        return 0.0 if self._confirmed is None else clock() - self._confirmed

    def is_sure(self) -> bool:
        """Return whether it was ours a moment ago. Raises LedgerBusy or LedgerError if it is lost."""
        if (lost := self.lost) is not None:
            raise type(lost)(str(lost))
        return self.age() <= SURE

    def beat(self, ask: Callable[[], object], over: threading.Event) -> None:
        """Confirm it again and again until ``over``; it is lost as soon as ``ask`` raises."""
        while not self.lost:
            asked = clock()
            try:
                ask()
            except Exception as error:
                self.lose(
                    LedgerError(
                        f"the lock of the ledger is lost ({type(error).__name__}): nothing more is sent; run"
                        " the same command again"
                    )
                )
                return
            self.confirm(asked)
            if over.wait(BEAT):
                return


@contextmanager
def hold(place: LedgerPlace, retry: Retry | None = None) -> Iterator[Lock]:
    """Hold the ledger for this process. Raises LedgerBusy at once if another one holds it, LedgerError."""
    if isinstance(place, Path):
        with _locked_file(place):
            yield Lock()
        return
    database: Postgres = open_database(place)  # type: ignore[assignment]
    session = (retry or Retry()).run(lambda: database.acquire(process_name()))
    lock, over = Lock(clock()), threading.Event()
    ask = (lambda: session.execute("SELECT 1"), over)
    thread = threading.Thread(target=lock.beat, args=ask, name="ledger-lock", daemon=True)
    thread.start()
    try:
        yield lock
    finally:
        over.set()
        thread.join(2 * BEAT)
        session.close()


@contextmanager
def _locked_file(ledger: Path) -> Iterator[None]:
    try:
        _create_folder(ledger.parent)
        # Of the file itself: two names of one ledger have one lock.
        lock = FileLock(f"{ledger.resolve()}.lock", timeout=0, mode=0o600, thread_local=False)
        lock.acquire()
    except Timeout:
        with Ledger(ledger) as other:
            holder = other.holder()
        raise LedgerBusy(f"the ledger {ledger} is held by {holder}: wait until that run has ended") from None
    except OSError as error:
        raise LedgerError(f"the ledger {ledger} cannot be locked: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def _create_folder(folder: Path) -> None:
    """Create it, and missing folders above it, for the user alone: reports will lie beside the ledger."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700, exist_ok=True)
