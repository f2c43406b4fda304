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
        _make_folder(ledger.parent)
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


def _make_folder(folder: Path) -> None:
    """With those above it that are missing, for nobody but the user: reports will lie beside the ledger."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
