"""``bulk-onboard report [RUN]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bulk_onboard.cli import completion, options
from bulk_onboard.cli.messages import say_trouble
from bulk_onboard.cli.runner import Showing, load_settings, print_result

_EPILOG = """\b
Examples:
  bulk-onboard report
  bulk-onboard report 20261123T154500Z-growers --format csv,parquet
"""


@click.command("report", cls=options.Command, epilog=_EPILOG)
@click.argument("run", required=False, shell_complete=completion.runs)
@options.settings("Reports")
@options.config
@options.as_json
def command(run: str | None, config: Path | None, as_json: bool, **given: Any) -> int:
    """Rewrite the files of RUN, or of the latest run, from the ledger.

    The exit code is that of the run.
    """
    from bulk_onboard.engine.opening import require_ledger, run_named  # noqa: PLC0415

    settings = load_settings(given, config, offline=True)
    run_id = run_named(run) if run else None
    require_ledger(settings)
    from bulk_onboard.engine.past_runs import write_again  # noqa: PLC0415

    return print_result(write_again(run_id, settings, say_trouble), Showing(as_json=as_json))
