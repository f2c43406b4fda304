"""The report of a rollback: counts, exit code, summary.json and closing text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from bulk_onboard.domain.codes import hint
from bulk_onboard.domain.entry import LeftGrower
from bulk_onboard.domain.model import RollbackStatus
from bulk_onboard.domain.run_events import RunInfo, RunKind
from bulk_onboard.errors import ExitCode
from bulk_onboard.reports.formatting import duration, listed, rows, status, wrapped
from bulk_onboard.reports.sanitize import plain
from bulk_onboard.reports.summary import seconds_of, sent, without_credentials

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


@dataclass(frozen=True, slots=True)
class RollbackCounts:
    """Rows by status, and those that were not deleted by status and code, the most frequent first."""

    statuses: Mapping[str, int] = field(default_factory=dict)
    causes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    left_without: Sequence[LeftGrower] = ()

    @property
    def rows(self) -> int:
        """All rows of the rollback."""
        return sum(self.statuses.values())

    @property
    def in_order(self) -> Mapping[str, int]:
        """Rows by status, in the usual order."""
        return {end.value: self.statuses.get(end, 0) for end in RollbackStatus}

    @property
    def remaining(self) -> int:
        """How many rows still have credentials, or may have."""
        return sum(self.statuses.get(end, 0) for end in _REMAINING)


def count_rollback(db: duckdb.DuckDBPyConnection, left_without: Sequence[LeftGrower]) -> RollbackCounts:
    """Count the results of a rollback."""
    rows = db.execute(
        "SELECT status, code, count(*) FROM results GROUP BY ALL ORDER BY count(*) DESC, min(row)"
    ).fetchall()
    statuses = Counter[str]()
    for end, _, number in rows:
        statuses[end] += number
    deleted = {RollbackStatus.DELETED.value, RollbackStatus.WOULD_DELETE.value}
    causes = {(end, code): number for end, code, number in rows if end not in deleted}
    return RollbackCounts(statuses, causes, left_without)


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
    """Return the closing text: what was deleted, what was not and why, and what to do next."""
    code = exit_code(counts, info)
    paragraphs = [
        wrapped(_verdict(info, counts, code), width),
        [line for part in _numbers(info, counts) for line in wrapped(part, width, "  ")],
        list(without_credentials(counts.left_without, width)),
        list(_causes(counts, width)),
        ["Written:", *(f"  {plain(str(file))}" for file in files)],
        wrapped(_next(info, code), width),
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)


def _verdict(info: RunInfo, counts: RollbackCounts, code: ExitCode) -> str:
    if code is ExitCode.BUG:
        return (
            f"This is a bug in bulk-onboard: {info.rows:,} rows were to be rolled back, but the report counts"
            f" {counts.rows:,}. Please report it; running again is safe."
        )
    if not info.rows:
        return f"Nothing to delete: run {info.input} created nothing, or nothing for these growers."
    if info.kind is RunKind.ROLLBACK_DRY_RUN:
        would = counts.in_order[RollbackStatus.WOULD_DELETE]
        sentence = f"A rollback would delete the credentials of {would:,} of {info.rows:,} growers"
    else:
        done = counts.in_order[RollbackStatus.DELETED]
        sentence = f"Deleted the credentials of {done:,} of {info.rows:,} growers"
    begun = {ExitCode.OK: "", ExitCode.ATTENTION: "", ExitCode.INTERRUPTED: "Interrupted: "}
    stopped = f"Stopped: {(info.stop_reason or code.meaning).rstrip('.')}. "
    return f"{begun.get(code, stopped)}{sentence} of run {info.input}."


def _numbers(info: RunInfo, counts: RollbackCounts) -> Iterator[str]:
    yield f"Rows:     {listed(counts.in_order)}"
    seconds, requests = seconds_of(info), info.requests
    in_all = f" in {duration(seconds)}" if requests.total else ""
    yield f"Requests: {requests.total:,} to Leaf{in_all}"


def _causes(counts: RollbackCounts, width: int) -> Iterator[str]:
    if counts.causes:
        yield "Not deleted:"
    for (end, code), number in counts.causes.items():
        yield from wrapped(f"{rows(number)} {status(end)} ({plain(code)})", width, "  ")
        if action := hint(code):
            yield from wrapped(f"-> {action}", width, "      ")


def _next(info: RunInfo, code: ExitCode) -> str:
    if code is not ExitCode.OK:
        return "Next: fix the problems above and run the same command again; it does only what is left."
    if info.kind is RunKind.ROLLBACK_DRY_RUN:
        return "Nothing was changed. To delete them, run the same command without --dry-run."
    return "To onboard these growers again, run their file."
