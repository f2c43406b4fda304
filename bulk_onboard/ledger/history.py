"""What the ledger tells of the past: its runs, what they came to, and the story of one grower."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, func, select
from sqlalchemy.dialects.sqlite import insert

from bulk_onboard.entry import Entry
from bulk_onboard.facts import RunInfo
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.ledger import Ledger, run_info


class Past(NamedTuple):
    """A run, and its rows by status and by health; none are known of a run that has not come to its end."""

    info: RunInfo
    counts: Mapping[str, int]
    health: Mapping[str, int]


class Chapter(NamedTuple):
    """What one run did with a grower. ``provider`` and ``leaf`` are where."""

    run_no: int
    run_id: str
    kind: str
    input: str
    began_at: str
    leaf: str
    provider: str
    entry: Entry


def record(ledger: Ledger, run_no: int, counts: Mapping[str, int], health: Mapping[str, int]) -> None:
    """Keep what a run came to, in place of what an earlier report of it said."""
    values = {"counts": json.dumps(dict(counts)), "health": json.dumps(dict(health))}
    made = insert(schema.ending).values(run_no=run_no, **values)
    with ledger.writing() as db:
        db.execute(made.on_conflict_do_update(index_elements=["run_no"], set_=values))


def runs(ledger: Ledger, limit: int | None = None) -> list[Past]:
    """The runs, the latest first; no more than ``limit``."""
    query = _runs().order_by(schema.run.c.no.desc()).limit(limit)
    with ledger.reading() as db:
        return [_past(found) for found in db.execute(query)]


def latest_of_each_scope(ledger: Ledger) -> list[tuple[int, RunInfo]]:
    """For each Leaf and provider the latest run whose input the ledger still holds, the oldest first."""
    run, block = schema.run, schema.block
    held = select(func.max(run.c.no)).filter(select(block.c.seq).filter(block.c.run_no == run.c.no).exists())
    query = _runs().filter(run.c.no.in_(held.group_by(run.c.scope_id))).order_by(run.c.no)
    with ledger.reading() as db:
        return [(found.no, _past(found).info) for found in db.execute(query)]


def story(ledger: Ledger, leaf_user_id: str) -> list[Chapter]:
    """What the runs did with a grower, in their order."""
    entry, run, scope = schema.entry, schema.run, schema.scope
    told = (entry.c[name].label(f"entry_{name}") for name in _STORED)
    # By scope, as the index has it.
    query = (
        select(run, scope.c.leaf, scope.c.provider, *told)
        .select_from(entry)
        .join(run, run.c.no == entry.c.run_no)
        .join(scope, scope.c.id == entry.c.scope_id)
        .filter(entry.c.scope_id.in_(select(scope.c.id)), entry.c.leaf_user_id != "")
        .filter(entry.c.leaf_user_id == leaf_user_id)
        .order_by(run.c.no, entry.c.row)
    )
    with ledger.reading() as db:
        return [_chapter(found) for found in db.execute(query)]


# Of an entry what is stored with it; its provider is that of its scope.
_STORED = tuple(name for name in Entry._fields if name in schema.entry.c)


def _runs() -> Select[Any]:
    run, scope, ending = schema.run, schema.scope, schema.ending
    return (
        select(run, scope.c.leaf, scope.c.provider, ending.c.counts, ending.c.health)
        .join(scope, scope.c.id == run.c.scope_id)
        .outerjoin(ending, ending.c.run_no == run.c.no)
    )


def _past(found: Row[Any]) -> Past:
    counts, health = (json.loads(text or "{}") for text in (found.counts, found.health))
    return Past(run_info(dict(found._mapping)), counts, health)


def _chapter(found: Row[Any]) -> Chapter:
    told = {name: getattr(found, f"entry_{name}") for name in _STORED}
    return Chapter(
        run_no=found.no,
        run_id=found.run_id,
        kind=found.kind,
        input=found.input,
        began_at=found.started_at,
        leaf=found.leaf,
        provider=found.provider,
        entry=Entry(**told),
    )
