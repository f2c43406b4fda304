"""The results of a run: its rows joined with the ledger's entries, and the growers that need attention."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from bulk_onboard.domain.codes import hint
from bulk_onboard.domain.entry import Entry
from bulk_onboard.policy.attention import Change, RecordedAttention
from bulk_onboard.workspace.workspace import Workspace, sql

_NUMBERS = ("row", "http_status", "attempts", "event_status", "app", "unproven")
_ENTRIES = pa.schema(
    [
        (name, pa.float64() if name == "latency_ms" else pa.int64() if name in _NUMBERS else pa.string())
        for name in Entry._fields
    ]
)
_ATTENTION = "provider, id, status, code, since, runs"


def create_results(workspace: Workspace, began: str = "", ages_of: str = "last") -> None:
    """Add the view `results` and its tables (see results.sql) to a workspace.

    ``began``: when the run began, UTC as text. ``ages_of``: the moment in the table ``attention`` that ages
    count from, ``own`` if the report is written again. Add the entries, then the hints.
    """
    workspace.execute(sql("results"))
    workspace.execute("SET VARIABLE began = $began", began=began)
    workspace.execute("SET VARIABLE ages_of = $ages_of", ages_of=ages_of)


def add_entries(workspace: Workspace, entries: Sequence[tuple[Any, ...]]) -> None:
    """Add entries of the ledger: tuples like `Entry`."""
    columns = list(zip(*entries, strict=True)) or [()] * len(_ENTRIES)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, _ENTRIES.types, strict=True)]
    workspace.load("entries", pa.table(arrays, schema=_ENTRIES))


def add_hints(workspace: Workspace) -> None:
    """Add the hints of all codes in the results."""
    codes = [code for (code,) in workspace.query("SELECT code FROM results GROUP BY code")]
    workspace.load("hints", pa.table({"code": codes, "hint": [hint(code) for code in codes]}))


def load_attention(workspace: Workspace, moment: str, parts: Iterable[RecordedAttention]) -> None:
    """Fill the table ``attention`` with what earlier runs recorded, under the name of a moment."""
    import pyarrow.parquet as pq  # noqa: PLC0415  (most runs have no earlier one to read)

    for part in parts:
        with workspace.given(pq.read_table(io.BytesIO(part.content))):
            workspace.execute(
                f"INSERT INTO attention SELECT $moment, {_ATTENTION} FROM given"  # noqa: S608
                " WHERE (id IS NOT NULL AND list_contains($providers, provider))"
                " OR ($others AND (id IS NULL OR provider = ''))",
                moment=moment,
                providers=list(part.providers),
                others=part.others,
            )


def attention_after(workspace: Workspace) -> bytes:
    """Fill the table ``attention`` for the moment ``now``; return these lines as a Parquet file."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    workspace.execute(sql("attention"))
    query = f"SELECT {_ATTENTION} FROM attention WHERE moment = 'now' ORDER BY ALL"  # noqa: S608
    table, sink = workspace.arrow(query.replace("id,", "id::VARCHAR AS id,", 1)), io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def change_since(workspace: Workspace, moment: str) -> Change:
    """Return what has changed between that moment and now."""
    worse, numbers = Counter[tuple[str, str]](), Counter[str]()
    for kind, status, code, number in workspace.query(sql("changes"), earlier=moment):
        numbers[kind] += number
        if kind == "worse":
            worse[status, code] += number
    return Change(dict(worse), numbers["recovered"], numbers["lasting"])
