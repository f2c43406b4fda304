"""The database of a ledger: what every kind has in common, and the file of SQLite (see postgres.py)."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import pyarrow as pa
import stamina
from adbc_driver_sqlite import dbapi as adbc
from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError

from bulk_onboard.errors import Interrupted, LedgerError, UsageError

P = ParamSpec("P")
T = TypeVar("T")
Opened = Callable[[], AbstractContextManager[T]]

# `Retry` says what has to be said; without a handler, Python would print stamina's warnings too.
logging.getLogger("stamina").addHandler(logging.NullHandler())


class Transient(LedgerError):  # noqa: N818  (a fact)
    """The database cannot be reached, or is busy: trying again may help."""


@dataclass(slots=True)
class Retry:
    """How long an operation is tried again, in seconds. Not for several threads at once.

    ``tell`` is called with a line for people every ten seconds; ``over``: returns the error to raise because
    nothing is worth waiting for any more, None while something is.
    """

    tell: Callable[[str], None] = lambda _message: None
    over: Callable[[], type[LedgerError | Interrupted] | None] = lambda: None
    timeout: float = 60.0
    _told_at: float = float("-inf")

    def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns. Raises LedgerError if it keeps failing, Interrupted."""
        try:
            for attempt in stamina.retry_context(
                on=self._is_worth_it, attempts=None, timeout=self.timeout, wait_max=1.0, wait_jitter=0.1
            ):
                with attempt:
                    return work()
        except Transient as error:
            if over := self.over():
                raise over(f"stopped waiting for the ledger: {error}; run the same command again") from None
            raise LedgerError(f"{error}; gave up after {self.timeout:g} s") from None
        raise AssertionError  # the last attempt returns or raises

    def _is_worth_it(self, error: Exception) -> bool:
        if not isinstance(error, Transient) or self.over():
            return False
        if time.monotonic() - self._told_at >= 10:
            self._told_at = time.monotonic()
            self.tell(f"{error}; waiting")
        return True


class Retrying(Protocol):
    """An object that has a `Retry`."""

    @property
    def retry(self) -> Retry:
        """The rule by which its operations are repeated."""
        ...


R = TypeVar("R", bound=Retrying)


def retried(work: Callable[Concatenate[R, P], T]) -> Callable[Concatenate[R, P], T]:
    """Decorator: retry an idempotent operation on a ledger while its database cannot be reached.

    The answer to a commit may be lost after the commit, so the operation may be done twice.
    """

    @wraps(work)
    def again(ledger: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return ledger.retry.run(partial(work, ledger, *args, **kwargs))

    return again


class Database:
    """Connections to a database. Their contexts raise LedgerError, `Transient` if trying again may help.

    ``shown``: its address without secrets; ``insert``: makes an INSERT that can handle conflicts.
    """

    def __init__(
        self, shown: str, engine: Engine, insert: Callable[[Table], Any], errors: tuple[type[Exception], ...]
    ) -> None:
        """``errors``: what the drivers raise."""
        self.shown, self.engine, self.insert = shown, engine, insert
        usual = (SQLAlchemyError, OSError, ValueError, OverflowError)
        self._errors: tuple[type[Exception], ...] = (*usual, *errors)

    def opening(self) -> AbstractContextManager[Connection]:
        """Return the first connection."""
        return self.translated("opened", self.engine.connect)

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a connection to read from."""
        return self.translated("read", self.engine.connect)

    def writing(self) -> AbstractContextManager[Connection]:
        """Return a transaction, which is committed at the end of the block."""
        return self.translated("written", self.engine.begin)

    def locking(self) -> AbstractContextManager[Connection]:
        """Return a transaction to the end of which a row that it read ``with_for_update`` stays as it is."""
        return self.translated("written", self._locking)

    def creating(self) -> AbstractContextManager[Connection]:
        """Return a transaction to create tables in: all or none of them, and one program at a time."""
        return self.translated("created", self._creating)

    def arrow(self, query: str) -> AbstractContextManager[pa.RecordBatchReader]:
        """Return the result of a query, read through ADBC: several times as fast as rows of Python."""
        return self.translated("read", partial(self._arrow, query))

    def missing(self) -> LedgerError | None:
        """Return why the database cannot be used any more, None while it can."""
        return None

    @contextmanager
    def translated(self, done: str, opened: Opened[T]) -> Iterator[T]:
        """Raise errors of the driver as LedgerError: the ledger cannot be ``done``."""
        try:
            with opened() as db:
                yield db
        except self._errors as error:
            # Not the error itself: its text may repeat the parameters.
            kind = Transient if self.is_transient(error) else LedgerError
            raise kind(f"the ledger {self.shown} cannot be {done}: {self.cause(error)}") from None

    def cause(self, error: BaseException) -> str:
        """Return the reason in a line that contains no parameter."""
        raise NotImplementedError

    def is_transient(self, error: BaseException) -> bool:
        """Return whether trying again may help."""
        raise NotImplementedError

    def _locking(self) -> AbstractContextManager[Connection]:
        raise NotImplementedError

    def _creating(self) -> AbstractContextManager[Connection]:
        raise NotImplementedError

    def _arrow(self, query: str) -> AbstractContextManager[pa.RecordBatchReader]:
        raise NotImplementedError


# Rows of a result of SQLite that are converted to Arrow at a time.
_BATCH_ROWS = 16_384


class Sqlite(Database):
    """A file. Others may read while one process writes; a second writer waits for some seconds."""

    def __init__(self, path: Path) -> None:
        """Create the file if there is none. Raises UsageError for a folder, LedgerError."""
        if path.is_dir():
            raise UsageError(f"the ledger {path} is a folder; name a file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite gives its additional files the mode of the database.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise LedgerError(f"the ledger {path} cannot be opened: {error}") from None
        self._path, self._identity, self._is_read_by_adbc = path, _identity(path), False
        # ADBC has a SQLite of its own, and POSIX locks belong to the process: if one of the two closed the
        # file while the other used it, its locks would be gone (sqlite.org/howtocorrupt.html, section 2.2).
        self._lock = threading.RLock()
        engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
        super().__init__(str(path), engine, sqlite.insert, (sqlite3.Error, adbc.Error))
        event.listen(self.engine, "do_connect", self._before_connecting)
        event.listen(self.engine, "connect", _set_pragmas)

    def missing(self) -> LedgerError | None:
        """Return why the file cannot be used any more: SQLite goes on with one that was deleted."""
        if _identity(self._path) == self._identity:
            return None
        return LedgerError(
            f"the ledger {self._path} was deleted or replaced during the run: nothing more is sent. Run the"
            " same command again, but not with --if-exists overwrite: that would send again what is stored"
        )

    def _before_connecting(self, *_arguments: object) -> None:
        """Raise LedgerError rather than create an empty file in the place of a deleted one."""
        if missing := self.missing():
            raise missing
        if self._is_read_by_adbc:
            raise RuntimeError("the ledger is in use by this thread")

    @contextmanager
    def translated(self, done: str, opened: Opened[T]) -> Iterator[T]:
        """As for other databases, one thread at a time."""
        with self._lock, super().translated(done, opened) as db:
            yield db

    @contextmanager
    def _locking(self) -> Iterator[Connection]:
        with self.engine.begin() as db:
            db.exec_driver_sql("BEGIN IMMEDIATE")  # no other process writes until it ends
            yield db

    _creating = _locking

    @contextmanager
    def _arrow(self, query: str) -> Iterator[pa.RecordBatchReader]:
        if self.engine.pool.checkedout():  # type: ignore[attr-defined]
            raise RuntimeError("the ledger is in use by this thread")
        self.engine.dispose()
        self._is_read_by_adbc = True
        try:
            with adbc.connect(f"{self._path.absolute().as_uri()}?mode=ro") as db, db.cursor() as cursor:
                # Small batches would take as long to convert as to read.
                cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(_BATCH_ROWS)})
                cursor.execute(query)
                yield cursor.fetch_record_batch()
        finally:
            self._is_read_by_adbc = False

    def cause(self, error: BaseException) -> str:
        """Return what SQLite or the system says went wrong."""
        origin = getattr(error, "orig", None) or error
        return str(origin) if isinstance(origin, OSError | sqlite3.Error) else type(origin).__name__

    def is_transient(self, error: BaseException) -> bool:
        """Return whether another process only held the file for a moment."""
        code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
        return code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file; None if there is none."""
    with suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None


def _set_pragmas(connection: Any, _record: object) -> None:
    # FULL: a commit is on the disk when it returns. NORMAL could lose an intent to a power cut, and an
    # intent that is lost is a POST that might be repeated.
    for pragma in ("busy_timeout=5000", "journal_mode=WAL", "synchronous=FULL", "cache_size=-4096"):
        connection.execute(f"PRAGMA {pragma}")
