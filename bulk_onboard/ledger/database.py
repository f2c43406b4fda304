"""The databases that a ledger can be in. What differs between them stands in their modules alone."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.dialects import sqlite as dialect

from bulk_onboard.ledger.sqlite import Sqlite

Database = Sqlite
Insert = dialect.Insert


def database(place: Path) -> Database:
    """The one at this place. Raises UsageError, OSError."""
    return Sqlite(place)
