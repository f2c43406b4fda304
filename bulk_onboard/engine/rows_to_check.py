"""Which rows the events check looks at: those that this run connected, and earlier ones that are due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import repeat

import numpy as np
import pandas as pd

from bulk_onboard import manifest
from bulk_onboard.engine.scan import Scan
from bulk_onboard.engine.survey import Memory, Survey
from bulk_onboard.entry import OTHERS, Entry
from bulk_onboard.growers import time_texts
from bulk_onboard.manifest import CHECKED
from bulk_onboard.model import NOT_AS_ASKED, Health, Status
from bulk_onboard.policy.checks import Check
from bulk_onboard.stamp import from_text, to_text
from bulk_onboard.validation.columns import PROVIDER


def rows_to_check(
    memory: Memory,
    run_no: int,
    provider: str,
    *,
    every: bool,
    only: Iterable[int] | None = None,
    began: datetime | None = None,
    checked_before: datetime | None = None,
) -> Iterator[Check]:
    """The connected rows of a run, in input order.

    Of rows that were done before this run only those whose last check was not good, or that a run which
    was cut short never checked, unless ``every``. For the latter the wait counts from ``began``. And those
    whose last check was good, but before ``checked_before``.
    ``provider`` is that of rows which the run's blocks tell none of.
    """
    wanted = None if only is None else frozenset(only)
    again = checked_before is not None
    for first_row, last_row, data in memory.blocks(run_no):
        entries = {entry.row: entry for entry in memory.entries(run_no, first_row, last_row)}
        checks = [_check(entry) for entry in entries.values() if _is_open(entry, every)]
        checks += [
            Check(entry, None if entry.health else began, again=again and entry.health == Health.HEALTHY)
            for entry in _done_before(manifest.unpack(data), provider, every, checked_before)
            if entry.row not in entries
        ]
        checks.sort(key=lambda check: check.entry.row)
        yield from (c for c in checks if wanted is None or c.entry.row in wanted)


def rows_unknown(scan: Scan, found: Survey) -> Iterator[Check]:
    """The rows to do, to be looked at only. What an open intent says of a row must outlive a look in vain."""
    for row in scan.rows(found.wanted):
        intent = found.intents.get(row.number)
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


def count_due(memory: Memory, run_no: int, checked_before: datetime) -> int:
    """How many connected growers were healthy when they were last checked, before this time."""
    tables = (manifest.unpack(data) for _, _, data in memory.blocks(run_no))
    return sum(
        int(((table["health"] == Health.HEALTHY.value) & _is_due(table, checked_before)).sum())
        for table in tables
    )


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
    table: pd.DataFrame, provider: str, every: bool, checked_before: datetime | None
) -> list[Entry]:
    done = table["status"] == Status.EXISTING.value
    if not every:
        done &= (table["health"] != Health.HEALTHY.value) | _is_due(table, checked_before)
    done &= ~table["code"].isin(NOT_AS_ASKED)
    names = ["row", "status", "leafUserId", "fingerprint", "code", "message", "health", "credentialId", "app"]
    lines = zip(*(table.loc[done, name].tolist() for name in names), strict=True)
    goes = table.loc[done, PROVIDER] if PROVIDER in table else repeat(provider)
    times = time_texts(_checked(table)[done.to_numpy(bool)]).to_pylist()
    return [
        _entry(*line)._replace(provider=name, health_checked_at=time)
        for line, name, time in zip(lines, goes, times, strict=False)
    ]


def _checked(table: pd.DataFrame) -> np.ndarray:
    """When the health of rows that were done before was checked, in milliseconds since 1970, 0 for never."""
    return table[CHECKED].to_numpy(np.int64) if CHECKED in table else np.zeros(len(table), np.int64)


def _is_due(table: pd.DataFrame, checked_before: datetime | None) -> np.ndarray:
    """Return which rows were checked before this time; of a row that was never, its health says so."""
    if checked_before is None:
        return np.zeros(len(table), bool)
    due: np.ndarray = _checked(table) < checked_before.timestamp() * 1000
    return due


def _entry(row: int, status: str, leaf_user_id: str, fingerprint: str, code: str, *more: str) -> Entry:
    """An entry for a row that was done before; ``more``: message, health, credential's id and application."""
    message, health, held, app = more
    # Leaf holds other secrets than the file, or may: the ledger must not take the one for the other.
    known = {"token-changed": OTHERS, "already-connected": ""}.get(code, fingerprint)
    return Entry(
        row, status, leaf_user_id, known, code, message, health=health, credential_id=held, app=int(app)
    )
