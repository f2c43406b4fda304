"""The databases that a ledger can be in. What differs between them stands in their modules alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, assert_never

import pyarrow as pa
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bulk_onboard.errors import LedgerError, UsageError
from bulk_onboard.ledger.lasting import Lost
from bulk_onboard.ledger.sqlite import Sqlite
from bulk_onboard.settings import LedgerPlace, PostgresUrl

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    from bulk_onboard.ledger.postgres import Postgres

    Insert = sqlite.Insert | postgresql.Insert
    Dialect = Sqlite | Postgres


T = TypeVar("T")


class Database:
    """A place's connections. What goes wrong with them is told as LedgerError, and as Lost if it may pass."""

    def __init__(self, place: LedgerPlace) -> None:
        """Raises UsageError, LedgerError."""
        self.shown = str(place)
        try:
            self.dialect = _dialect(place)
        except OSError as error:
            raise LedgerError(f"the ledger {place} cannot be opened: {error}") from None
        self.engine = self.dialect.engine

    def opening(self) -> AbstractContextManager[Connection]:
        """The first connection."""
        return self._translated("opened", self.engine.connect)

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read from."""
        return self._translated("read", self.engine.connect)

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction, committed at the end of the block."""
        return self._translated("written", self.engine.begin)

    def guarded(self) -> AbstractContextManager[Connection]:
        """One in which what was read with a lock holds to its end."""
        return self._translated("written", self.dialect.guarded)

    def making(self) -> AbstractContextManager[Connection]:
        """One to make tables in: all of them or none, and one program at a time."""
        return self._translated("made", self.dialect.making)

    def arrow(self, query: str) -> AbstractContextManager[pa.RecordBatchReader]:
        """Return the result of a query as Arrow batches."""
        return self._translated("read", partial(self.dialect.arrow, query))

    @contextmanager
    def _translated(self, done: str, opened: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
        try:
            with self.dialect.lock, opened() as db:
                yield db
        except (SQLAlchemyError, OSError, ValueError, OverflowError, *self.dialect.errors) as error:
            # Not the error itself: its text may repeat the parameters.
            words = f"the ledger {self.shown} cannot be {done}: {self.dialect.cause(error)}"
            if self.dialect.is_lost(error):
                raise Lost(words, self.shown) from None
            raise LedgerError(words) from None


def _dialect(place: LedgerPlace) -> Dialect:
    match place:
        case Path():
            return Sqlite(place)
        case PostgresUrl():
            return postgres(place)
        case never:
            assert_never(never)


def postgres(place: PostgresUrl) -> Postgres:
    """Raises UsageError where the driver is not installed, or cannot read the URL."""
    try:
        import psycopg  # noqa: F401, PLC0415  (an extra, loaded when used)
    except ImportError:
        raise UsageError(
            "a ledger on PostgreSQL needs an extra: pip install 'bulk-onboard[postgres]'"
        ) from None
    from bulk_onboard.ledger.postgres import Postgres  # noqa: PLC0415

    return Postgres(place)
