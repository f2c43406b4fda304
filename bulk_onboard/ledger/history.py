"""Queries about the past: the runs in the ledger, their results, and the history of one grower."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, and_, func, select, tuple_

from bulk_onboard.domain.entry import Entry, may_be_same_owner
from bulk_onboard.domain.model import RollbackStatus, Status
from bulk_onboard.domain.run_events import RunInfo, RunKind
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.database import retried
from bulk_onboard.ledger.ledger import Ledger, run_info
from bulk_onboard.ledger.state import kin
from bulk_onboard.policy.attention import RecordedAttention

# The kinds of runs with reports about what happened at Leaf; a dry run only estimates.
_REPORTING = (RunKind.RUN.value, RunKind.EVENTS.value)


class Past(NamedTuple):
    """A run, and its rows by status and by health; both are empty for a run that has not ended."""

    info: RunInfo
    counts: Mapping[str, int]
    health: Mapping[str, int]


class Ending(NamedTuple):
    """What a run came to.

    ``attention``: the growers that need attention after it (a Parquet file), None for a rollback.
    ``content``: the digest of what its input said; None: what is known of it stays.
    """

    counts: Mapping[str, int]
    health: Mapping[str, int]
    attention: bytes | None
    content: str | None = None


class Last(NamedTuple):
    """How the latest run before another one ended, of the same Leaf and of one of its providers.

    ``content`` is the digest of what its input said, "" if it is not known. ``attention``: the growers that
    needed attention at any of the other run's providers.
    """

    info: RunInfo
    content: str
    attention: tuple[RecordedAttention, ...]


class RolledBack(NamedTuple):
    """What rollbacks have deleted of what a run created. ``run_ids``: theirs, the oldest first."""

    run_ids: tuple[str, ...]
    growers: int


class Chapter(NamedTuple):
    """What one run did with a grower at one of its providers."""

    run_no: int
    info: RunInfo
    provider: str
    entry: Entry


@retried
def record(ledger: Ledger, run_no: int, ending: Ending) -> None:
    """Record the result of a run, in place of that of an earlier report about it.

    Where the input of a run has been deleted, the growers that needed attention are deleted too.
    """
    values: dict[str, Any] = {
        "counts": json.dumps(dict(ending.counts)),
        "health": json.dumps(dict(ending.health)),
        "attention": ending.attention,
    }
    if ending.content is not None:
        values["content"] = ending.content
    made = ledger.insert(schema.ending).values(run_no=run_no, **values)
    with ledger.writing() as db:
        db.execute(made.on_conflict_do_update(index_elements=["run_no"], set_=values))
        db.execute(schema.ending.update().filter(_is_forgotten()).values(attention=None))


def _is_forgotten() -> ColumnElement[bool]:
    """No report can be written of the run any more, and a later one of its scope has taken its place."""
    ending, block = schema.ending, schema.block
    own, later = schema.run.alias(), schema.run.alias()
    followed = select(later.c.no).select_from(own).join(later, later.c.scope_id == own.c.scope_id)
    followed = followed.filter(own.c.no == ending.c.run_no, later.c.no > own.c.no)
    followed = followed.filter(later.c.no.in_(select(ending.alias().c.run_no)))
    blocks = select(block.c.seq).filter(block.c.run_no == ending.c.run_no)
    return and_(ending.c.attention.is_not(None), ~blocks.exists(), followed.exists())


@retried
def last(ledger: Ledger, run_no: int) -> Last | None:
    """Return the state before this run: the result of the latest other run of each of its providers.

    A run counts if it had that provider, alone or with others. None if no run has ended yet.
    """
    run, ending = schema.run, schema.ending
    query = _runs(ending.c.content, ending.c.attention).filter(run.c.no != run_no)
    query = query.filter(run.c.kind.in_(_REPORTING), ending.c.attention.is_not(None))
    by_provider: dict[str, Row[Any]] = {}
    with ledger.reading() as db:
        for provider, scopes in _scopes_of_each(db, run_no).items():
            of_provider = query.filter(run.c.scope_id.in_(scopes)).order_by(run.c.no.desc()).limit(1)
            if line := db.execute(of_provider).one_or_none():
                by_provider[provider] = line
    if not by_provider:
        return None
    latest = max(by_provider.values(), key=lambda line: line.no)
    recorded = {provider: (line.no, line.attention) for provider, line in by_provider.items()}
    return Last(_past(latest).info, latest.content or "", _recorded(recorded))


def _recorded(results: Mapping[str, tuple[int, bytes]]) -> tuple[RecordedAttention, ...]:
    """What is recorded of each of these providers, after the run with the number beside it."""
    contents = dict(results.values())
    return tuple(
        RecordedAttention(
            content, [name for name, (no, _) in results.items() if no == run_no], run_no == max(contents)
        )
        for run_no, content in contents.items()
    )


@retried
def last_notified(ledger: Ledger, run_no: int) -> Last | None:
    """What the latest messages said about the providers of this run; None if none was sent yet."""
    notified, by_provider = schema.notified, dict[str, Row[Any]]()
    with ledger.reading() as db:
        for provider, scopes in _scopes_of_each(db, run_no).items():
            query = select(notified).filter(notified.c.scope_id.in_(scopes))
            if line := db.execute(query.order_by(notified.c.run_no.desc()).limit(1)).one_or_none():
                by_provider[provider] = line
        if not by_provider:
            return None
        latest = max(by_provider.values(), key=lambda line: line.run_no)
        run = db.execute(_runs().filter(schema.run.c.no == latest.run_no)).one()
    recorded = {provider: (line.run_no, line.attention) for provider, line in by_provider.items()}
    return Last(replace(_past(run).info, exit_code=latest.exit_code), "", _recorded(recorded))


@retried
def record_notified(ledger: Ledger, run_no: int, exit_code: int, attention: bytes) -> None:
    """Remember that a message about this run has been sent, or that there was nothing to send."""
    with ledger.reading() as db:
        info = _past(db.execute(_runs().filter(schema.run.c.no == run_no)).one()).info
    for provider in info.provider.split(","):
        scope = ledger.scope(info.leaf, info.owner, provider)
        values = {"run_no": run_no, "exit_code": exit_code, "attention": attention}
        made = ledger.insert(schema.notified).values(scope_id=scope, **values)
        with ledger.writing() as db:
            db.execute(made.on_conflict_do_update(index_elements=["scope_id"], set_=values))


def _scopes_of_each(db: Connection, run_no: int) -> dict[str, list[int]]:
    """For each provider of a run the scopes of runs that had it, alone or with others."""
    table, run = schema.scope, schema.run
    own = db.execute(select(table).join(run, run.c.scope_id == table.c.id).filter(run.c.no == run_no)).one()
    others = db.execute(select(table).filter_by(leaf=own.leaf)).all()
    mine = [line for line in others if may_be_same_owner(line.owner, own.owner)]
    return {
        provider: [line.id for line in mine if provider in line.provider.split(",")]
        for provider in own.provider.split(",")
    }


@retried
def other_owners(ledger: Ledger, scope: int) -> list[tuple[str, int]]:
    """Other API owners that runs logged in as for the same Leaf and provider, with their scopes."""
    table = schema.scope
    own = select(table.c.leaf, table.c.provider).filter_by(id=scope)
    query = select(table.c.owner, table.c.id).filter(tuple_(table.c.leaf, table.c.provider).in_(own))
    with ledger.reading() as db:
        scopes = db.execute(query.filter(table.c.id.not_in(kin(db, scope))).order_by(table.c.id)).all()
    return [(owner, number) for owner, number in scopes]


@retried
def attention(ledger: Ledger, run_no: int) -> bytes | None:
    """The growers that needed attention when the run's files were last written; None if they never were."""
    query = select(schema.ending.c.attention).filter_by(run_no=run_no)
    with ledger.reading() as db:
        return db.execute(query).scalar_one_or_none()


@retried
def has_met(ledger: Ledger, scope: int, before: int) -> bool:
    """Whether a run before this one (its number) had to do with any grower of the scope."""
    grower = schema.grower
    query = select(grower.c.id).filter(grower.c.scope_id == scope, grower.c.run_no < before)
    with ledger.reading() as db:
        return db.execute(query.limit(1)).first() is not None


@retried
def runs(ledger: Ledger, limit: int | None = None) -> list[Past]:
    """The runs, the latest first; no more than ``limit``."""
    query = _runs().order_by(schema.run.c.no.desc()).limit(limit)
    with ledger.reading() as db:
        return [_past(row) for row in db.execute(query)]


@retried
def latest_of_each_scope(ledger: Ledger) -> list[tuple[int, RunInfo]]:
    """Return the latest run of each Leaf and provider with its input still in the ledger, oldest first."""
    run, block = schema.run, schema.block
    with_input = select(func.max(run.c.no)).filter(
        select(block.c.seq).filter(block.c.run_no == run.c.no).exists()
    )
    query = _runs().filter(run.c.no.in_(with_input.group_by(run.c.scope_id))).order_by(run.c.no)
    with ledger.reading() as db:
        return [(row.no, _past(row).info) for row in db.execute(query)]


@retried
def story(ledger: Ledger, leaf_user_id: str) -> list[Chapter]:
    """Return what the runs did with a grower, in their order."""
    entry, run, scope = schema.entry.c, schema.run.c, schema.scope.c
    fields = [entry[name] for name in Entry._fields if name in entry]  # its provider is that of its scope
    query = (
        select(run.no, run.details, scope.provider, *fields)
        .select_from(schema.entry)
        .join(schema.run, run.no == entry.run_no)
        .join(schema.scope, scope.id == entry.scope_id)
        .where(entry.leaf_user_id == leaf_user_id)
        .order_by(run.no, entry.row)
    )
    with ledger.reading() as db:
        return [
            Chapter(no, run_info(details), provider, Entry(*values))
            for no, details, provider, *values in db.execute(query)
        ]


def _runs(*more: Column[Any]) -> Select[Any]:
    run, ending = schema.run, schema.ending
    return (
        select(run.c.no, run.c.details, ending.c.counts, ending.c.health, *more)
        .select_from(run)
        .outerjoin(ending, ending.c.run_no == run.c.no)
    )


def _past(row: Row[Any]) -> Past:
    counts, health = (json.loads(text or "{}") for text in (row.counts, row.health))
    return Past(run_info(row.details), counts, health)


# Entries read at a time: a run may have a million.
_BATCH = 10_000


def created(ledger: Ledger, run_no: int) -> Iterator[list[Entry]]:
    """Yield the rows that a run created, in batches, in their order."""
    last = _last_row(ledger, run_no)
    for first in range(0, last + 1, _BATCH):
        entries = ledger.entries(run_no, first, first + _BATCH - 1)
        yield [entry for entry in entries if entry.status == Status.CREATED.value]


@retried
def _last_row(ledger: Ledger, run_no: int) -> int:
    with ledger.reading() as db:
        return db.execute(select(func.max(schema.entry.c.row)).filter_by(run_no=run_no)).scalar_one() or 0


def rolled_back(ledger: Ledger, run_id: str) -> dict[int, Entry]:
    """What earlier rollbacks of a run did with its rows: the latest entry of each."""
    return {entry.row: entry for run_no in _rollbacks(ledger, run_id) for entry in ledger.entries(run_no)}


def deleted_since(ledger: Ledger, run_id: str) -> RolledBack | None:
    """What rollbacks have deleted of what a run created; None if nothing."""
    run_ids = _rollbacks(ledger, run_id)
    entries = rolled_back(ledger, run_id).values() if run_ids else ()
    count = sum(entry.status == RollbackStatus.DELETED.value for entry in entries)
    return RolledBack(tuple(run_ids.values()), count) if count else None


@retried
def _rollbacks(ledger: Ledger, run_id: str) -> dict[int, str]:
    """The rollbacks of a run by their numbers, the oldest first."""
    run = schema.run
    query = select(run.c.no, run.c.run_id).filter_by(input=run_id, kind=RunKind.ROLLBACK.value)
    with ledger.reading() as db:
        return {row.no: row.run_id for row in db.execute(query.order_by(run.c.no))}
