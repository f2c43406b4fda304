"""A rollback in the end: its rows, its sums, its words and its exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from bulk_onboard.domain.codes import hint
from bulk_onboard.entry import LeftGrower
from bulk_onboard.errors import ExitCode
from bulk_onboard.facts import Kind, RunInfo
from bulk_onboard.model import Undone
from bulk_onboard.reports.sanitize import plain
from bulk_onboard.reports.summary import listed, seconds_of, sent, without_credentials, wrapped
from bulk_onboard.reports.wording import length

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
_LEFT_TO_DO = frozenset({Undone.FAILED, Undone.UNRESOLVED, Undone.NOT_ATTEMPTED})


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows by status, and those that were not deleted by status and code, the most frequent first."""

    statuses: Mapping[str, int] = field(default_factory=dict)
    causes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    left_without: Sequence[LeftGrower] = ()

    @property
    def rows(self) -> int:
        """All rows of the rollback."""
        return sum(self.statuses.values())

    @property
    def counts(self) -> Mapping[str, int]:
        """Rows by status, in the usual order."""
        return {status.value: self.statuses.get(status, 0) for status in Undone}

    @property
    def left_to_do(self) -> int:
        """How many rows are not known to be as they should be."""
        return sum(self.statuses.get(status, 0) for status in _LEFT_TO_DO)


def count(db: duckdb.DuckDBPyConnection, left_without: Sequence[LeftGrower]) -> Sums:
    """Count the results of a rollback."""
    found = db.execute(
        "SELECT status, code, count(*) FROM results GROUP BY ALL ORDER BY count(*) DESC, min(row)"
    ).fetchall()
    statuses = Counter[str]()
    for status, _, number in found:
        statuses[status] += number
    deleted = {Undone.DELETED.value, Undone.WOULD_DELETE.value}
    causes = {(status, code): number for status, code, number in found if status not in deleted}
    return Sums(statuses, causes, left_without)


def exit_code(sums: Sums, info: RunInfo) -> ExitCode:
    """What the process tells its caller."""
    if sums.rows != info.rows or sum(sums.counts.values()) != sums.rows:
        return ExitCode.BUG
    if info.interrupted:
        return ExitCode.INTERRUPTED
    if info.stop_reason and info.exit_code:
        return ExitCode(info.exit_code)
    return ExitCode.ATTENTION if sums.left_to_do or sums.left_without else ExitCode.OK


def summary(info: RunInfo, sums: Sums) -> dict[str, Any]:
    """What summary.json holds of a rollback."""
    return {
        "runId": info.run_id,
        "rolledBack": info.input,
        "dryRun": info.kind is Kind.ROLLBACK_DRY_RUN,
        "provider": info.provider,
        "rows": info.rows,
        "counts": dict(sums.counts),
        "leftWithout": [each._asdict() for each in sums.left_without],
        **sent(info),
        "exitCode": int(exit_code(sums, info)),
        "stopReason": info.stop_reason,
    }


def words(info: RunInfo, sums: Sums, files: Sequence[Path], width: int = 80) -> str:
    """The closing text: what is deleted, what is not and why, what next."""
    code = exit_code(sums, info)
    paragraphs = [
        wrapped(_verdict(info, sums, code), width),
        [line for part in _numbers(info, sums) for line in wrapped(part, width, "  ")],
        list(without_credentials(sums.left_without, width)),
        list(_causes(sums, width)),
        ["Written:", *(f"  {plain(str(file))}" for file in files)],
        wrapped(_next(info, code), width),
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)


def _verdict(info: RunInfo, sums: Sums, code: ExitCode) -> str:
    if code is ExitCode.BUG:
        return (
            f"This is a bug in bulk-onboard: {info.rows:,} rows were to be rolled back, but the report counts"
            f" {sums.rows:,}. Please report it; running again is safe."
        )
    if not info.rows:
        return f"Nothing to delete: run {info.input} created nothing, or nothing for these growers."
    if info.kind is Kind.ROLLBACK_DRY_RUN:
        would = sums.counts[Undone.WOULD_DELETE]
        told = f"A rollback would delete the credentials of {would:,} of {info.rows:,} growers"
    else:
        done = sums.counts[Undone.DELETED]
        told = f"Deleted the credentials of {done:,} of {info.rows:,} growers"
    begun = {ExitCode.OK: "", ExitCode.ATTENTION: "", ExitCode.INTERRUPTED: "Interrupted: "}
    stopped = f"Stopped: {(info.stop_reason or code.meaning).rstrip('.')}. "
    return f"{begun.get(code, stopped)}{told} of run {info.input}."


def _numbers(info: RunInfo, sums: Sums) -> Iterator[str]:
    yield f"Rows:     {listed(sums.counts)}"
    seconds, requests = seconds_of(info), info.requests
    in_all = f" in {length(seconds)}" if requests.total else ""
    yield f"Requests: {requests.total:,} to Leaf{in_all}"


def _causes(sums: Sums, width: int) -> Iterator[str]:
    if sums.causes:
        yield "Not deleted:"
    for (status, code), count in sums.causes.items():
        rows = f"{count:,} row{'' if count == 1 else 's'}"
        yield from wrapped(f"{rows} {status.replace('_', ' ')} ({plain(code)})", width, "  ")
        if action := hint(code):
            yield from wrapped(f"-> {action}", width, "      ")


def _next(info: RunInfo, code: ExitCode) -> str:
    if code is not ExitCode.OK:
        return "Next: fix the problems above and run the same command again; it does only what is left."
    if info.kind is Kind.ROLLBACK_DRY_RUN:
        return "Nothing was changed. To delete them, run the same command without --dry-run."
    return "To onboard these growers again, run their file."
