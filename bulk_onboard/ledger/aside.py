"""Lines put aside by workers that have no folder in common, until the leader writes them into a file."""

from __future__ import annotations

from sqlalchemy import select

from bulk_onboard.ledger import schema
from bulk_onboard.ledger.ledger import Ledger


def put(ledger: Ledger, run_no: int, line: str) -> None:
    """Keep a line. Raises LedgerError."""
    with ledger.writing() as db:
        db.execute(schema.aside.insert().values(run_no=run_no, line=line))


def lines(ledger: Ledger, run_no: int) -> list[str]:
    """All of a run, in the order in which they came."""
    aside = schema.aside
    query = select(aside.c.line).filter_by(run_no=run_no).order_by(aside.c.id)
    with ledger.reading() as db:
        return list(db.execute(query).scalars())
