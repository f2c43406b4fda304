"""The rows of the events check: those that this run connected, and earlier ones that are due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from bulk_onboard.domain.entry import OTHERS, Entry
from bulk_onboard.domain.model import NOT_AS_ASKED, Health, Status
from bulk_onboard.domain.timestamps import from_text, to_text
from bulk_onboard.engine.checked_file import CheckedFile
from bulk_onboard.engine.first_pass import FirstPass, Memory
from bulk_onboard.policy.checks import Check
from bulk_onboard.workspace import Workspace

# Entries of this many rows are in memory at a time.
BATCH = 20_000


def rows_to_check(
    workspace: Workspace,
    memory: Memory,
    run_no: int,
    *,
    every: bool,
    only: Iterable[int] | None = None,
    began: datetime | None = None,
    checked_before: datetime | None = None,
) -> Iterator[Check]:
    """Yield the connected rows of a run, in input order.

    Rows that were done before this run are yielded if their last check was not good, if an interrupted run
    never checked them (then the wait counts from ``began``), if their last check is older than
    ``checked_before``, or if ``every`` is set.
    """
    wanted = None if only is None else frozenset(only)
    again = checked_before is not None
    for first_row, last_row in workspace.ranges(BATCH):
        entries = {entry.row: entry for entry in memory.entries(run_no, first_row, last_row)}
        checks = [_check(entry) for entry in entries.values() if _is_open(entry, every)]
        checks += [
            Check(entry, None if entry.health else began, again=again and entry.health == Health.HEALTHY)
            for entry in _done_before(workspace, first_row, last_row, every, checked_before)
            if entry.row not in entries
        ]
        checks.sort(key=lambda check: check.entry.row)
        yield from (c for c in checks if wanted is None or c.entry.row in wanted)


def rows_unknown(file: CheckedFile, first_pass: FirstPass) -> Iterator[Check]:
    """Yield the rows to do, to be checked only. An open intent stays on record if the check fails."""
    for row in file.rows(first_pass.wanted, first_pass.known.user_ids):
        intent = first_pass.known.intents.get(row.number)
        status = Status.UNRESOLVED if intent else Status.NOT_ATTEMPTED
        entry = Entry(
            row.number,
            status.value,
            row.leaf_user_id,
            row.fingerprint if intent is None or intent.same else "",
            intended_at=to_text(intent.at if intent else None),
            deleting=intent.deleting if intent else "",
            deleting_created=intent.deleting_created if intent else "",
            app=intent.app if intent else 0,
            provider=row.provider,
        )
        yield Check(entry, payload=row.payload, unless_found=status)


def _is_open(entry: Entry, every: bool) -> bool:
    connected = entry.status in {Status.CREATED.value, Status.EXISTING.value}
    # Of no grower: what a plan leaves out.
    connected = connected and entry.code not in NOT_AS_ASKED
    return connected and bool(entry.leaf_user_id) and (every or entry.health in {"", Health.PENDING.value})


def _check(entry: Entry) -> Check:
    return Check(
        entry, stored_at=from_text(entry.finished_at) if entry.status == Status.CREATED.value else None
    )


def _done_before(
    workspace: Workspace, first_row: int, last_row: int, every: bool, checked_before: datetime | None
) -> Iterator[Entry]:
    """Yield entries for the rows that were done before this run and are due for a check."""
    due = None if every else to_text(checked_before)
    for row, provider, leaf_user_id, fingerprint, code, message, *known in workspace.done_before(
        first_row, last_row, due
    ):
        health, checked_at, credential_id, app = known
        # Leaf holds other secrets than the file, or may: the ledger must not take the one for the other.
        stored = {"token-changed": OTHERS, "already-connected": ""}.get(code, fingerprint)
        yield Entry(
            row,
            Status.EXISTING.value,
            leaf_user_id,
            stored,
            code,
            message,
            health=health,
            health_checked_at=checked_at,
            credential_id=credential_id,
            app=app,
            provider=provider,
        )
