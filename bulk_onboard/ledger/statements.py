"""The SQL that reads the entries of a run: written out, as it gives plain tuples."""

from __future__ import annotations

from bulk_onboard.entry import Entry


def of_rows(mark: str) -> str:
    """SQL for the entries of a run from one row to another, as `Entry` has them, in row order."""
    columns = ", ".join(f"entry.{name}" for name in Entry._fields[:-1])
    return (
        f"SELECT {columns}, scope.provider FROM entry JOIN scope ON scope.id = entry.scope_id"  # noqa: S608
        f" WHERE entry.run_no = {mark} AND entry.row BETWEEN {mark} AND {mark} ORDER BY entry.row"
    )
