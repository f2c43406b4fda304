"""What is known of all growers of a scope, kept in pieces: so that making it takes the memory of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, func, select

from bulk_onboard.growers import PIECES, Growers, nobody, pack, put_together, together, unpack
from bulk_onboard.ledger import schema

_TABLE = schema.snapshot
# Pieces that a database hands over at once.
_AT_ONCE = 4


def reaches(db: Connection, scope: int) -> int:
    """The number of the last run that it knows of; 0 if there is none."""
    query = select(func.max(_TABLE.c.run_no)).filter_by(scope_id=scope)
    return int(db.execute(query).scalar_one() or 0)


def stored(db: Connection, scope: int) -> tuple[int, Growers]:
    """The same, and what it says."""
    of_scope = _TABLE.c.scope_id == scope
    # Told by one statement, lest a snapshot that is made anew meanwhile is taken for the other half.
    count = select(func.sum(_TABLE.c.growers)).where(of_scope).scalar_subquery()
    query = select(_TABLE.c.run_no, _TABLE.c.data, count.label("total")).where(of_scope)
    found = db.execute(query.order_by(_TABLE.c.piece).execution_options(yield_per=_AT_ONCE))
    first = found.fetchone()
    if first is None:
        return 0, nobody()

    def pieces() -> Iterator[Growers]:
        yield unpack(first.data)
        for line in found:
            yield unpack(line.data)

    return int(first.run_no), put_together(pieces(), int(first.total))


def renew(db: Connection, scope: int, newer: Sequence[Growers]) -> None:
    """Add what later entries say, the oldest first. In one transaction with whatever else ``db`` does."""
    run_no = int(db.execute(select(func.max(schema.run.c.no))).scalar_one())
    there = set(db.execute(select(_TABLE.c.piece).filter_by(scope_id=scope)).scalars())
    for number in range(PIECES):
        mine = (_TABLE.c.scope_id == scope) & (_TABLE.c.piece == number)
        known = nobody()
        if number in there:
            known = unpack(db.execute(select(_TABLE.c.data).where(mine)).scalar_one())
            db.execute(_TABLE.delete().where(mine))
        known = known.with_newer(together([part.piece(number) for part in newer]))
        if len(known) or not number:  # one tells how far it reaches, also when there is nobody
            line = {"scope_id": scope, "piece": number, "run_no": run_no}
            db.execute(_TABLE.insert(), line | {"growers": len(known), "data": pack(known)})
