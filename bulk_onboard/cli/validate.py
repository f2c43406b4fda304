"""``bulk-onboard validate FILE``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulk_onboard.cli import options, suggest, words
from bulk_onboard.cli.running import opened, say
from bulk_onboard.facts import Cause
from bulk_onboard.where import shown

if TYPE_CHECKING:
    from bulk_onboard.engine.validation import Validation
    from bulk_onboard.settings import Settings

_EPILOG = """\b
Examples:
  bulk-onboard validate growers.csv
  bulk-onboard validate growers.xlsx --sheet Growers --map "refreshToken=Raven token"

Exit code 0: every row can be sent; 1: some row is invalid; 3: the file cannot be used.
"""


@click.command("validate", epilog=_EPILOG)
@click.argument("file", shell_complete=suggest.files)
@options.provider
@options.reading
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where reports go.  [default: reports]",
)
@options.config
@options.as_json
def command(file: str, *, config: Path | None, as_json: bool, **given: Any) -> int:
    """Check FILE and nothing else: no setting is needed, and nothing is sent.

    FILE is a CSV or TSV file, a workbook or a Parquet file; - is CSV on standard input.
    The problems are listed by code, and row by row in problems.csv.
    """
    from bulk_onboard.cli.config import load  # noqa: PLC0415

    return check(file, load(given, config, offline=True), as_json=as_json)


def check(file: str, settings: Settings, *, as_json: bool) -> int:
    """Check one file, write its problems, tell them."""
    from bulk_onboard.cli import progress  # noqa: PLC0415
    from bulk_onboard.engine.validation import validate_file  # noqa: PLC0415
    from bulk_onboard.report.files import write_problems  # noqa: PLC0415

    display = progress.display(log_format="text", verbose=False, quiet=False)
    with opened(file, settings.input) as source:
        try:
            found = validate_file(source, settings, display)
        finally:
            display.close()
    path = problems_path(file, settings.output.folder)
    write_problems(path, found.table)
    say(json.dumps(as_data(found, path), indent=2) if as_json else in_words(found, path))
    return found.exit_code


def problems_path(file: str, folder: Path) -> Path:
    """One place per file, so that checking again after a correction replaces what is out of date."""
    stem = "stdin" if file == "-" else Path(shown(file)).stem or "file"
    return folder / f"validate-{stem}" / "problems.csv"


def as_data(found: Validation, path: Path) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "input": found.source,
        "rows": found.rows,
        "valid": found.valid,
        "invalid": found.invalid,
        "duplicates": found.duplicates,
        "problems": [_group(cause) for cause in found.problems],
        "warnings": [_group(cause) for cause in found.warnings],
        "file": str(path),
        "exitCode": int(found.exit_code),
    }


def _group(cause: Cause) -> dict[str, Any]:
    return {"code": cause.code, "count": cause.count, "rows": list(cause.rows), "message": cause.message}


def in_words(found: Validation, path: Path) -> str:
    """The problems grouped by code, for people."""
    repeats = f", {words.number(found.duplicates)} duplicate" if found.duplicates else ""
    lines = [
        f"{found.source}: {words.rows(found.rows)}, {found.valid:,} valid, {found.invalid:,} invalid{repeats}"
    ]
    lines += _section("Invalid", found.problems)
    lines += _section("Cleaned, and fine now", found.warnings)
    if found.problems:
        lines += ["", "`bulk-onboard explain CODE` says what to do about a code."]
    return "\n".join([*lines, f"Row by row: {path}"])


def _section(title: str, causes: tuple[Cause, ...]) -> Iterator[str]:
    if causes:
        yield from ("", f"{title}:")
    for cause in causes:
        numbers = ", ".join(str(row) for row in cause.rows)
        more = ", …" if cause.count > len(cause.rows) else ""
        which = "row" if cause.count == 1 else "rows"
        yield f"  {words.rows(cause.count)}  {cause.code}  ({which} {numbers}{more})"
        if cause.message:
            yield f"      {cause.message}"
