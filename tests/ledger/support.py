"""What the tests of the ledger share."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.run_events import RunInfo
from bulk_onboard.ledger import Ledger
from bulk_onboard.settings import LedgerPlace

LEAF = "https://api.withleaf.io"
OWNER = "owner@example.com"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = "2026-11-23T12:00:00.000Z"


def info(run_id: str = "r-1", leaf: str = LEAF, provider: str = "raven", owner: str = OWNER) -> RunInfo:
    """A run that begins."""
    return RunInfo(run_id, provider, "growers.csv", leaf, owner, NOW)


def begin(
    ledger: Ledger, run_id: str = "r-1", leaf: str = LEAF, provider: str = "raven", owner: str = OWNER
) -> tuple[int, int]:
    """A run on the ledger: its number and its scope."""
    scope = ledger.scope(leaf, owner, provider)
    return ledger.begin(info(run_id, leaf, provider, owner), scope, "process 1 on here"), scope


FINGERPRINT = "f1" * 16


def g(number: int) -> str:
    """The leafUserId of a grower."""
    return str(UUID(int=number))


def intent(row: int, grower: str, fingerprint: str = FINGERPRINT) -> Entry:
    """A POST that is about to be sent."""
    return Entry(row, None, grower, fingerprint, attempts=1, intended_at=AT, provider="raven")


def outcome(row: int, grower: str, status: str = "created", fingerprint: str = FINGERPRINT) -> Entry:
    """What came of a row."""
    return Entry(
        row, status, grower, fingerprint, attempts=1, intended_at=AT, finished_at=AT, provider="raven"
    )


def address(place: LedgerPlace) -> str:
    """As it is given to --ledger."""
    return str(place) if isinstance(place, Path) else f"{place.url.reveal()}&schema={place.schema}"


def sql(place: LedgerPlace, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What a statement returns that is none of ours; a value stands where there is a ``?``."""
    if isinstance(place, Path):
        db = sqlite3.connect(place)
        try:
            with db:
                return db.execute(statement, values).fetchall()
        finally:
            db.close()
    import psycopg

    with psycopg.connect(place.url.reveal(), autocommit=True) as session:
        session.execute(f'CREATE SCHEMA IF NOT EXISTS "{place.schema}"')
        session.execute(f'SET search_path TO "{place.schema}"')
        found = session.execute(statement.replace("?", "%s"), values)
        return found.fetchall() if found.description else []


def tables(place: LedgerPlace) -> set[str]:
    """The names of those that a place has."""
    if isinstance(place, Path):
        return {name for (name,) in sql(place, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    told = "SELECT table_name FROM information_schema.tables WHERE table_schema = ?"
    return {name for (name,) in sql(place, told, place.schema)}


def current(ledger: Ledger, scope: int) -> pa.Table:
    """The current states of the growers of a scope."""
    with ledger.current(scope) as reader:
        return reader.read_all()
