"""Growers that an interrupted replacement left without credentials, until they are repaired or dismissed.

Their old credentials were deleted, or may have been, and no later run has connected them. Every run at the
same Leaf reports them if its API owner may be theirs, whatever its file and provider.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, literal_column, select

from bulk_onboard.domain.entry import LeftGrower, may_be_same_owner
from bulk_onboard.domain.model import Status
from bulk_onboard.domain.run_events import RunInfo, RunKind
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.database import retried
from bulk_onboard.ledger.ledger import Ledger
from bulk_onboard.ledger.state import batches

# A POST or a DELETE without an outcome leaves it open whether the grower has credentials.
_OPEN = (None, Status.UNRESOLVED.value)
_WITHOUT = frozenset({*_OPEN, Status.REJECTED.value, Status.FAILED.value, Status.NOT_ATTEMPTED.value})
_ROLLBACKS = frozenset({RunKind.ROLLBACK.value, RunKind.ROLLBACK_DRY_RUN.value})
_Owner = tuple[str, str]  # Leaf and API owner
_Line = Any  # a row of the database


@retried
def left_without(ledger: Ledger, info: RunInfo | None = None, until: int | None = None) -> list[LeftGrower]:
    """Return the growers that are left without credentials, or may be: those of the run's Leaf and API owner.

    ``info`` None: of all. ``until``: as it was after the run with this number.
    """
    with ledger.reading() as db:
        return list(_left(db, (info.leaf, info.owner) if info else None, until))


@retried
def dismiss(ledger: Ledger, leaf_user_id: str) -> list[LeftGrower]:
    """Report the grower no longer for what runs have done so far; return what is dismissed."""
    dismissal = schema.dismissal
    with ledger.writing() as db:
        candidates = [pair for pair in _candidates(db, None, None) if pair[1].leaf_user_id == leaf_user_id]
        for line, _ in candidates:
            values = {"scope_id": line.scope_id, "leaf_user_id": leaf_user_id, "run_no": line.run_no}
            made = ledger.insert(dismissal).values(values)
            newer = {"run_no": made.excluded.run_no}
            db.execute(made.on_conflict_do_update(index_elements=["scope_id", "leaf_user_id"], set_=newer))
    return [grower for _, grower in candidates]


def _left(db: Connection, owner: _Owner | None, until: int | None) -> Iterator[LeftGrower]:
    dismissal = schema.dismissal
    dismissed = {(line.scope_id, line.leaf_user_id): line.run_no for line in db.execute(select(dismissal))}
    for line, grower in _candidates(db, owner, until):
        if dismissed.get((line.scope_id, line.leaf_user_id), 0) < line.run_no:
            yield grower


def _candidates(
    db: Connection, owner: _Owner | None, until: int | None
) -> Iterator[tuple[_Line, LeftGrower]]:
    """Yield the newest entry of each grower that was left without, whether dismissed or not."""
    suspects = [
        line
        for line in _lines(db, schema.entry.c.deleting != literal_column("''"), owner, until)
        if line.status in _WITHOUT and line.kind not in _ROLLBACKS
    ]
    since = min((line.run_no for line in suspects), default=0)
    others: dict[str, list[_Line]] = {}
    for ids in batches(sorted({line.leaf_user_id for line in suspects})):
        later = schema.entry.c.leaf_user_id.in_(ids) & (schema.entry.c.run_no > since)
        for line in _lines(db, later, owner, until):
            others.setdefault(line.leaf_user_id, []).append(line)
    for line in sorted(suspects, key=attrgetter("leaf_user_id")):
        if not any(_supersedes(other, line) for other in others.get(line.leaf_user_id, ())):
            certain = line.status not in _OPEN
            where = (line.provider, line.leaf, line.owner, line.run_id)
            yield line, LeftGrower(line.leaf_user_id, *where, certain)


def _lines(
    db: Connection, where: ColumnElement[bool], owner: _Owner | None, until: int | None
) -> list[_Line]:
    """Entries with their runs and scopes."""
    entry, run, scope = schema.entry, schema.run, schema.scope
    query = (
        select(
            entry.c.scope_id, entry.c.leaf_user_id, entry.c.run_no, entry.c.status, entry.c.deleting,
            run.c.run_id, run.c.kind, scope.c.leaf, scope.c.owner, scope.c.provider,
        )
        .join(run, run.c.no == entry.c.run_no)
        .join(scope, scope.c.id == entry.c.scope_id)
        .where(where, entry.c.leaf_user_id != "")
    )  # fmt: skip
    if until is not None:
        query = query.where(entry.c.run_no <= until)
    if owner is not None:
        query = query.where(scope.c.leaf == owner[0])
    rows = db.execute(query.order_by(entry.c.run_no))
    return [line for line in rows if owner is None or may_be_same_owner(owner[1], line.owner)]


def _supersedes(other: _Line, line: _Line) -> bool:
    """Whether a later run had to do with the same grower at the same provider."""
    return (
        other.run_no > line.run_no
        and (other.leaf, other.provider) == (line.leaf, line.provider)
        and may_be_same_owner(other.owner, line.owner)
    )
