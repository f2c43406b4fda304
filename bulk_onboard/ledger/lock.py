"""One run at a time on one ledger. The lock is the operating system's: it ends with its owner."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bulk_onboard.errors import LedgerBusy, LedgerError
from bulk_onboard.ledger.ledger import Ledger


def me() -> str:
    """This process, for people: ``process 4711 on host``."""
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextmanager
def hold(ledger: Path) -> Iterator[None]:
    """Hold the ledger for this process. Raises LedgerBusy at once if a living process holds it."""
    try:
        ledger.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{ledger}.lock", timeout=0, mode=0o600)
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
