"""The ledger in a schema of a PostgreSQL database: whatever is not the same in every database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import sha256
from typing import Any

import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi as adbc
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import PGconn, Ping
from sqlalchemy import Connection, Table, create_engine
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import DBAPIError

from bulk_onboard.errors import LedgerError, UsageError
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.statements import of_rows
from bulk_onboard.settings import PostgresUrl

BATCH = 10_000
# A server that is gone is noticed within some 15 seconds, on a network that swallows packets too.
_IN_TIME = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "fallback_application_name": "bulk-onboard",
}
# Ours is as safe as `on` at least, whatever the server's default: an intent that is lost is a POST that might
# be repeated. The server, too, is to notice soon that we are gone.
_SESSION = """
    SELECT set_config('search_path', %s, false), set_config('client_encoding', 'UTF8', false),
        set_config('synchronous_commit', CASE current_setting('synchronous_commit')
            WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),
        set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
        set_config('tcp_keepalives_count', '3', false)
"""
_MAY_NOT = "42501"
schema.entry_deleting.dialect_kwargs["postgresql_where"] = schema.entry.c.deleting != ""


class Postgres:
    """A schema on a server. Readers and writers do not wait for each other."""

    errors = (psycopg.Error, adbc.Error)
    lock = nullcontext()

    def __init__(self, place: PostgresUrl) -> None:
        """Connect to nothing yet. Raises UsageError for a URL that libpq cannot read."""
        self.shown, self.schema = str(place), place.schema
        self._conninfo = _conninfo(place)
        self._was_reached = False
        self.engine = create_engine("postgresql+psycopg://", creator=self.connect, paramstyle="format")

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection[Any]:
        """A connection that is set up for the ledger. Raises psycopg.OperationalError."""
        connection = psycopg.connect(self._conninfo, autocommit=True)
        try:
            connection.execute(_SESSION, (f'"{self.schema}"',))
            connection.autocommit = autocommit
        except BaseException:
            connection.close()
            raise
        self._was_reached = True
        return connection

    @contextmanager
    def making(self) -> Iterator[Connection]:
        """A transaction to make tables in: all of them or none, and one program at a time."""
        with self.engine.begin() as db:
            db.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (self.key("making"),))
            try:
                found = db.exec_driver_sql("SELECT to_regnamespace(%s)", (f'"{self.schema}"',))
                if found.scalar_one() is None:
                    db.exec_driver_sql(f'CREATE SCHEMA "{self.schema}"')
                yield db
            except DBAPIError as error:
                raise self._forbidden(error) or error from None

    def _forbidden(self, error: DBAPIError) -> LedgerError | None:
        """What to do where tables may not be made."""
        if getattr(error.orig, "sqlstate", None) != _MAY_NOT:
            return None
        return LedgerError(
            f"the ledger {self.shown} cannot be created: {self.cause(error)}; its owner can run CREATE SCHEMA"
            f" {self.schema} AUTHORIZATION your_role"
        )

    def guarded(self) -> AbstractContextManager[Connection]:
        """A transaction in which what was read with a lock holds to its end."""
        return self.engine.begin()

    def key(self, purpose: str) -> int:
        """Of an advisory lock: within a database, each schema and purpose has its own."""
        digest = sha256(f"bulk-onboard {purpose} {self.schema}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    @contextmanager
    def arrow(self, query: str) -> Iterator[pa.RecordBatchReader]:
        """Run a query through ADBC, which is several times as fast as Python's tuples."""
        with adbc.connect(self._conninfo) as db, db.cursor() as cursor:
            cursor.execute(f'SET search_path TO "{self.schema}"')
            cursor.execute(query)
            yield cursor.fetch_record_batch()

    def insert(self, table: Table) -> Insert:
        """An INSERT that can say what to do when the line is there already."""
        return insert(table)

    def entries(
        self, db: Connection, run_no: int, first_row: int, last_row: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        """A run's entries for these rows as plain tuples, in row order."""
        return _batches(db, of_rows("%s"), (run_no, first_row, last_row))

    def missing(self) -> LedgerError | None:
        """A server is asked for its ledger in every transaction: nothing else has to be watched."""
        return None

    def is_lost(self, error: Exception) -> bool:
        """Whether the server was out of reach, and may be back soon."""
        if isinstance(error, DBAPIError):
            return error.connection_invalidated or (error.statement is None and self.may_come(error.orig))
        return isinstance(error, psycopg.OperationalError | adbc.OperationalError)

    def may_come(self, error: BaseException | None) -> bool:
        """Of an error without a statement: whether waiting makes sense."""
        if not isinstance(error, psycopg.OperationalError):
            return False
        # A server that answers, but not to us, will not change its mind.
        return self._was_reached or PGconn.ping(self._conninfo.encode()) in {Ping.NO_RESPONSE, Ping.REJECT}

    def cause(self, error: Exception) -> str:
        """Why, in a line that repeats no value."""
        found = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(found, psycopg.Error) and found.diag.message_primary:
            return found.diag.message_primary
        lines = str(found).strip().splitlines() if isinstance(found, psycopg.OperationalError) else []
        if not lines:
            return type(found).__name__
        return lines[-1 if lines[0].startswith("Multiple") else 0].strip("- ")


def _conninfo(place: PostgresUrl) -> str:
    try:
        told = conninfo_to_dict(place.url.reveal())
        return make_conninfo("", **{**_IN_TIME, **told})
    except psycopg.Error:  # its text may repeat what was taken for a host but is a password
        raise UsageError(
            f"the ledger {place} is not an address that PostgreSQL's own tools could read; special characters"
            " of a password are written as %40 for @, %2F for /, and so on"
        ) from None


def _batches(db: Connection, sql: str, values: tuple[Any, ...]) -> Iterator[list[tuple[Any, ...]]]:
    """From a cursor on the server: a million lines are not held here at once."""
    try:
        with db.connection.driver_connection.cursor("lines") as found:  # type: ignore[union-attr]
            found.execute(sql, values)
            while batch := found.fetchmany(BATCH):
                yield batch
    except psycopg.OperationalError:
        db.invalidate()
        raise
