"""``bulk-onboard events RUN_OR_FILE``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulk_onboard.cli import completion, options
from bulk_onboard.cli.runner import Showing, driven, load_settings, opened, with_after_run
from bulk_onboard.domain.input_description import display_name

if TYPE_CHECKING:
    from bulk_onboard.engine.run import RunResult
    from bulk_onboard.settings import Settings

_EPILOG = """\b
Examples:
  bulk-onboard events 20261123T154500Z-growers
  bulk-onboard events growers.csv --events-wait 0
  bulk-onboard events growers.csv --notify-when change --metrics raven.prom
"""


@click.command("events", cls=options.Command, epilog=_EPILOG)
@click.argument("run_or_file", shell_complete=completion.runs_or_files)
@options.settings(
    "Input", "rate", "max_in_flight", "timeout", "events_wait", "Reports", "After the run", "Sandbox"
)
@options.config
@options.showing
def command(
    run_or_file: str,
    *,
    config: Path | None,
    showing: Showing,
    **given: Any,
) -> int:
    """Check the events of growers again, e.g. the next morning. Nothing is stored at Leaf.

    RUN_OR_FILE is a run's id, its folder, or a file of growers; - is CSV on standard input.
    """
    return check(run_or_file, load_settings(given, config, showing), showing)


def check(run_or_file: str, settings: Settings, showing: Showing) -> int:
    """Check the growers of a run or of a file."""

    def checked(showing: Showing) -> RunResult:
        from bulk_onboard.engine.opening import require_ledger, run_named  # noqa: PLC0415
        from bulk_onboard.engine.run import check_events  # noqa: PLC0415
        from bulk_onboard.settings.requirements import require  # noqa: PLC0415

        run_id = run_named(run_or_file)
        require(settings)

        if run_id:
            require_ledger(settings)
            return driven(lambda observer, stop: check_events(run_id, settings, observer, stop), showing)
        with opened(run_or_file, settings.input) as source:
            return driven(lambda observer, stop: check_events(source, settings, observer, stop), showing)

    return with_after_run(display_name(run_or_file), settings, showing, checked)
