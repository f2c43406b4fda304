"""``bulk-onboard rollback RUN``."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulk_onboard.cli import completion, options
from bulk_onboard.cli.messages import is_terminal, say, say_trouble
from bulk_onboard.cli.runner import Showing, drive, load_settings, opened
from bulk_onboard.domain.formatting import n_growers
from bulk_onboard.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bulk_onboard.engine.rollback import Outlook
    from bulk_onboard.settings import Settings

_EPILOG = """\b
Examples:
  bulk-onboard rollback 20261123T154500Z-growers --dry-run
  bulk-onboard rollback 20261123T154500Z-growers --only these.csv --yes

\b
Credentials that the run replaced do not come back: their secrets were
never stored. Running the same command again does only what is left to do.
"""


MOST_NAMED = 5  # growers in a line


@click.command("rollback", cls=options.Command, epilog=_EPILOG)
@click.argument("run", shell_complete=completion.runs)
@options.option(
    "--only",
    metavar="FILE",
    group="Input",
    help="Roll back only the growers in the column leafUserId of FILE.",
)
@options.settings("sheet", "hidden", "rate", "max_in_flight", "timeout", "Reports", "Sandbox")
@options.option("--dry-run", is_flag=True, group="Safety", help="Only ask Leaf what would be deleted.")
@options.option(
    "--include-unproven",
    is_flag=True,
    group="Safety",
    help="Also delete credentials that only their time links to the run (code settled-by-time).",
)
@options.option("--yes", is_flag=True, group="Safety", help="Do not ask for confirmation.")
@options.config
@options.showing
def command(
    run: str,
    *,
    dry_run: bool,
    only: str | None,
    include_unproven: bool,
    yes: bool,
    config: Path | None,
    showing: Showing,
    **given: Any,
) -> int:
    """Delete at Leaf the credentials that RUN created and that are unchanged.

    RUN is a run's id or its folder. The events of deleted credentials are saved in the rollback's folder.
    """
    from bulk_onboard.engine.opening import require_ledger, run_named  # noqa: PLC0415
    from bulk_onboard.settings.requirements import require  # noqa: PLC0415

    settings = load_settings(given, config, showing)
    require(settings)
    require_ledger(settings)
    run_id = run_named(run)
    if run_id is None:
        raise UsageError(f"{run} is a file; name a run, such as 20261123T154500Z-growers")
    growers = _listed(only, settings) if only is not None else None
    from bulk_onboard.engine.rollback import outlook, rollback  # noqa: PLC0415

    preview = outlook(run_id, settings, growers, say_trouble, include_unproven=include_unproven)
    if preview.unmatched:
        say(_unmatched(preview), err=True)
    if not (dry_run or yes or not preview.to_do or _confirmed(preview, settings)):
        say("Nothing was deleted.", err=True)
        return ExitCode.INTERRUPTED
    return drive(
        lambda observer, stop: rollback(
            run_id,
            settings,
            observer,
            stop,
            only=growers,
            dry_run=dry_run,
            include_unproven=include_unproven,
        ),
        showing,
    )


def _listed(file: str, settings: Settings) -> Collection[str]:
    from bulk_onboard.domain.input_description import require_decision  # noqa: PLC0415
    from bulk_onboard.engine.rollback import growers_listed  # noqa: PLC0415

    with opened(file, settings.input) as source:
        require_decision(source.description)
        return growers_listed(source)


def _unmatched(preview: Outlook) -> str:
    """Return a line about growers in the list that the run did not connect, which may be a mistake."""
    count, some = len(preview.unmatched), ", ".join(preview.unmatched[:MOST_NAMED])
    were = f"{n_growers(count)} of the list {'was' if count == 1 else 'were'}"
    more = ", …" if count > MOST_NAMED else ""
    return f"{were} not connected by run {preview.run_id} and will be left alone: {some}{more}"


def _confirmed(preview: Outlook, settings: Settings) -> bool:
    """Ask a person to confirm; return the answer. Raises UsageError without a terminal."""
    growers = n_growers(preview.to_do)
    where = "the sandbox" if settings.sandbox else preview.leaf
    if not is_terminal(sys.stdin):
        raise UsageError(
            f"this deletes the credentials of {growers} at {where}, and there is no terminal to confirm on:"
            " add --yes or --dry-run"
        )
    what = f"Delete the credentials of {growers} that run {preview.run_id} connected"
    return click.confirm(f"{what} at {where} as {preview.owner}?", err=True)
