"""The report of a rollback: counts, exit code, summary.json and final text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from bulk_onboard.domain.entry import LeftGrower
from bulk_onboard.domain.formatting import counts_by, wrapped
from bulk_onboard.domain.model import RollbackStatus
from bulk_onboard.domain.run_events import Cause, RunInfo, RunKind
from bulk_onboard.errors import ExitCode
from bulk_onboard.reports.summary import (
    bug,
    cause_lines,
    paragraphs,
    requests_line,
    sent,
    without_credentials,
    written,
)

COLUMNS = (
    "row",
    "leafUserId",
    "provider",
    "status",
    "code",
    "message",
    "hint",
    "httpStatus",
    "attempts",
    "credentialId",
    "startedAt",
    "finishedAt",
    "latencyMs",
)
_REMAINING = frozenset({RollbackStatus.FAILED, RollbackStatus.UNRESOLVED, RollbackStatus.NOT_ATTEMPTED})
_CAUSES = """
SELECT status, code, count(*) AS number, min(row, 5) AS rows, arg_min(message, row) FROM results
WHERE status NOT IN ('deleted', 'would_delete') GROUP BY ALL ORDER BY number DESC, rows
"""


@dataclass(frozen=True, slots=True)
class RollbackCounts:
    """Rows by status, and the reasons for rows that were not deleted, the most frequent first."""

    statuses: Mapping[str, int] = field(default_factory=dict)
    causes: Sequence[Cause] = ()
    left_without: Sequence[LeftGrower] = ()

    @property
    def rows(self) -> int:
        """The number of rows of the rollback."""
        return sum(self.statuses.values())

    @property
    def in_order(self) -> Mapping[str, int]:
        """Rows by status, in the usual order."""
        return {status.value: self.statuses.get(status, 0) for status in RollbackStatus}

    @property
    def remaining(self) -> int:
        """How many rows have, or may have, credentials still."""
        return sum(self.statuses.get(status, 0) for status in _REMAINING)


def count_rollback(db: duckdb.DuckDBPyConnection, left_without: Sequence[LeftGrower]) -> RollbackCounts:
    """Count the results of a rollback."""
    statuses = db.execute("SELECT status, count(*) FROM results GROUP BY ALL").fetchall()
    causes = [
        Cause(status, code, number, tuple(rows), message)
        for status, code, number, rows, message in db.execute(_CAUSES).fetchall()
    ]
    return RollbackCounts(dict(statuses), causes, left_without)


def exit_code(counts: RollbackCounts, info: RunInfo) -> ExitCode:
    """Return the exit code of the rollback."""
    if counts.rows != info.rows or sum(counts.in_order.values()) != counts.rows:
        return ExitCode.BUG
    if info.interrupted:
        return ExitCode.INTERRUPTED
    if info.stop_reason and info.exit_code:
        return ExitCode(info.exit_code)
    return ExitCode.ATTENTION if counts.remaining or counts.left_without else ExitCode.OK


def summary(info: RunInfo, counts: RollbackCounts) -> dict[str, Any]:
    """Return the content of summary.json."""
    return {
        "runId": info.run_id,
        "rolledBack": info.input,
        "dryRun": info.kind is RunKind.ROLLBACK_DRY_RUN,
        "provider": info.provider,
        "rows": info.rows,
        "counts": dict(counts.in_order),
        "leftWithout": [grower._asdict() for grower in counts.left_without],
        **sent(info),
        "exitCode": int(exit_code(counts, info)),
        "stopReason": info.stop_reason,
    }


def words(info: RunInfo, counts: RollbackCounts, files: Sequence[Path], width: int = 80) -> str:
    """Return the final text: what was deleted, what was not and why, and what to do next."""
    code = exit_code(counts, info)
    numbers = (f"Rows:     {counts_by(counts.in_order)}", requests_line(info))
    return paragraphs(
        wrapped(_verdict(info, counts, code), width),
        [line for text in numbers for line in wrapped(text, width, 2, 2)],
        without_credentials(counts.left_without, width),
        cause_lines("Not deleted:", counts.causes, width),
        written(files),
        wrapped(_next(info, code), width),
    )


def _verdict(info: RunInfo, counts: RollbackCounts, code: ExitCode) -> str:
    if code is ExitCode.BUG:
        return bug(info.rows, counts.rows)
    if not info.rows:
        return f"Nothing to delete: run {info.input} created no credentials, or none for these growers."
    if info.kind is RunKind.ROLLBACK_DRY_RUN:
        number, what = counts.in_order[RollbackStatus.WOULD_DELETE], "A rollback would delete"
    else:
        number, what = counts.in_order[RollbackStatus.DELETED], "Deleted"
    sentence = f"{what} the credentials of {number:,} of {info.rows:,} growers of run {info.input}."
    match code:
        case ExitCode.OK | ExitCode.ATTENTION:
            return sentence
        case ExitCode.INTERRUPTED:
            return f"Interrupted: {sentence}"
        case _:
            return f"Stopped: {(info.stop_reason or code.meaning).rstrip('.')}. {sentence}"


def _next(info: RunInfo, code: ExitCode) -> str:
    if code is not ExitCode.OK:
        return "Next: fix the problems above and run the same command again; it does only what is left."
    if info.kind is RunKind.ROLLBACK_DRY_RUN:
        return "Nothing was changed. To delete these credentials, run the same command without --dry-run."
    return "To onboard these growers again, run their file."
