"""``bulk-onboard runs``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulk_onboard.cli import options
from bulk_onboard.cli.messages import say_trouble
from bulk_onboard.cli.runner import load_settings
from bulk_onboard.domain.formatting import duration, table
from bulk_onboard.domain.model import Health, RollbackStatus, Status
from bulk_onboard.domain.run_events import RunInfo, RunKind
from bulk_onboard.domain.timestamps import to_text

if TYPE_CHECKING:
    from bulk_onboard.domain.entry import LeftGrower
    from bulk_onboard.engine.past_runs import Past

_EPILOG = """\b
Examples:
  bulk-onboard runs
  bulk-onboard runs --limit 5 --json
"""
_HEAD = ("started (UTC)", "run", "rows", "created", "existing", "attention", "exit", "took")
_DONE = {Status.CREATED.value, Status.EXISTING.value, Status.DUPLICATE.value}


@click.command("runs", cls=options.Command, epilog=_EPILOG)
@options.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="List only the latest N runs.  [default: 20]"
)
@options.settings("output", "ledger")
@options.config
@options.as_json
def command(limit: int | None, config: Path | None, as_json: bool, **given: Any) -> int:
    """List the past runs, the latest first, with start, input, number of rows and result.

    Works during a run.
    """
    from bulk_onboard.engine.opening import require_ledger  # noqa: PLC0415

    settings = load_settings(given, config, offline=True)
    require_ledger(settings)
    from bulk_onboard.engine.past_runs import runs  # noqa: PLC0415
    from bulk_onboard.reports.summary import without_credentials  # noqa: PLC0415

    past_runs, left_growers = runs(settings, limit or 20, say_trouble)
    if as_json:
        click.echo(json.dumps([as_data(past, past_runs, left_growers) for past in past_runs], indent=2))
    else:
        click.echo(in_words(past_runs))
        click.echo(
            "\n".join(["", *without_credentials(left_growers, 110)]) if left_growers else "",
            nl=bool(left_growers),
        )
    return 0


def as_data(past: Past, past_runs: Sequence[Past], left_growers: Sequence[LeftGrower]) -> dict[str, Any]:
    """Return what ``--json`` prints about a run; null for values that a run gets when it ends.

    ``past_runs``: all listed runs, the latest first.
    """
    info = past.info
    return {
        "runId": info.run_id,
        "kind": info.kind.value,
        "input": info.input,
        "provider": info.provider,
        "leaf": info.leaf,
        "startedAt": to_text(info.started_at),
        "finishedAt": to_text(info.finished_at) or None,
        "seconds": _seconds(info.started_at, info.finished_at),
        "rows": info.rows,
        "counts": dict(past.counts) or None,
        "health": dict(past.health) or None,
        "exitCode": info.exit_code,
        "stopReason": info.stop_reason,
        "supersededBy": superseded_by(past, past_runs),
        "rolledBackBy": undone_by(past, past_runs),
        "leftWithout": [grower.leaf_user_id for grower in left_growers if grower.run_id == info.run_id],
    }


def _seconds(began: datetime, ended: datetime | None) -> float | None:
    return round((ended - began).total_seconds(), 1) if ended else None


def in_words(past_runs: Sequence[Past]) -> str:
    """Return a table of the runs; the reason for an early end is below its run."""
    head, *lines = table([_HEAD, *map(_cells, past_runs)], left=2)
    output = [head]
    for past, line in zip(past_runs, lines, strict=True):
        output += [line, *_remarks(past, past_runs)]
    return "\n".join(output) if past_runs else "This ledger has no runs yet."


def _cells(past: Past) -> tuple[str, ...]:
    info, counts = past.info, past.counts
    numbers = ["", "", ""]
    if counts:
        attention = sum(count for status, count in counts.items() if status not in _DONE)
        attention += past.health.get(Health.UNHEALTHY, 0)
        numbers = [
            f"{n:,}" for n in (counts.get(Status.CREATED, 0), counts.get(Status.EXISTING, 0), attention)
        ]
    seconds = _seconds(info.started_at, info.finished_at)
    return (
        f"{info.started_at:%Y-%m-%d %H:%M}",
        info.run_id,
        f"{info.rows:,}",
        *numbers,
        "" if info.exit_code is None else str(info.exit_code),
        "" if seconds is None else duration(seconds),
    )


def superseded_by(past: Past, past_runs: Sequence[Past]) -> str | None:
    """Return the next run of the same file at the same Leaf after a killed run, or None.

    ``past_runs``: the runs, the latest first.
    """
    if past.info.finished_at is not None:
        return None
    later = list(_later(past, past_runs))
    return next((info.run_id for info in reversed(later) if _repeats(info, past.info)), None)


def undone_by(past: Past, past_runs: Sequence[Past]) -> list[str]:
    """Return the rollbacks of a run that deleted credentials, the oldest first."""
    deleted = [
        past_run.info.run_id
        for past_run in past_runs
        if (past_run.info.kind, past_run.info.input) == (RunKind.ROLLBACK, past.info.run_id)
        and past_run.counts.get(RollbackStatus.DELETED)
    ]
    return deleted[::-1]


def _later(past: Past, past_runs: Sequence[Past]) -> Iterator[RunInfo]:
    for past_run in past_runs:
        if past_run is past:
            return
        yield past_run.info


def _repeats(later: RunInfo, info: RunInfo) -> bool:
    same = (info.kind, info.input, info.leaf, info.owner)
    return (later.kind, later.input, later.leaf, later.owner) == same


def _remarks(past: Past, past_runs: Sequence[Past]) -> Iterator[str]:
    info = past.info
    # The run id contains most of the file's name, but two files may have the same name.
    yield f"    {info.kind.value} of {info.input}, {info.provider}, {info.leaf}"
    if undone := undone_by(past, past_runs):
        yield f"    rolled back by {', '.join(undone)}"
    if info.finished_at is not None:
        if info.stop_reason:
            yield f"    {info.stop_reason}"
    elif following := superseded_by(past, past_runs):
        yield f"    was killed; a later run of this file replaced it: {following}"
    elif any(_later(past, past_runs)):
        yield "    was killed; running its command again is safe, and does only what is left"
    else:
        yield "    has not ended: it is still running or was killed; running it again is safe"
