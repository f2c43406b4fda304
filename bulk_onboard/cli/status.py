"""``bulk-onboard status LEAF_USER_ID``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulk_onboard.cli import options
from bulk_onboard.cli.messages import say_trouble
from bulk_onboard.cli.runner import load_settings
from bulk_onboard.domain.codes import hint
from bulk_onboard.domain.formatting import counted
from bulk_onboard.domain.model import Health, Status
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bulk_onboard.engine.past_runs import Chapter, Story
    from bulk_onboard.settings import Settings

_EPILOG = """\b
Examples:
  bulk-onboard status abcd0000-0000-4000-8000-000000000001
  bulk-onboard status abcd0000-0000-4000-8000-000000000001 --json
  bulk-onboard status --row 2
  bulk-onboard status abcd0000-0000-4000-8000-000000000001 --dismiss

Exit code 0: the grower is connected; 1: it needs attention; 2: it is not in the ledger.
"""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# How many growers are listed if a value belongs to several.
_LISTED = 5
_DONE = {status.value for status in Status if status.done}


@click.command("status", cls=options.Command, epilog=_EPILOG)
@click.argument("grower", required=False, metavar="LEAF_USER_ID")
@options.option("--run", "run", metavar="RUN", help="The run that --row refers to.  [default: latest]")
@options.option(
    "--row", type=click.IntRange(min=1), metavar="N", help="Show the grower in this row of a run."
)
@options.option(
    "--dismiss",
    is_flag=True,
    help="Stop reporting the grower as left without credentials by an interrupted replacement.",
)
@options.settings("output", "ledger")
@options.config
@options.as_json
def command(
    *,
    grower: str | None,
    run: str | None,
    row: int | None,
    dismiss: bool,
    config: Path | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Show the history of one grower: intents, outcomes and events of all runs, in order.

    Instead of LEAF_USER_ID, give a value of a column that was copied with --keep, such as a name or an email
    address, or use --row. Reads only the ledger, not Leaf. Works during a run.
    """
    from bulk_onboard.engine.opening import require_ledger  # noqa: PLC0415

    if (grower is None) == (row is None) or (run is not None and row is None):
        raise UsageError("name one grower: by its LEAF_USER_ID, by a value of a kept column, or with --row N")
    settings = load_settings(given, config, offline=True)
    require_ledger(settings)
    grower = _of_row(settings, run, row) if row is not None else _named(settings, grower or "")
    from bulk_onboard.engine import past_runs  # noqa: PLC0415

    if dismiss:
        for dismissed in past_runs.dismiss(settings, grower, say_trouble):
            click.echo(
                f"Dismissed: {dismissed.provider} at {dismissed.leaf}, left by run {dismissed.run_id}.",
                err=True,
            )
    history = past_runs.story(settings, grower, say_trouble)
    if not (history.chapters or history.latest):
        raise UsageError(f"the ledger {settings.output.ledger_place} has no record of {grower}")
    click.echo(json.dumps(as_data(history), indent=2) if as_json else in_words(history))
    return ExitCode.OK if dismiss or is_healthy(history) else ExitCode.ATTENTION


def _of_row(settings: Settings, run: str | None, row: int) -> str:
    from bulk_onboard.engine.opening import run_named  # noqa: PLC0415
    from bulk_onboard.engine.past_runs import grower_of_row  # noqa: PLC0415

    if run is not None and (run := run_named(run)) is None:
        raise UsageError("--run is not the id or the folder of a run")
    return grower_of_row(settings, run, row, say_trouble)


def _named(settings: Settings, text: str) -> str:
    """Return the leafUserId that the text is or belongs to, by a column of --keep. Raises UsageError."""
    from bulk_onboard.engine.past_runs import growers_with  # noqa: PLC0415

    if _UUID.fullmatch(named := text.strip().strip("{}").lower()):
        return named
    growers = growers_with(settings, text, say_trouble)
    if len(growers) == 1:
        return next(iter(growers))
    if not growers:
        # The text is not repeated: it may be a token.
        raise UsageError("this is not a leafUserId, and no kept column of the latest runs has this value")
    listed = "; ".join(f"{grower} ({place})" for grower, place in list(growers.items())[:_LISTED])
    more = f"; and {len(growers) - _LISTED:,} more" if len(growers) > _LISTED else ""
    raise UsageError(f"{len(growers):,} growers have this value: {listed}{more}. Name one by its leafUserId")


def is_healthy(history: Story) -> bool:
    """Return whether the grower is connected at every Leaf and provider where it was last checked."""
    ends = [(line["status"], line["health"]) for line in history.latest]
    ends = ends or [(chapter.entry.status, chapter.entry.health) for chapter in history.chapters[-1:]]
    return not history.left and all(status in _DONE and health != Health.UNHEALTHY for status, health in ends)


def as_data(history: Story) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return {
        "leafUserId": history.leaf_user_id,
        "runs": [_chapter_data(chapter) for chapter in history.chapters],
        "latest": list(history.latest),
        "leftWithout": [grower._asdict() for grower in history.left],
    }


def _chapter_data(chapter: Chapter) -> dict[str, Any]:
    entry = chapter.entry
    return {
        "runId": chapter.info.run_id,
        "kind": chapter.info.kind.value,
        "input": chapter.info.input,
        "row": entry.row,
        "leaf": chapter.info.leaf,
        "provider": chapter.provider,
        "runStartedAt": to_text(chapter.info.started_at),
        "intendedAt": entry.intended_at or None,
        "status": entry.status,
        "code": _code(chapter),
        "message": entry.message,
        "hint": hint(_code(chapter)),
        "httpStatus": entry.http_status,
        "attempts": entry.attempts,
        "credentialId": entry.credential_id,
        "credentialStatus": entry.credential_status,
        "health": entry.health,
        "eventStatusCode": entry.event_status,
        "eventAt": entry.event_at or None,
        "finishedAt": entry.finished_at or None,
    }


def _code(chapter: Chapter) -> str:
    return chapter.entry.code if chapter.entry.status else "open-intent"


def in_words(history: Story) -> str:
    """Return the history as text, with a paragraph for each run."""
    from bulk_onboard.reports.summary import without_credentials  # noqa: PLC0415

    lines = [f"Grower {history.leaf_user_id}"]
    for chapter in history.chapters:
        info = chapter.info
        where = f"row {chapter.entry.row} of {info.input}, {chapter.provider} at {info.leaf}"
        lines += ["", f"{info.kind.value} {info.run_id}", f"  {where}", *_chapter_lines(chapter)]
    lines += ["", "In the latest run's file:"] if history.latest else []
    for line in history.latest:
        lines += _latest_lines(line)
    if history.left:
        lines += ["", *without_credentials(history.left, 110)]
    return "\n".join(lines)


def _chapter_lines(chapter: Chapter) -> Iterator[str]:
    """Return the lines for intent, outcome and event, with their times."""
    entry = chapter.entry
    if entry.intended_at:
        yield _at(entry.intended_at, "intent: the credentials are about to be sent")
    if entry.status is None:
        yield _at("", "no outcome is known: the next run asks Leaf before it sends anything")
        return
    yield _at(entry.finished_at, _outcome(chapter))
    if entry.message:
        yield _at("", entry.message)
    if entry.event_status is not None:
        yield _at(entry.event_at, f"provider event: {entry.event_status}")
    if entry.health:
        state = f"; status at Leaf: {entry.credential_status}" if entry.credential_status else ""
        yield _at(entry.health_checked_at, f"{entry.health}{state}")
    if advice := hint(entry.code):
        yield _at("", f"-> {advice}")


def _outcome(chapter: Chapter) -> str:
    entry = chapter.entry
    parts = [f"HTTP {entry.http_status}"] if entry.http_status else []
    parts += [counted(entry.attempts, "attempt")] if entry.attempts else []
    parts += [f"credential {entry.credential_id}"] if entry.credential_id else []
    code = f" ({entry.code})" if entry.code else ""
    return f"{entry.status}{code}{': ' if parts else ''}{', '.join(parts)}"


def _latest_lines(line: dict[str, Any]) -> Iterator[str]:
    code = f" ({line['code']})" if line["code"] else ""
    health = f", {line['health']}" if line["health"] else ""
    yield f"  row {line['row']} in {line['runId']}: {line['status']}{code}{health}"
    if line["message"]:
        yield f"      {line['message']}"
    if line["hint"] and line["status"] not in _DONE:
        yield f"      -> {line['hint']}"


def _at(moment: str, text: str) -> str:
    """Return a line with a readable time, or without a time."""
    return f"  {moment[:19].replace('T', ' '):19}  {text}"
