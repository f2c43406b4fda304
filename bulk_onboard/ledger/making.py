"""Create a ledger's tables where there are none; refuse a ledger of another version."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from sqlalchemy import Connection, inspect, select

from bulk_onboard.errors import LedgerError, UsageError
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.database import Database


def made(database: Database, *, make: bool) -> Mapping[str, str]:
    """Return what the ledger says of itself (its version, its key), with its tables created if need be.

    Raises LedgerError if it is of another version, or there are tables of another program; UsageError if
    there is none and it is not to be created.
    """
    with database.opening() as db:
        meta = _read_meta(db, database.shown)
        if "version" in meta and inspect(db).has_table(schema.entry.name):
            return meta  # a reader need not wait for a run that writes
    if not (meta or make):
        raise UsageError(f"there is no ledger at {database.shown}: no run has used it yet")
    with database.making() as db:
        return _create(db, database)


def _create(db: Connection, database: Database) -> Mapping[str, str]:
    meta = _read_meta(db, database.shown)
    tables = schema.metadata.tables.keys() & set(inspect(db).get_table_names())
    if not meta and tables - {schema.meta.name}:
        raise LedgerError(
            f"{database.shown} holds tables of another program ({', '.join(sorted(tables))}):"
            " name another place for the ledger; nothing was changed"
        )
    from bulk_onboard.validation.fingerprints import VECTOR, Fingerprints  # noqa: PLC0415  (imports pandas)

    schema.metadata.create_all(db)
    key = secrets.token_bytes(32)
    values = {
        "version": str(schema.VERSION),
        "fingerprint_key": key.hex(),
        "fingerprint_vector": Fingerprints(key).of_row(VECTOR).hex(),
    }
    lines = [{"key": key, "value": value} for key, value in values.items()]
    db.execute(database.dialect.insert(schema.meta).values(lines).on_conflict_do_nothing())
    return _read_meta(db, database.shown)


def _read_meta(db: Connection, shown: str) -> Mapping[str, str]:
    """The table ``meta``, empty if there is none. Raises LedgerError if the ledger is of another version."""
    if not inspect(db).has_table(schema.meta.name):
        return {}
    meta = {key: str(value) for key, value in db.execute(select(schema.meta.c.key, schema.meta.c.value))}
    if (version := int(meta.get("version", schema.VERSION))) > schema.VERSION:
        raise LedgerError(
            f"the ledger {shown} was written by a newer bulk-onboard (its format is {version},"
            f" this one knows {schema.VERSION}): upgrade bulk-onboard, nothing was changed"
        )
    if version < schema.VERSION:
        raise LedgerError(
            f"the ledger {shown} was written by an older bulk-onboard (its format is {version}, this one"
            f" needs {schema.VERSION}): move it away and run again, Leaf is asked about every grower once;"
            " nothing was changed"
        )
    return meta
