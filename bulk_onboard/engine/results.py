"""The results of a run, loaded from the ledger into a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from bulk_onboard.domain.run_events import RunInfo
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.ledger import Ledger, history
from bulk_onboard.policy.attention import RecordedAttention
from bulk_onboard.workspace import Workspace
from bulk_onboard.workspace.results import add_entries, add_hints, create_results, load_attention

# Entries of this many rows are read from the ledger at a time.
_PORTION = 50_000


@contextmanager
def results_of(
    ledger: Ledger, run_no: int, info: RunInfo, *, again: bool, workspace: Workspace | None = None
) -> Iterator[Workspace]:
    """Yield a workspace with the view `results` of a run. Raises LedgerError.

    ``again``: nothing has been done since the run's files were last written. ``workspace``: one that has the
    run's rows already; it is not closed.
    """
    with nullcontext(workspace) if workspace else stored_rows(ledger, run_no, info) as opened:
        own, last = history.attention(ledger, run_no) if again else None, history.last(ledger, run_no)
        create_results(opened, to_text(info.started_at), ages_of="last" if own is None else "own")
        for entries in _entries(opened, ledger, run_no):
            add_entries(opened, entries)
        add_hints(opened)
        load_attention(opened, "last", last.attention if last else ())
        if own is not None:
            load_attention(opened, "own", [RecordedAttention(own, info.provider.split(","), others=True)])
        yield opened


@contextmanager
def stored_rows(ledger: Ledger, run_no: int, info: RunInfo) -> Iterator[Workspace]:
    """Yield a workspace with the rows of a run's input, as the ledger stores them. Raises LedgerError."""
    with Workspace(info.kept, info.provider.split(",")) as workspace:
        workspace.load_blocks(data for _, _, data in ledger.blocks(run_no))
        yield workspace


def _entries(workspace: Workspace, ledger: Ledger, run_no: int) -> Iterator[list[tuple[Any, ...]]]:
    ((first, last),) = workspace.query("SELECT min(row), max(row) FROM rows")
    for row in range(first, last + 1, _PORTION) if last is not None else ():
        yield ledger.lines(run_no, row, min(last, row + _PORTION - 1))
