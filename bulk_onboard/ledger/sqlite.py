"""The ledger in a file of SQLite: whatever is not the same in every database."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
from adbc_driver_sqlite import dbapi as adbc
from sqlalchemy import Connection, Table, create_engine, event
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine.interfaces import DBAPIConnection

from bulk_onboard.errors import LedgerError, UsageError
from bulk_onboard.ledger.statements import of_rows

BATCH = 10_000


class Sqlite:
    """A file. Others may read while one writes; who wants to write meanwhile waits some seconds."""

    errors = (sqlite3.Error, adbc.Error)

    def __init__(self, path: Path) -> None:
        """Make the file if there is none. Raises UsageError for a folder, OSError."""
        _create_private(path)
        # ADBC has a SQLite of its own, and POSIX locks belong to the process: if one of the two closed the
        # file while the other used it, its locks would be gone (sqlite.org/howtocorrupt.html, section 2.2).
        self.lock = threading.RLock()
        self._is_read_by_adbc = False
        self._path, self._identity = path, _identity(path)
        self.engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
        event.listen(self.engine, "do_connect", self._before_connecting)
        event.listen(self.engine, "connect", _prepare)

    def missing(self) -> LedgerError | None:
        """Return why the file cannot be used any more, None while it is the one that was opened.

        SQLite goes on with a deleted file, but no later run would know of what is written there.
        """
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
    def making(self) -> Iterator[Connection]:
        """A transaction to make tables in: all of them or none, and one program at a time."""
        with self.engine.begin() as db:
            db.exec_driver_sql("BEGIN IMMEDIATE")
            yield db

    @contextmanager
    def guarded(self) -> Iterator[Connection]:
        """A transaction that nobody writes beside, so that what it reads at first holds to its end."""
        with self.engine.begin() as db:
            db.exec_driver_sql("BEGIN IMMEDIATE")
            yield db

    @contextmanager
    def arrow(self, query: str) -> Iterator[pa.RecordBatchReader]:
        """Run a query through ADBC: twice as fast as Python's tuples. All other connections are closed."""
        with self.lock:
            if self.engine.pool.checkedout():  # type: ignore[attr-defined]
                raise RuntimeError("the ledger is in use by this thread")
            self.engine.dispose()
            self._is_read_by_adbc = True
            try:
                with adbc.connect(f"{self._path.absolute().as_uri()}?mode=ro") as db, db.cursor() as cursor:
                    cursor.execute(query)
                    yield cursor.fetch_record_batch()
            finally:
                self._is_read_by_adbc = False

    def insert(self, table: Table) -> Insert:
        """An INSERT that can say what to do when the line is there already."""
        return insert(table)

    def entries(
        self, db: Connection, run_no: int, first_row: int, last_row: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        """A run's entries for these rows as plain tuples, in row order."""
        return _batches(db, of_rows("?"), (run_no, first_row, last_row))

    def is_lost(self, _error: Exception) -> bool:
        """A file is there or is not: waiting does not help."""
        return False

    def cause(self, error: Exception) -> str:
        """Why, in a line that repeats no value."""
        told = getattr(error, "orig", None) or error
        return str(told) if isinstance(told, OSError | sqlite3.Error | adbc.Error) else type(told).__name__


def _batches(db: Connection, sql: str, values: tuple[Any, ...]) -> Iterator[list[tuple[Any, ...]]]:
    """Straight from the driver: SQLAlchemy's own rows would take as long again."""
    found = db.connection.cursor()
    found.execute(sql, values)
    while batch := found.fetchmany(BATCH):
        yield list(batch)


def _create_private(path: Path) -> None:
    """SQLite gives its journal files the mode of the database, so the mode has to be right from the start."""
    if path.is_dir():
        raise UsageError(f"the ledger {path} is a folder; name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file; None if there is none."""
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _prepare(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: a commit is on the disk when it returns. NORMAL could lose an intent to a power cut, and an
    # intent that is lost is a POST that might be repeated.
    cursor.execute("PRAGMA synchronous=FULL")
    # Once filled it is held to the end; four times as much wrote 600,000 rows no faster.
    cursor.execute("PRAGMA cache_size=-4096")
    cursor.close()
