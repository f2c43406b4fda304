"""The processes that work on one run together, as they speak to each other through the ledger.

One leads, the others work. A worker may send requests as long as its lease lasts, which it renews twice a
second by handing in what it has to tell; it gets back the leader's orders (see orders.py). The leader answers
no report that it has not seen, so a lease is over LEASE seconds after both were last heard of, the worker and
the leader. Whoever takes over, be it another worker a part or another run the ledger, waits until then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, select, text

from bulk_onboard.errors import LedgerBusy
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.lasting import lasting
from bulk_onboard.ledger.ledger import Ledger
from bulk_onboard.orders import LEASE

# Seconds that leases of an earlier run are waited for: they last LEASE unless a clock was set back.
MOST = 2 * LEASE
# The leader's own line among the members.
LEADER = ""
Clock = Callable[[Connection], float]


class Member(NamedTuple):
    """A worker as the leader sees it: what it told last, and for how many seconds it may be sending yet."""

    worker: str
    told: str
    left: float


class Orders(NamedTuple):
    """What a worker is told, and the parts that it still has in hand. ``led``: the leader is heard of."""

    own: str
    parts: frozenset[int]
    led: bool


class Crew:
    """The members of one run. Every method is one transaction. Raises LedgerError."""

    def __init__(self, ledger: Ledger, run_no: int, clock: Clock | None = None) -> None:
        """``clock``: tells the time that all processes share; the database's if it is not given."""
        self._ledger, self._run_no, self._now = ledger, run_no, clock or database_time
        self.patience = ledger.patience

    # --- the leader ---------------------------------------------------------------------------------

    @lasting
    def lead(self, orders: Mapping[str, str]) -> list[Member]:
        """Be heard of as the leader, give each worker its orders, and hear what all have to tell."""
        member = schema.member
        with self._ledger.guarding() as db:
            now = self._now(db)
            self._upsert(db, LEADER, seen_at=now, lease_until=now)
            if orders:
                found = case(orders, value=member.c.worker, else_=member.c.orders)
                named = member.c.worker.in_(list(orders))
                db.execute(member.update().filter(self._is_ours(member), named).values(orders=found))
            told = select(member.c.worker, member.c.told, member.c.lease_until - now)
            query = told.filter(self._is_ours(member), member.c.worker != LEADER)
            return [Member(*line) for line in db.execute(query.order_by(member.c.worker))]

    @lasting
    def heard(self) -> dict[str, float]:
        """When each worker has handed in something last, by the clock of all."""
        member = schema.member
        query = select(member.c.worker, member.c.seen_at)
        with self._ledger.reading() as db:
            lines = db.execute(query.filter(self._is_ours(member), member.c.worker != LEADER))
            return {line.worker: line.seen_at for line in lines}

    @lasting
    def disband(self) -> None:
        """The run has come to its end: nobody works on it any more."""
        with self._ledger.guarding() as db:
            for table in (schema.claim, schema.member):
                db.execute(table.delete().filter(self._is_ours(table)))

    # --- a worker -----------------------------------------------------------------------------------

    @lasting
    def renew(self, worker: str, told: str) -> Orders:
        """Hand in what there is to tell, and get orders. Raises LedgerBusy if the run has been disbanded."""
        member = schema.member
        with self._ledger.guarding() as db:
            now = self._now(db)
            led = select(member.c.seen_at).filter(self._is_ours(member), member.c.worker == LEADER)
            leader = db.execute(led).scalar_one_or_none()
            if leader is None:
                raise LedgerBusy("the run that this worker belongs to has ended")
            until = min(now, leader) + LEASE
            self._upsert(db, worker, seen_at=now, lease_until=until, told=told)
            query = select(member.c.orders).filter(self._is_ours(member), member.c.worker == worker)
            own = db.execute(query).scalar_one()
            claim = schema.claim
            held = select(claim.c.part).filter(self._is_ours(claim), claim.c.worker == worker)
            return Orders(own, frozenset(db.execute(held).scalars()), until > now)

    @lasting
    def orders(self, worker: str) -> str:
        """What a worker is told, without a renewal: to see whether there is anything new."""
        member = schema.member
        query = select(member.c.orders).filter(self._is_ours(member), member.c.worker == worker)
        with self._ledger.reading() as db:
            return db.execute(query).scalar_one_or_none() or ""

    @lasting
    def claim(self, part: int, worker: str) -> bool:
        """Take a part in hand; False while another worker has it whose lease lasts."""
        claim = schema.claim
        with self._ledger.guarding() as db:
            mine = (self._is_ours(claim), claim.c.part == part)
            new = {"run_no": self._run_no, "part": part, "worker": worker}
            db.execute(self._ledger.insert(claim).values(new).on_conflict_do_nothing())
            query = select(claim.c.worker).filter(*mine).with_for_update()
            holder = db.execute(query).scalar_one_or_none()
            if holder == worker:
                return True
            if holder is None or self._lasts(db, holder):  # None: let go of at this very moment
                return False
            db.execute(claim.update().filter(*mine).values(worker=worker))
            return True

    @lasting
    def release(self, part: int, worker: str) -> None:
        """Let go of a part."""
        claim = schema.claim
        with self._ledger.guarding() as db:
            mine = (self._is_ours(claim), claim.c.part == part, claim.c.worker == worker)
            db.execute(claim.delete().filter(*mine))

    def require(self, db: Connection, part: int, worker: str) -> None:
        """Inside a transaction that writes intents: raises LedgerBusy unless the worker has the part still.

        Until that transaction ends nobody else can take the part.
        """
        claim = schema.claim
        query = select(claim.c.worker).filter(self._is_ours(claim), claim.c.part == part)
        if db.execute(query.with_for_update(read=True)).scalar_one_or_none() != worker:
            raise LedgerBusy("another worker has taken over this part of the input")

    # --- plumbing -----------------------------------------------------------------------------------

    def _is_ours(self, table: Any) -> Any:
        return table.c.run_no == self._run_no

    def _lasts(self, db: Connection, worker: str) -> bool:
        member = schema.member
        query = select(member.c.lease_until).filter(self._is_ours(member), member.c.worker == worker)
        until = db.execute(query).scalar_one_or_none()
        return until is not None and until > self._now(db)

    def _upsert(self, db: Connection, worker: str, **values: Any) -> None:
        member = schema.member
        mine = (self._is_ours(member), member.c.worker == worker)
        if not db.execute(member.update().filter(*mine).values(values)).rowcount:
            new = {"run_no": self._run_no, "worker": worker, "told": "", "orders": ""} | values
            db.execute(self._ledger.insert(member).values(new).on_conflict_do_nothing())


def database_time(db: Connection) -> float:
    """Seconds since 1970 by the clock that all processes share: of a file, that of its machine."""
    if db.dialect.name == "postgresql":
        return float(db.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return time.time()


def leases_left(ledger: Ledger, clock: Clock | None = None) -> float:
    """For how many seconds workers of any run may still send: 0 if there are none."""
    member = schema.member
    query = select(func.max(member.c.lease_until)).filter(member.c.worker != LEADER)
    with ledger.reading() as db:
        until = db.execute(query).scalar_one_or_none()
        return max(0.0, until - (clock or database_time)(db)) if until else 0.0


def end_leases(
    ledger: Ledger,
    tell: Callable[[str], None],
    *,
    clock: Clock | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when no worker of a run whose leader died can be sending any more: some seconds at most.

    A lease that does not end by itself comes from a clock that was set back since. Its worker cannot renew it
    any more once it has been disbanded, and sends no longer than `LEASE` after that.
    """
    left, waited = leases_left(ledger, clock), 0.0
    if left:
        tell(f"workers of an earlier run may still be sending: waiting for up to {MOST + LEASE:.0f} s")
    while left and waited < MOST:
        sleep(min(left, LEASE))
        waited += min(left, LEASE)
        left = leases_left(ledger, clock)
    disband_all(ledger)
    if left:
        sleep(LEASE)


def disband_all(ledger: Ledger) -> None:
    """Forget the members of all runs: their leases are over, and they were led by processes that died."""
    with ledger.guarding() as db:
        for table in (schema.claim, schema.member):
            db.execute(table.delete())
