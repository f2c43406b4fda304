"""A ledger in a schema of a PostgreSQL database, and the lock that a session on the server holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from hashlib import sha256
from typing import Any

import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi as adbc
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import PGconn, Ping
from sqlalchemy import Connection, create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from bulk_onboard.errors import LedgerBusy, LedgerError, UsageError
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.database import Database
from bulk_onboard.settings import PostgresUrl

# A server that is gone is noticed within some 15 seconds, on a network that swallows packets too.
_TIMEOUTS = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "fallback_application_name": "bulk-onboard",
}
# At least as safe as `on`, whatever the server's default is: an intent that is lost is a POST that might be
# repeated. The server, too, is to notice soon that this process is gone.
_SESSION = """
    SELECT set_config('search_path', %s, false), set_config('client_encoding', 'UTF8', false),
        set_config('synchronous_commit', CASE current_setting('synchronous_commit')
            WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),
        set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
        set_config('tcp_keepalives_count', '3', false)
"""
# The session that holds an advisory lock, and since when.
_HOLDER = """
    SELECT application_name, to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = %s AND objid = %s
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_PERMISSION_DENIED = "42501"
schema.entry_deleting.dialect_kwargs["postgresql_where"] = schema.entry.c.deleting != ""


class Postgres(Database):
    """A schema on a server. Readers and writers do not wait for each other."""

    def __init__(self, place: PostgresUrl) -> None:
        """Connect to nothing yet. Raises UsageError for a URL that libpq cannot read."""
        self.schema, self._conninfo, self._was_reached = place.schema, _conninfo(place), False
        # Positional parameters: the statements of every row are executed with plain tuples.
        engine = create_engine("postgresql+psycopg://", creator=self.connect, paramstyle="format")
        super().__init__(str(place), engine, postgresql.insert, (psycopg.Error, adbc.Error))

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection[Any]:
        """Return a connection that is set up for the ledger. Raises psycopg.OperationalError."""
        connection = psycopg.connect(self._conninfo, autocommit=True)
        try:
            connection.execute(_SESSION, (f'"{self.schema}"',))
            connection.autocommit = autocommit
        except BaseException:
            connection.close()
            raise
        self._was_reached = True
        return connection

    def key(self, purpose: str) -> int:
        """Return the number of an advisory lock: each schema and purpose has its own."""
        digest = sha256(f"bulk-onboard {purpose} {self.schema}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def is_transient(self, error: BaseException) -> bool:
        """Return whether the server was reached before and may be reached again."""
        if isinstance(error, DBAPIError):
            if error.connection_invalidated:
                return True
            error = error.orig if error.orig and error.statement is None else error
        if not isinstance(error, psycopg.OperationalError | adbc.OperationalError):
            return False
        # A server that refuses the first connection will not change its mind.
        return self._was_reached or PGconn.ping(self._conninfo.encode()) in {Ping.NO_RESPONSE, Ping.REJECT}

    def cause(self, error: BaseException) -> str:
        """Return the first line of what the server says went wrong."""
        origin = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(origin, psycopg.Error) and origin.diag.message_primary:
            return origin.diag.message_primary
        lines = str(origin).strip().splitlines() if isinstance(origin, psycopg.OperationalError) else []
        if not lines:
            return type(origin).__name__
        return lines[-1 if lines[0].startswith("Multiple") else 0].strip("- ")

    def _locking(self) -> AbstractContextManager[Connection]:
        return self.engine.begin()

    @contextmanager
    def _creating(self) -> Iterator[Connection]:
        with self.engine.begin() as db:
            db.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (self.key("making"),))
            try:
                if db.exec_driver_sql("SELECT to_regnamespace(%s)", (f'"{self.schema}"',)).scalar() is None:
                    db.exec_driver_sql(f'CREATE SCHEMA "{self.schema}"')
                yield db
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != _PERMISSION_DENIED:
                    raise
                raise LedgerError(
                    f"the ledger {self.shown} cannot be created: {self.cause(error)}; its owner can run"
                    f" CREATE SCHEMA {self.schema} AUTHORIZATION your_role"
                ) from None

    @contextmanager
    def _arrow(self, query: str) -> Iterator[pa.RecordBatchReader]:
        with adbc.connect(self._conninfo) as db, db.cursor() as cursor:
            cursor.execute(f'SET search_path TO "{self.schema}"')
            cursor.execute(query)
            yield cursor.fetch_record_batch()

    # --- the lock ---------------------------------------------------------------------------------------

    def acquire(self, process: str) -> psycopg.Connection[Any]:
        """Return the session that holds the ledger for this process; the lock ends with the session.

        Raises LedgerBusy if another process holds it, LedgerError.
        """
        with self.translated("locked", ExitStack[None]) as stack:
            session = stack.enter_context(closing(self.connect(autocommit=True)))
            name = process.encode()[:63].decode(errors="ignore")
            session.execute("SELECT set_config('application_name', %s, false)", (name,))
            key = self.key("run")
            if session.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone() == (True,):
                stack.pop_all()
                return session
            halves = (key >> 32) & 0xFFFFFFFF, key & 0xFFFFFFFF
            holder = session.execute(_HOLDER, halves).fetchone() or ("another process",)
        raise LedgerBusy(
            f"the ledger {self.shown} is held by {' since '.join(holder)}: wait until that run has ended"
        )


def _conninfo(place: PostgresUrl) -> str:
    try:
        return make_conninfo("", **{**_TIMEOUTS, **conninfo_to_dict(place.url.reveal())})
    except psycopg.Error:  # its text may repeat what was taken for a host but is a password
        raise UsageError(
            f"the ledger {place} is not an address that PostgreSQL's own tools could read; special characters"
            " of a password are written as %40 for @, %2F for /, and so on"
        ) from None
