"""Processes that work on one run together: the database decides which of them may send.

The leader and its workers renew their leases with every beat. A lease of a worker never outlasts that of its
leader by more than `LEASE`, and a worker sends nothing when its own is about to end. Each part of the rows
comes with a share of the ceiling, and only one process has a lease of it at a time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import astuple
from typing import Any, NamedTuple

from sqlalchemy import Connection, Float, func, literal, select
from sqlalchemy.sql import ColumnElement

from bulk_onboard.domain.model import Requests
from bulk_onboard.errors import LedgerBusy
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.database import retried
from bulk_onboard.ledger.ledger import Ledger

# Seconds that a lease lasts after the beat that renewed it.
LEASE = 4.0


class Stop(NamedTuple):
    """Why the whole run goes no further. ``at_once``: without waiting for the rows in flight."""

    reason: str
    exit_code: int
    at_once: bool


class Beat(NamedTuple):
    """What the database says, in seconds by its own clock.

    ``paused_until``: no process sends before this time; ``lease_until``: the end of this process's lease.
    """

    now: float
    paused_until: float
    lease_until: float
    stop: Stop | None


class Claim(NamedTuple):
    """A part of the rows in the hands of one process, until another one claims it with a later ``epoch``."""

    part: int
    epoch: int
    requests: Requests


class Leases:
    """Those of one run. Every method is one transaction. Raises LedgerError, LedgerBusy.

    ``clock``: gives the time that all processes share, in seconds; that of the database if it is not given,
    of a file that of the machine. A ``pause``, in seconds, is one that Leaf has just asked this process for.
    """

    def __init__(self, ledger: Ledger, run_no: int, clock: Callable[[], float] | None = None) -> None:
        self._ledger, self._run_no, self._clock = ledger, run_no, clock
        self.retry = ledger.retry

    # --- the leader ---------------------------------------------------------------------------------

    @retried
    def open(self) -> None:
        """Let workers join the run."""
        with self._ledger.intending() as db:
            now = _now(db, self._clock)
            values = {"run_no": self._run_no, "paused_until": now, "lease_until": now}
            db.execute(self._ledger.insert(schema.leader).values(values).on_conflict_do_nothing())

    @retried
    def lead(self, pause: float, stop: Stop | None) -> Beat:
        """The leader's beat: renew its lease, and with it the right of the workers to renew theirs."""
        with self._ledger.intending() as db:
            until = _now(db, self._clock) + LEASE
            return self._beat(db, pause, lease_until=until, stop=json.dumps(stop) if stop else "")

    @retried
    def requests(self) -> Requests:
        """Return the requests that all workers have sent, as of their latest beats."""
        query = select(schema.claim.c.requests).filter_by(run_no=self._run_no)
        with self._ledger.reading() as db:
            return sum(map(_requests, db.execute(query).scalars()), Requests())

    @retried
    def left(self) -> float:
        """Seconds until no worker of this run has a lease any more, 0 if there is none."""
        with self._ledger.reading() as db:
            return _left(db, self._clock, schema.claim.c.run_no == self._run_no)

    @retried
    def close(self) -> None:
        """Let no worker send any more for this run."""
        with self._ledger.writing() as db:
            for table in (schema.claim, schema.leader):
                db.execute(table.delete().filter_by(run_no=self._run_no))

    # --- a worker -----------------------------------------------------------------------------------

    @retried
    def claim(self, part: int) -> Claim | None:
        """Take a part; None while the lease of another process lasts that has it."""
        claim = schema.claim
        with self._ledger.intending() as db:
            new = {"run_no": self._run_no, "part": part}
            db.execute(self._ledger.insert(claim).values(new).on_conflict_do_nothing())
            now = _now(db, self._clock)
            free = claim.update().filter_by(run_no=self._run_no, part=part).filter(claim.c.lease_until <= now)
            taken = free.values(epoch=claim.c.epoch + 1, lease_until=self._lease_until(db))
            row = db.execute(taken.returning(claim.c.epoch, claim.c.requests)).one_or_none()
            return Claim(part, row.epoch, _requests(row.requests)) if row else None

    @retried
    def renew(self, mine: Claim, pause: float, requests: Requests) -> Beat:
        """A worker's beat. ``requests``: sent for this part until now.

        Raises LedgerBusy if the part is another's by now, or the run has ended.
        """
        with self._ledger.intending() as db:
            values = {"lease_until": self._lease_until(db), "requests": json.dumps(astuple(requests))}
            self._update(db, mine, **values)
            return self._beat(db, pause)

    @retried
    def release(self, mine: Claim, requests: Requests) -> None:
        """The part is done, or left undone: nothing of it is under way."""
        with self._ledger.intending() as db:
            self._update(db, mine, lease_until=0.0, requests=json.dumps(astuple(requests)))

    def require(self, db: Connection, mine: Claim) -> None:
        """Inside a transaction that writes intents: raises LedgerBusy if the part is another's by now.

        Until that transaction ends no other process can claim it.
        """
        query = select(schema.claim.c.epoch).filter_by(run_no=self._run_no, part=mine.part)
        if db.execute(query.with_for_update(read=True)).scalar_one_or_none() != mine.epoch:
            raise _taken_over()

    # --- plumbing -----------------------------------------------------------------------------------

    def _update(self, db: Connection, mine: Claim, **values: Any) -> None:
        own = schema.claim.update().filter_by(run_no=self._run_no, part=mine.part, epoch=mine.epoch)
        if not db.execute(own.values(values)).rowcount:
            raise _taken_over()

    def _lease_until(self, db: Connection) -> Any:
        """When a lease ends that is renewed now: `LEASE` after the last beat of worker and leader."""
        query = select(schema.leader.c.lease_until).filter_by(run_no=self._run_no)
        leader = db.execute(query).scalar_one_or_none() or 0.0
        least = func.least if db.dialect.name == "postgresql" else func.min
        return least(_now(db, self._clock) + LEASE, literal(leader, Float))

    def _beat(self, db: Connection, pause: float, **values: Any) -> Beat:
        leader, now = schema.leader.c, _now(db, self._clock)
        greatest = func.greatest if db.dialect.name == "postgresql" else func.max
        values["paused_until"] = greatest(leader.paused_until, now + pause)
        own = schema.leader.update().filter_by(run_no=self._run_no).values(values)
        row = db.execute(
            own.returning(now, leader.paused_until, leader.lease_until, leader.stop)
        ).one_or_none()
        if row is None:
            raise LedgerBusy("the run that this process works for has ended")
        at, paused_until, leader_until, stop = row
        until = min(at + LEASE, leader_until)
        return Beat(at, paused_until, until, Stop(*json.loads(stop)) if stop else None)


def wait_for_workers(
    ledger: Ledger, tell: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Return when no worker of an earlier run, the leader of which has died, can be sending any more.

    A lease that lasts longer than `LEASE` comes from a clock that was set back since.
    """
    with ledger.reading() as db:
        remaining = min(_left(db, None), LEASE)
    if remaining:
        tell(f"workers of an earlier run may still be sending: waiting for {remaining:.0f} s")
        sleep(remaining)
    with ledger.writing() as db:
        for table in (schema.claim, schema.leader):
            db.execute(table.delete())


def _left(db: Connection, clock: Callable[[], float] | None, *which: Any) -> float:
    query = select(func.max(schema.claim.c.lease_until) - _now(db, clock)).filter(*which)
    return max(0.0, db.execute(query).scalar_one() or 0.0)


def _now(db: Connection, clock: Callable[[], float] | None) -> ColumnElement[float]:
    """Seconds since 1970 by the clock that all processes share."""
    if clock is None and db.dialect.name == "postgresql":
        return func.extract("epoch", func.clock_timestamp()).cast(Float)
    return literal((clock or time.time)(), Float)


def _requests(text: str) -> Requests:
    return Requests(*json.loads(text)) if text else Requests()


def _taken_over() -> LedgerBusy:
    return LedgerBusy("another worker has taken over this part of the rows")
