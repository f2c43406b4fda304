"""Lines put aside by workers that have no folder in common, until they are written into files."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from bulk_onboard.ledger import schema
from bulk_onboard.ledger.lasting import lasting
from bulk_onboard.ledger.ledger import Ledger


@lasting
def put(ledger: Ledger, run_no: int, line: str) -> None:
    """Keep a line; twice, if nobody knows whether it has been. Raises LedgerError."""
    with ledger.writing() as db:
        db.execute(schema.aside.insert().values(run_no=run_no, line=line))


def waiting(ledger: Ledger) -> Iterator[tuple[str, list[str]]]:
    """The id and the lines, in the order in which they came, of each run that has some.

    When the next one is asked for, those of the last one are taken for written, and forgotten.
    """
    aside, run = schema.aside, schema.run
    runs = select(run.c.no, run.c.run_id).filter(run.c.no.in_(select(aside.c.run_no)))
    with ledger.reading() as db:
        found = db.execute(runs.order_by(run.c.no)).all()
    for run_no, run_id in found:
        query = select(aside.c.id, aside.c.line).filter_by(run_no=run_no).order_by(aside.c.id)
        with ledger.reading() as db:
            lines = db.execute(query).all()
        yield run_id, list(dict.fromkeys(line.line for line in lines))  # some came twice: see `put`
        with ledger.writing() as db:
            db.execute(aside.delete().filter(aside.c.run_no == run_no, aside.c.id <= lines[-1].id))
