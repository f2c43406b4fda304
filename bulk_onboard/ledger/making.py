"""A ledger's tables: made where there are none, brought up to date, left alone where they are newer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from sqlalchemy import Connection, inspect, select

from bulk_onboard.errors import LedgerError, UsageError
from bulk_onboard.fingerprint import Method
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.database import Database


def made(database: Database, *, make: bool) -> Mapping[str, str]:
    """What the ledger says of itself (its version, its key), with its tables made if need be.

    Raises LedgerError if it is newer than this program, or there are tables of another program; UsageError if
    there is none and it is not to be made.
    """
    with database.opening() as db:
        told = _told(db, database.shown)
        if told.get("version") == str(schema.VERSION) and inspect(db).has_table(schema.entry.name):
            return told  # whoever only looks need not wait for a run that writes
    if not (told or make):
        raise UsageError(f"there is no ledger at {database.shown}: no run has been made with it yet")
    with database.making() as db:
        return _made(db, database)


def _made(db: Connection, database: Database) -> Mapping[str, str]:
    told = _told(db, database.shown)
    there = schema.metadata.tables.keys() & set(inspect(db).get_table_names())
    if not told and there - {schema.meta.name}:
        raise LedgerError(
            f"{database.shown} holds tables of another program ({', '.join(sorted(there))}):"
            " name another place for the ledger; nothing was changed"
        )
    _migrate(db, int(told.get("version", schema.VERSION)), made=schema.run.name in there)
    schema.metadata.create_all(db)
    values = {
        "version": str(schema.VERSION),
        "fingerprint_method": Method.SIPHASH.value,
        "fingerprint_key": secrets.token_hex(32),
    }
    lines = [{"key": key, "value": value} for key, value in values.items()]
    db.execute(database.dialect.insert(schema.meta).values(lines).on_conflict_do_nothing())
    return _told(db, database.shown)


def _told(db: Connection, shown: str) -> Mapping[str, str]:
    """What stands in ``meta``, nothing if there is none. Raises LedgerError if it is of a newer program."""
    if not inspect(db).has_table(schema.meta.name):
        return {}
    told = {key: str(value) for key, value in db.execute(select(schema.meta.c.key, schema.meta.c.value))}
    if "version" in told and (version := int(told["version"])) > schema.VERSION:
        raise LedgerError(
            f"the ledger {shown} was written by a newer bulk-onboard (its format is {version},"
            f" this one knows {schema.VERSION}): upgrade bulk-onboard, nothing was changed"
        )
    return told


def _migrate(db: Connection, version: int, *, made: bool) -> None:
    """Bring an older ledger up to date. Not ``made``: a kill came between its version and its tables."""
    for older in range(version, schema.VERSION if made else version):
        for statement in schema.MIGRATIONS[older]:
            db.exec_driver_sql(statement)
    if version < schema.VERSION:
        db.execute(schema.meta.update().filter_by(key="version").values(value=str(schema.VERSION)))
