"""``bulk-onboard template PROVIDER -o FILE``."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import click

from bulk_onboard.cli import completion, options
from bulk_onboard.cli.messages import say
from bulk_onboard.domain.providers import Provider
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import config_file, parse

_EPILOG = """\b
Examples:
  bulk-onboard template raven -o to-fill-in.xlsx
  bulk-onboard template raven -o to-fill-in.csv
"""
_FORMS = (".xlsx", ".csv")


@click.command("template", cls=options.Command, epilog=_EPILOG)
@click.argument("provider", shell_complete=completion.providers)
@options.option(
    "-o",
    "--output",
    "where",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The new file: .xlsx (help and examples as comments, text cells, drop-downs), or .csv.",
)
@options.option("--app-fields", is_flag=True, help="Add columns for the application's fields.")
@options.option(
    "--create-users", is_flag=True, help="Add columns for growers that may have no Leaf user yet."
)
@options.config
def command(provider: str, where: Path, *, app_fields: bool, create_users: bool, config: Path | None) -> int:
    """Write an empty file to fill in, with the columns for PROVIDER.

    The fields of your application (such as a client ID) are the same for every grower, so they come from the
    settings; `bulk-onboard providers PROVIDER` lists them.
    """
    known = config_file.read(config).providers
    try:
        chosen = known[parse.provider(provider, known)]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    write(chosen, where, app_fields=app_fields, users=create_users)
    asked = f"--provider {chosen.name}{' --create-users' if create_users else ''}"
    say(f"{where} is ready to be filled in; then run: bulk-onboard validate {where} {asked}")
    return 0


def write(provider: Provider, where: Path, *, app_fields: bool, users: bool = False) -> None:
    """Write the file. Raises UsageError if it exists, because it may have been filled in."""
    if where.suffix.lower() not in _FORMS:
        raise UsageError(
            f"{where}: a template is one of {' '.join(_FORMS)}; give the file one of these endings"
        )
    if where.exists():
        raise UsageError(f"{where} already exists and may have been filled in; choose another name")
    from bulk_onboard.reports.draft import drafts  # noqa: PLC0415

    columns = provider.template(app_fields=app_fields, users=users)
    with drafts([where], "the same command") as (draft,), draft.writing():
        if where.suffix.lower() == ".csv":
            line = io.StringIO()
            csv.writer(line, lineterminator="\n").writerow(column.name for column in columns)
            draft.file.write(line.getvalue().encode())
        else:
            from bulk_onboard.workbook import write_template  # noqa: PLC0415

            write_template(draft.file, provider, columns)
