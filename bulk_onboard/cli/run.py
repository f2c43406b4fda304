"""``bulk-onboard run FILE``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from bulk_onboard.cli import completion, options
from bulk_onboard.cli.messages import is_terminal
from bulk_onboard.cli.runner import Showing, driven, load_settings, opened, with_after_run
from bulk_onboard.domain.formatting import n_growers
from bulk_onboard.domain.input_description import display_name
from bulk_onboard.errors import NoRows, StoppedForSafety, UsageError
from bulk_onboard.settings.command_line import without_secrets

if TYPE_CHECKING:
    from bulk_onboard.domain.run_events import About
    from bulk_onboard.engine.run import OpenWorkers, RunResult
    from bulk_onboard.settings import Settings

_EPILOG = """\b
Examples:
  bulk-onboard run growers.csv --sandbox
  bulk-onboard run growers.xlsx --sheet Growers --map "refreshToken=Raven token"
  bulk-onboard run growers.csv --dry-run
  bulk-onboard run growers.csv --canary 5 --max-failures 2% --keep name,region
  bulk-onboard run growers.csv --max-new 5% --notify-when problems --metrics raven.prom
  gpg -d growers.csv.gpg | bulk-onboard run - --json > summary.json

\b
Settings come from the environment, .env or bulk-onboard.toml: LEAF_TOKEN, or
LEAF_USERNAME and LEAF_PASSWORD, and those that `bulk-onboard providers NAME` lists.
"""


@click.command("run", cls=options.Command, epilog=_EPILOG)
@click.argument("file", shell_complete=completion.files)
@options.settings()
@options.option(
    "--yes", is_flag=True, group="Safety", help="Do not ask for confirmation before writing to a real Leaf."
)
@options.config
@options.showing
def command(
    file: str,
    *,
    yes: bool,
    config: Path | None,
    showing: Showing,
    **given: Any,
) -> int:
    """Onboard every row of FILE that is not onboarded yet, check the events and write the report.

    FILE is a CSV or TSV file, a workbook or a Parquet file, the address of one (https://, s3://, gs://,
    az://), a folder of such files or a pattern in quotes ('exports/*.csv'); - is CSV on standard input.
    Running the same command again is always safe: it does only what is left to do.
    """
    settings = load_settings(given, config, showing).of_rows_to_do
    settings = replace(settings, command=without_secrets(click.get_current_context().find_root().obj or []))
    confirm = None if yes else confirmation(settings)
    shared = _workers(file, settings, given, config) if settings.cluster and not settings.dry_run else None
    return run_file(file, settings, showing, partial(_onboarded, confirm=confirm, open_workers=shared))


def _workers(file: str, settings: Settings, given: Mapping[str, Any], config: Path | None) -> OpenWorkers:
    """Return a function that starts the workers of --cluster, or None without it. Raises UsageError."""
    if file == "-":
        raise UsageError("only one process can read standard input: with --cluster, save it as a file first")
    try:
        from bulk_onboard.cluster.workers import workers  # noqa: PLC0415  (only with --cluster)
    except ModuleNotFoundError:
        raise UsageError("--cluster is not part of this installation; leave it out") from None
    from bulk_onboard.cluster.task import Command  # noqa: PLC0415

    return partial(workers, Command(file, given, config), settings)


# A function that onboards the file with this name.
Onboarding = Callable[[str, "Settings", Showing], "RunResult"]


def run_file(file: str, settings: Settings, showing: Showing, onboarding: Onboarding | None = None) -> int:
    """Onboard one file; return the exit code. Missing settings are reported before anything is sent.

    ``onboarding``: the function that does it; None: onboard in this process.
    """
    work = onboarding or _onboarded
    return with_after_run(
        display_name(file),
        settings,
        showing,
        lambda showing: _with_enough_rows(work, file, settings, showing),
    )


def _with_enough_rows(onboarding: Onboarding, file: str, settings: Settings, showing: Showing) -> RunResult:
    try:
        return onboarding(file, settings, showing)
    except NoRows as error:
        if not settings.safety.min_rows:
            raise
        expected = f"--min-rows expects {settings.safety.min_rows:,} or more"
        raise StoppedForSafety(f"{error}; {expected}. Nothing was sent") from None


def confirmation(settings: Settings) -> Callable[[About], bool] | None:
    """Return the function that asks for confirmation before the first write to a real Leaf, or None."""
    from bulk_onboard.settings.parse import is_this_machine  # noqa: PLC0415

    host = urlsplit(settings.leaf.base_url).hostname or ""
    at_terminal = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    return None if settings.sandbox or is_this_machine(host) or not at_terminal else _agrees


def _agrees(about: About) -> bool:
    growers = n_growers(about.to_do)
    environment = f" ({', '.join(sorted(about.environments))})" if about.environments else ""
    what = f"Store credentials of {growers} at {about.leaf} as {about.owner}"
    try:
        return click.confirm(f"{what}, provider {about.provider}{environment}?", err=True)
    except click.Abort:
        return False


def _onboarded(
    file: str,
    settings: Settings,
    showing: Showing,
    *,
    confirm: Callable[[About], bool] | None = None,
    open_workers: OpenWorkers | None = None,
) -> RunResult:
    from bulk_onboard.engine.opening import reading_with_settings  # noqa: PLC0415
    from bulk_onboard.engine.run import onboard  # noqa: PLC0415

    with opened(file, settings.input) as source:
        reading = reading_with_settings(source, settings)
        return driven(
            lambda observer, stop: onboard(
                source, settings, observer, stop, reading, confirm=confirm, open_workers=open_workers
            ),
            showing,
        )
