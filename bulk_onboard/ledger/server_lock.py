"""One run at a time on a ledger that several machines share: a lock of the database's own.

It ends with the connection that took it, so it cannot outlive its owner; but its owner can outlive it. The
connection is therefore looked at all the time. Whoever cannot be sure of the lock sends nothing (see
`Hold.age`), and whoever takes over gives the other time to notice.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg

from bulk_onboard.errors import LedgerBusy, LedgerError
from bulk_onboard.ledger.fence import taken_over
from bulk_onboard.ledger.hold import BEAT, Hold, clock
from bulk_onboard.ledger.lasting import MOST, Lost, Patience
from bulk_onboard.ledger.postgres import Postgres

_Session = psycopg.Connection[Any]
# Who has the lock, by the name of its connection.
_HOLDER = """
    SELECT pid, application_name, to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = %s AND objid = %s
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_EPOCH = "SELECT value FROM meta WHERE key = 'epoch'"


@contextmanager
def held(postgres: Postgres, me: str, patience: Patience) -> Iterator[Hold]:
    """Hold the ledger for this process. Raises LedgerBusy if another one holds it, LedgerError."""
    lock = _Lock(postgres, me)
    patience.through(lock.take)
    hold, over = Hold(clock), threading.Event()
    watch = threading.Thread(target=lock.watch, args=(hold, over), name="ledger-lock", daemon=True)
    watch.start()
    try:
        yield hold
    finally:
        over.set()
        watch.join(2 * BEAT)
        lock.give_back()


class _Lock:
    """The connection that has the lock. Not for several threads at once."""

    def __init__(self, postgres: Postgres, me: str) -> None:
        self._postgres, self._key = postgres, postgres.key("run")
        # The server shows this to whoever comes second, and it tells our own connection from all others.
        self._name = f"{me} {secrets.token_hex(3)}".encode()[-63:].decode(errors="replace")
        self._session: _Session | None = None

    def take(self) -> None:
        """Raises LedgerBusy if somebody else has it, Lost if the server cannot be reached."""
        try:
            session = self._postgres.connect(autocommit=True)
        except psycopg.Error as error:
            raise self._translated(error) from None
        try:
            self._lock(session)
        except psycopg.Error as error:
            session.close()
            raise self._translated(error) from None
        except (LedgerError, LedgerBusy):
            session.close()
            raise
        self._session = session

    def _lock(self, session: _Session) -> None:
        session.execute("SELECT set_config('application_name', %s, false)", (self._name,))
        if session.execute("SELECT pg_try_advisory_lock(%s)", (self._key,)).fetchone() == (True,):
            return
        pid, name, since = self._holder(session)
        if name == self._name:  # our own connection of before, which the server takes for alive
            session.execute("SELECT pg_terminate_backend(%s)", (pid,))
            raise Lost("the lock's earlier connection is still open", self._postgres.shown)
        told = f"{name.rpartition(' ')[0]} since {since}" if since else name.rpartition(" ")[0]
        raise LedgerBusy(
            f"the ledger {self._postgres.shown} is held by {told or 'another process'}: wait until that run"
            " has ended"
        )

    def _holder(self, session: _Session) -> tuple[int, str, str]:
        halves = (self._key >> 32) & 0xFFFFFFFF, self._key & 0xFFFFFFFF
        return session.execute(_HOLDER, halves).fetchone() or (0, "", "")

    def watch(self, hold: Hold, over: threading.Event) -> None:
        """Look at the connection until all is ``over``; make it anew as long as nobody else has the lock."""
        while not over.wait(BEAT):
            asked = hold.now()
            try:
                if self._is_alive() or self._taken_again(hold.epoch):
                    hold.confirm(asked)
                elif hold.age() > MOST:
                    hold.lose(LedgerError(f"the ledger {self._postgres.shown} was unreachable for too long"))
                    return
            except (LedgerBusy, LedgerError) as error:
                hold.lose(error)
                return

    def _is_alive(self) -> bool:
        with suppress(psycopg.Error):
            return self._session is not None and self._session.execute("SELECT 1").fetchone() == (1,)
        return False

    def _taken_again(self, epoch: str | None) -> bool:
        """Raises LedgerBusy if another run has the lock, or had it meanwhile."""
        self.give_back()
        with suppress(Lost, psycopg.Error):
            self.take()
            if epoch and self._session and self._session.execute(_EPOCH).fetchone() != (epoch,):
                raise taken_over(self._postgres.shown)
            return True
        return False

    def give_back(self) -> None:
        """Close the connection, and so unlock."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(psycopg.Error), closing(session):
                pass

    def _translated(self, error: psycopg.Error) -> LedgerError:
        shown, cause = self._postgres.shown, self._postgres.cause(error)
        if self._postgres.may_come(error):
            return Lost(f"the ledger {shown} cannot be reached: {cause}", shown)
        return LedgerError(f"the ledger {shown} cannot be locked: {cause}")
