"""Open a ledger's database: create its tables where there are none, refuse any other version."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection, inspect, select

from bulk_onboard.errors import LedgerError, UsageError
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.database import Database, Sqlite
from bulk_onboard.settings import LedgerPlace


def open_database(place: LedgerPlace) -> Database:
    """Return the database of a ledger. Raises UsageError if its driver is missing, LedgerError."""
    if isinstance(place, Path):
        return Sqlite(place)
    try:
        from bulk_onboard.ledger.postgres import Postgres  # noqa: PLC0415  (an extra, loaded when used)
    except ImportError:
        raise UsageError(
            "a ledger on PostgreSQL needs an extra: pip install 'bulk-onboard[postgres]'"
        ) from None
    return Postgres(place)


def open_tables(database: Database, *, create: bool) -> Mapping[str, str]:
    """Return the table ``meta``, after creating all tables if there are none.

    Raises LedgerError if the ledger is of another version, or there are tables of another program; UsageError
    if there is none and it is not to be created.
    """
    with database.opening() as db:
        meta = _read_meta(db, database.shown)
    if meta:
        return meta
    if not create:
        raise UsageError(f"there is no ledger at {database.shown}: no run has used it yet")
    with database.creating() as db:
        return _read_meta(db, database.shown) or _create(db, database.shown)


def _read_meta(db: Connection, shown: str) -> Mapping[str, str]:
    """Return the table ``meta``, empty if there is none. Raises LedgerError for another version."""
    if not inspect(db).has_table(schema.meta.name):
        return {}
    meta = {key: str(value) for key, value in db.execute(select(schema.meta.c.key, schema.meta.c.value))}
    if meta.get("schema") != schema.VERSION:
        raise LedgerError(
            f"the ledger {shown} was written by another version of bulk-onboard: use that version, or move"
            " the ledger away and run again (Leaf is asked about every grower once); nothing was changed"
        )
    return meta


def _create(db: Connection, shown: str) -> Mapping[str, str]:
    others = sorted(schema.metadata.tables.keys() & set(inspect(db).get_table_names()))
    if others:
        raise LedgerError(
            f"{shown} holds tables of another program ({', '.join(others)}):"
            " name another place for the ledger; nothing was changed"
        )
    from bulk_onboard.validation.fingerprints import VECTOR, Fingerprints  # noqa: PLC0415  (imports pandas)

    schema.metadata.create_all(db)
    key = secrets.token_bytes(32)
    meta = {
        "schema": schema.VERSION,
        "fingerprint_key": key.hex(),
        "fingerprint_vector": Fingerprints(key).of_row(VECTOR).hex(),
    }
    db.execute(schema.meta.insert(), [{"key": name, "value": value} for name, value in meta.items()])
    return meta
