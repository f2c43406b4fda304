"""What the ledger tells of the past. It is only looked at, so a run may hold it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bulk_onboard import manifest
from bulk_onboard.engine.opening import find, looked_into, require_blocks
from bulk_onboard.entry import LeftGrower
from bulk_onboard.errors import UsageError
from bulk_onboard.facts import Observer, ignore
from bulk_onboard.ledger import Ledger, history
from bulk_onboard.ledger.history import Chapter, Past
from bulk_onboard.ledger.left_without import dismiss as dismiss_left
from bulk_onboard.ledger.left_without import left_without
from bulk_onboard.report.rows import COLUMNS, merge
from bulk_onboard.settings import Settings

__all__ = ["Chapter", "Past", "Story", "dismiss", "grower_of_row", "growers_with", "runs", "story"]


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one grower, oldest first.

    ``chapters``: what runs did. ``latest``: its lines in the results of the latest run of each Leaf and
    provider, with that run's id. ``left``: where an interrupted replacement left it without credentials.
    """

    leaf_user_id: str
    chapters: tuple[Chapter, ...]
    latest: tuple[dict[str, Any], ...]
    left: tuple[LeftGrower, ...] = ()


def runs(
    settings: Settings, limit: int | None, observer: Observer = ignore
) -> tuple[list[Past], list[LeftGrower]]:
    """The latest runs first, and all growers left without credentials. Raises LedgerError."""
    with looked_into(settings, observer) as ledger:
        return history.runs(ledger, limit), left_without(ledger)


def dismiss(settings: Settings, leaf_user_id: str, observer: Observer = ignore) -> list[LeftGrower]:
    """Report a grower that was left without credentials no longer. Raises UsageError, LedgerError."""
    with looked_into(settings, observer) as ledger:
        if dismissed := dismiss_left(ledger, leaf_user_id):
            return dismissed
    raise UsageError(f"no interrupted replacement left {leaf_user_id} without credentials")


def story(settings: Settings, leaf_user_id: str, observer: Observer = ignore) -> Story:
    """What the ledger knows of one grower. Raises LedgerError."""
    with looked_into(settings, observer) as ledger:
        chapters = tuple(history.story(ledger, leaf_user_id))
        left = tuple(each for each in left_without(ledger) if each.leaf_user_id == leaf_user_id)
        return Story(leaf_user_id, chapters, tuple(_latest(ledger, leaf_user_id)), left)


def grower_of_row(settings: Settings, run_id: str | None, row: int, observer: Observer = ignore) -> str:
    """Return the leafUserId of a row of a run, of the latest run if ``run_id`` is None.

    Raises UsageError if there is no such row, or it has no leafUserId; LedgerError.
    """
    with looked_into(settings, observer) as ledger:
        run_no, info = find(ledger, run_id)
        require_blocks(ledger, run_no, info)
        for first_row, last_row, data in ledger.blocks(run_no):
            if first_row <= row <= last_row:
                table = manifest.unpack(data)
                if named := [text for text in table["leafUserId"][table["row"] == row].tolist() if text]:
                    return str(named[0])
    raise UsageError(f"run {info.run_id} has no row {row} with a leafUserId")


def growers_with(settings: Settings, value: str, observer: Observer = ignore) -> dict[str, str]:
    """Return the growers with this value in a kept column, and where it is: ``row 3 of run …, column name``.

    The latest runs of each Leaf and provider are searched, regardless of case. Raises LedgerError.
    """
    found: dict[str, str] = {}
    with looked_into(settings, observer) as ledger:
        for run_no, info in history.latest_of_each_scope(ledger):
            for _, _, data in ledger.blocks(run_no):
                table = manifest.unpack(data)
                for name in (each for each in map(str, table) if each.startswith(manifest.KEPT_PREFIX)):
                    same = table[name].str.strip().str.casefold() == value.strip().casefold()
                    lines = table.loc[same & (table["leafUserId"] != ""), ["row", "leafUserId"]]
                    column = name.removeprefix(manifest.KEPT_PREFIX)
                    for row, grower in lines.itertuples(index=False, name=None):
                        found.setdefault(grower, f"row {row} of run {info.run_id}, column {column}")
    return found


def _latest(ledger: Ledger, leaf_user_id: str) -> Iterator[dict[str, Any]]:
    """Most rows of a night have no entry, for nothing was done about them: they stand in the blocks."""
    for run_no, info in history.latest_of_each_scope(ledger):
        for first_row, last_row, data in ledger.blocks(run_no):
            table = manifest.unpack(data)
            lines = table[table["leafUserId"] == leaf_user_id]
            if len(lines):
                page = merge(lines, ledger.entries(run_no, first_row, last_row), info.provider)
                plain = page.astype(object).where(page.notna(), None)
                for values in zip(*(plain[name] for name in COLUMNS), strict=True):
                    yield {"runId": info.run_id, **dict(zip(COLUMNS, values, strict=True))}
