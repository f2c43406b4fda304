"""Workspaces with results, and runs to report on."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Requests
from bulk_onboard.domain.run_events import RunInfo
from bulk_onboard.reports.counts import Counts, count_rows
from bulk_onboard.workspace import Workspace
from bulk_onboard.workspace.results import add_entries, add_hints, create_results
from bulk_onboard.workspace.workspace import as_uuids

STARTED = datetime(2026, 11, 23, 15, 45, tzinfo=UTC)


def grower(number: int) -> str:
    """The same id for the same row, in every test."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(number)))


def fingerprint_of(number: int) -> bytes:
    """The fingerprint of a row's secrets."""
    return hashlib.sha256(str(number).encode()).digest()[:16]


def workspace_of(
    statuses: Sequence[str],
    entries: Iterable[Entry] = (),
    kept: Mapping[str, str | Sequence[str]] | None = None,
    *,
    began: str = "",
    **columns: Any,
) -> Workspace:
    """A workspace with the results of rows 2, 3, … with these statuses ("" to do) and entries.

    ``kept`` and ``columns`` (of the table ``rows``): a value for all rows or one for each.
    """
    rows = list(range(2, 2 + len(statuses)))
    workspace = Workspace(list(kept or ()))
    values = {
        "row": rows,
        "provider": "raven",
        "id": [grower(row) for row in rows],
        "fingerprint": [fingerprint_of(row) for row in rows],
        "status": list(statuses),
        **columns,
        **dict(zip(workspace.kept_columns, (kept or {}).values(), strict=True)),
    }
    table = pa.table({
        name: pa.array([value] * len(rows) if isinstance(value, str) else value, _KINDS.get(name))
        for name, value in values.items()
    })  # fmt: skip
    if _OF_DONE & columns.keys():
        _load_done(workspace, table)
    else:
        workspace.load_rows(table)
    create_results(workspace, began)
    add_entries(workspace, list(entries))
    add_hints(workspace)
    return workspace


def _load_done(workspace: Workspace, table: pa.Table) -> None:
    """Add rows that an earlier run has done."""
    at = table.schema.get_field_index("fingerprint")
    table = table.set_column(at, "fingerprint", as_uuids(table["fingerprint"])).drop_columns(["status"])
    rest = [name for name in ("code", "credential_id") if name not in table.schema.names]
    for name, text in zip(rest, ("already-onboarded", ""), strict=False):
        table = table.append_column(name, pa.repeat(text, len(table)))
    workspace.load("done", table.append_column("unresolved", pa.repeat(False, len(table))))


# Columns that only rows have that were done before.
_OF_DONE = frozenset({"health", "health_checked_at", "credential_id"})
_KINDS = {"row": pa.int64(), "fingerprint": pa.binary(), "id": pa.string(), "status": pa.string()}


def counts_of(*entries: Entry, rows: int = 0, **options: Any) -> Counts:
    """The counts of rows that were to do and have these entries; of ``rows`` rows if there are more."""
    with workspace_of([""] * (rows or len(entries)), entries) as workspace:
        return count_rows(workspace.db, **options)


def run_of(rows: int, **fields: Any) -> RunInfo:
    """A run of ten seconds that read so many rows."""
    told: dict[str, Any] = {
        "run_id": "20261123T154500Z-growers",
        "provider": "raven",
        "input": "growers.csv",
        "leaf": "https://leaf.example",
        "owner": "owner@example.com",
        "started_at": STARTED,
        "finished_at": STARTED + timedelta(seconds=10),
        "rows": rows,
        "ceiling": 10.0,
        "requests": Requests(get=50, post=40, delete=0, throttled=2),
    }
    return RunInfo(**(told | fields))
