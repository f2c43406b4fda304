"""Earlier runs and growers from the ledger, and rewriting the files of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bulk_onboard.domain.entry import LeftGrower
from bulk_onboard.domain.run_events import Observer, RunKind, ignore
from bulk_onboard.engine import closing, rollback
from bulk_onboard.engine.closing import RunResult
from bulk_onboard.engine.opening import find_run, open_ledger, require_blocks
from bulk_onboard.engine.results import results_of, stored_rows
from bulk_onboard.errors import UsageError
from bulk_onboard.ledger import Ledger, history
from bulk_onboard.ledger.history import Chapter, Past
from bulk_onboard.ledger.left_without import dismiss as dismiss_left
from bulk_onboard.ledger.left_without import left_without
from bulk_onboard.ledger.lock import hold
from bulk_onboard.reports.results import COLUMNS
from bulk_onboard.settings import Settings

__all__ = ["Chapter", "Past", "Story", "dismiss", "grower_of_row", "growers_with", "runs", "story"]


@dataclass(frozen=True, slots=True)
class Story:
    """The history of one grower, oldest first.

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
    with open_ledger(settings, observer) as ledger:
        return history.runs(ledger, limit), left_without(ledger)


def dismiss(settings: Settings, leaf_user_id: str, observer: Observer = ignore) -> list[LeftGrower]:
    """Report a grower that was left without credentials no longer. Raises UsageError, LedgerError."""
    with open_ledger(settings, observer) as ledger:
        if dismissed := dismiss_left(ledger, leaf_user_id):
            return dismissed
    raise UsageError(f"no interrupted replacement left {leaf_user_id} without credentials")


def story(settings: Settings, leaf_user_id: str, observer: Observer = ignore) -> Story:
    """What the ledger knows of one grower. Raises LedgerError."""
    with open_ledger(settings, observer) as ledger:
        chapters = tuple(history.story(ledger, leaf_user_id))
        left_growers = tuple(grower for grower in left_without(ledger) if grower.leaf_user_id == leaf_user_id)
        return Story(leaf_user_id, chapters, tuple(_latest(ledger, leaf_user_id)), left_growers)


def grower_of_row(settings: Settings, run_id: str | None, row: int, observer: Observer = ignore) -> str:
    """Return the leafUserId of a row of a run, of the latest run if ``run_id`` is None.

    Raises UsageError if there is no such row, or it has no leafUserId; LedgerError.
    """
    with open_ledger(settings, observer) as ledger:
        run_no, info = find_run(ledger, run_id)
        require_blocks(ledger, run_no, info)
        with stored_rows(ledger, run_no, info) as workspace:
            named = workspace.query(
                "SELECT coalesce(id::VARCHAR, leaf_user_id) AS name FROM rows"
                " WHERE row = $row AND NOT unresolved AND name != ''",
                row=row,
            )
    if named:
        return str(named[0][0])
    raise UsageError(f"run {info.run_id} has no row {row} with a leafUserId")


def growers_with(settings: Settings, value: str, observer: Observer = ignore) -> dict[str, str]:
    """Return the growers with this value in a kept column, and where it is: ``row 3 of run …, column name``.

    The latest runs of each Leaf and provider are searched, regardless of case. Raises LedgerError.
    """
    places: dict[str, str] = {}
    with open_ledger(settings, observer) as ledger:
        for run_no, info in history.latest_of_each_scope(ledger):
            with stored_rows(ledger, run_no, info) as workspace:
                for column, name in zip(workspace.kept_columns, workspace.kept, strict=True):
                    same = workspace.query(
                        "SELECT row, id::VARCHAR FROM rows WHERE id IS NOT NULL AND NOT unresolved"  # noqa: S608
                        f" AND lower(trim({column})) = lower(trim($value)) ORDER BY row",
                        value=value,
                    )
                    for row, grower in same:
                        places.setdefault(grower, f"row {row} of run {info.run_id}, column {name}")
    return places


def _latest(ledger: Ledger, leaf_user_id: str) -> Iterator[dict[str, Any]]:
    """Most rows of a night have no entry, because nothing was done about them."""
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    query = f'SELECT {columns} FROM results WHERE "leafUserId" = $grower ORDER BY row'  # noqa: S608
    for run_no, info in history.latest_of_each_scope(ledger):
        with results_of(ledger, run_no, info, again=True) as workspace:
            for values in workspace.query(query, grower=leaf_user_id):
                yield {"runId": info.run_id, **dict(zip(COLUMNS, values, strict=True))}


def write_again(run_id: str | None, settings: Settings, observer: Observer = ignore) -> RunResult:
    """Write a run's files again from the ledger: the latest run's if ``run_id`` is None.

    The lock is held meanwhile: a run that is about to end must not get files and a record of an older state.
    Raises UsageError if there is no such run, LedgerBusy, LedgerError, OutputError.
    """
    with open_ledger(settings, observer) as ledger, hold(settings.output.ledger_place, ledger.retry):
        run_no, info = find_run(ledger, run_id)
        if info.kind in {RunKind.ROLLBACK, RunKind.ROLLBACK_DRY_RUN}:
            return rollback.write(ledger, run_no, info, settings.output)
        require_blocks(ledger, run_no, info)
        return closing.write(ledger, run_no, info, settings.output, again=True)
