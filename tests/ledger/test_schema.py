"""The version of the ledger."""

from hashlib import sha256

from bulk_onboard.ledger import schema
from bulk_onboard.workspace import Workspace
from bulk_onboard.workspace.workspace import TABLES


def test_a_change_of_what_is_stored_changes_the_version() -> None:
    """Otherwise a ledger in the old form would be accepted, and the run would fail on it later.

    If this fails, raise `VERSION` and write the new digest beside it.
    """
    columns = [
        (table.name, column.name, str(column.type), column.nullable, column.primary_key)
        for table in schema.metadata.sorted_tables
        for column in table.columns
    ]
    with Workspace() as workspace:
        blocks = [workspace.db.sql(f"SELECT * FROM {table}").columns for table in TABLES]
    digest = sha256(repr((columns, blocks)).encode()).hexdigest()[:16]
    assert (schema.VERSION, digest) == ("3", "21fdbcfbb7f39f5e")
