"""One run at a time on one ledger. The lock is not ours but the system's or the database's."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import assert_never

from filelock import FileLock, Timeout

from bulk_onboard.errors import LedgerBusy, LedgerError
from bulk_onboard.ledger.database import postgres
from bulk_onboard.ledger.hold import Hold
from bulk_onboard.ledger.lasting import Patience
from bulk_onboard.ledger.ledger import Ledger
from bulk_onboard.settings import LedgerPlace, PostgresUrl


def me() -> str:
    """This process, for people: ``process 4711 on host``."""
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextmanager
def hold(place: LedgerPlace, patience: Patience | None = None) -> Iterator[Hold]:
    """Hold the ledger for this process. Raises LedgerBusy at once if another one holds it, LedgerError."""
    match place:
        case Path():
            with _held(place):
                yield Hold()
        case PostgresUrl():
            from bulk_onboard.ledger.server_lock import held  # noqa: PLC0415  (an extra, loaded when used)

            with held(postgres(place), me(), patience or Patience()) as lock:
                yield lock
        case never:
            assert_never(never)


@contextmanager
def _held(ledger: Path) -> Iterator[None]:
    try:
        _make_folder(ledger.parent)
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


def _make_folder(folder: Path) -> None:
    """With those above it that are missing, for nobody but the user: reports will lie beside the ledger."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
