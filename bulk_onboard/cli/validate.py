"""``bulk-onboard validate FILE``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulk_onboard.cli import completion, options
from bulk_onboard.cli.corrections import Wanted, annotated, fixed
from bulk_onboard.cli.messages import print_json, say
from bulk_onboard.cli.runner import Showing, displayed, load_settings, opened, require_named
from bulk_onboard.domain.codes import hint
from bulk_onboard.domain.formatting import counted, labelled, n_rows, row_numbers, wrapped
from bulk_onboard.domain.input_description import describe, display_name, is_pattern, pattern_name, url_scheme
from bulk_onboard.domain.run_events import Cause
from bulk_onboard.errors import OutputError

if TYPE_CHECKING:
    import pandas as pd

    from bulk_onboard.domain.chunk import Source
    from bulk_onboard.engine.validation import Validation
    from bulk_onboard.settings import Settings

# How many different messages are shown for one code. For some codes only the first is shown, because
# the others say the same about other rows.
_EXAMPLES = 8
_OF_SEVERAL_ROWS = {"conflicting-rows", "shared-token", "duplicate"}
# Writing a workbook with this many rows or more takes so long that it is announced.
_MANY = 20_000
_EPILOG = """\b
Examples:
  bulk-onboard validate growers.csv
  bulk-onboard validate growers.xlsx --map "refreshToken=Raven token" --annotate marked.xlsx
  bulk-onboard validate growers.csv --fix repaired.csv

Exit code 0: every row can be sent; 1: some rows are invalid; 3: the file cannot be used.
"""
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("validate", cls=options.Command, epilog=_EPILOG)
@click.argument("file", shell_complete=completion.files)
@options.settings(
    "provider", "sheet", "header_row", "hidden", "encoding", "map", "keep", "limit",
    "allow_shared_tokens", "create_users", "output",
)  # fmt: skip
@options.option(
    "--annotate",
    type=_FILE,
    metavar="OUT.xlsx",
    group="Reports",
    help="Write a copy of the workbook with every bad cell coloured and commented, and a summary sheet in"
    " front.",
)
@options.option(
    "--fix",
    type=_FILE,
    metavar="OUT.csv",
    group="Reports",
    help="Write a copy of the rows without stray spaces, quotes, invisible characters and exact repeats.",
)
@options.config
@options.as_json
def command(
    file: str, *, annotate: Path | None, fix: Path | None, config: Path | None, as_json: bool, **given: Any
) -> int:
    """Check FILE offline: needs no settings, and sends nothing.

    FILE is a CSV or TSV file, a workbook or a Parquet file, a folder of such files or a pattern in quotes
    ('exports/*.csv'); - is CSV on standard input.
    The problems are listed by code, and row by row in problems.csv.

    --annotate preserves the contents of an .xlsx or .xlsm where possible, and lists what is lost; other files
    become a new workbook. --fix changes nothing that needs a guess. Both outputs contain the secrets of FILE.
    FILE itself is never changed.
    """
    return check(file, load_settings(given, config, offline=True), Wanted(annotate, fix), as_json=as_json)


@dataclass(frozen=True, slots=True)
class Written:
    """The files of one check.

    ``problems`` is None if it could not be written, for the reason ``unwritten``; ``missing``: parts of the
    original that the workbook lacks; ``next``: the command for the workbook; ``repairs``: counts by code;
    ``left``: rows of the repaired file that are still invalid.
    """

    problems: Path | None
    annotated: Path | None = None
    missing: Sequence[str] = ()
    next: str = ""
    fixed: Path | None = None
    repairs: Sequence[Cause] = ()
    left: int = 0
    repairs_file: Path | None = None
    unwritten: str = ""


def check(file: str, settings: Settings, wanted: Wanted, *, as_json: bool) -> int:
    """Check one file, write its problems and the requested copies, and print the result."""
    from bulk_onboard.engine.validation import validate_file  # noqa: PLC0415

    require_named(file)
    path = problems_path(file, settings.output.folder)
    wanted.require_new(file, (path, path.with_name("repairs.csv")))
    with opened(file, settings.input) as source:
        with displayed(Showing()) as display:
            validation = validate_file(source, settings, display)
        unwritten = _write_problems(file, validation, path)
        written = _write(source, validation, wanted, None if unwritten else path, settings)
        written = replace(written, unwritten=unwritten)
        ranges = source.row_ranges()
    if as_json:
        print_json(as_data(validation, written))
    else:
        say(in_words(validation, written))
    if ranges:
        say("\n".join(wrapped(ranges)), err=True)
    return validation.exit_code


def _write_problems(file: str, validation: Validation, path: Path) -> str:
    """Write problems.csv and the name of its input. Return the reason if that is impossible, otherwise ""."""
    from bulk_onboard.reports.writers import write_json, write_problems  # noqa: PLC0415

    try:
        write_problems(path, validation.table)
        write_json(path.with_name(_OWNER), {"input": validation.source, "id": _identity(file)})
    except OutputError as error:
        return str(error)
    return ""


def _write(
    source: Source, validation: Validation, wanted: Wanted, problems: Path | None, settings: Settings
) -> Written:
    from bulk_onboard.reports.writers import write_problems  # noqa: PLC0415
    from bulk_onboard.validation.findings import group_causes  # noqa: PLC0415
    from bulk_onboard.validation.repair import still_invalid  # noqa: PLC0415

    missing: Sequence[str] = ()
    following = ""
    repairs: Sequence[Cause] = ()
    invalid = 0
    beside: Path | None = None
    if wanted.annotate:
        if validation.rows >= _MANY:
            say(f"writing {wanted.annotate} …", err=True)
        made = annotated(source, validation, wanted.annotate, settings)
        missing, following = made.missing, made.commands[0 if validation.invalid else 1]
    if wanted.fix:
        table: pd.DataFrame = fixed(source, validation, wanted.fix)
        repairs, invalid = tuple(group_causes(table, "repaired")), still_invalid(validation, table)
        if problems:
            beside = write_problems(problems.with_name("repairs.csv"), table)
    return Written(problems, wanted.annotate, missing, following, wanted.fix, repairs, invalid, beside)


# The file beside problems.csv that identifies its input.
_OWNER = "input.json"


def problems_path(file: str, folder: Path) -> Path:
    """Return the folder of an input, so that another check of the same input replaces the old files.

    Another input of the same name gets another folder.
    """
    stem = "stdin" if file == "-" else Path(display_name(file)).stem
    if is_pattern(file):
        # Wildcards do not belong in the name of a folder.
        stem = re.sub(r"[*?[\]/\\]+", "-", pattern_name(file).partition(".")[0]).strip("-")
    base = f"validate-{stem or 'file'}"
    names = chain([base], (f"{base}-{number}" for number in count(2)))
    return next(folder / name / "problems.csv" for name in names if _is_free(folder / name, file))


def _is_free(place: Path, file: str) -> bool:
    """Return whether the folder does not belong to another input."""
    try:
        owner = json.loads((place / _OWNER).read_bytes())
    except (OSError, ValueError):
        return True
    return not isinstance(owner, dict) or owner.get("id") == _identity(file)


def _identity(file: str) -> str:
    """Return a digest of the place of an input: its address may contain a signature."""
    where = file if file == "-" or url_scheme(file) is not None else str(Path(file).absolute())
    return blake2b(where.encode(errors="surrogateescape"), digest_size=16).hexdigest()


def as_data(validation: Validation, written: Written) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    data: dict[str, Any] = {
        "input": validation.description.as_json(),
        "rows": validation.rows,
        "valid": validation.valid,
        "invalid": validation.invalid,
        "duplicates": validation.duplicates,
        "problems": [_group(cause) for cause in validation.problems],
        "repeats": [_group(cause) for cause in validation.repeats],
        "warnings": [_group(cause) for cause in validation.warnings],
        "file": str(written.problems) if written.problems else None,
        "exitCode": int(validation.exit_code),
    }
    if written.annotated:
        data["annotated"] = {
            "file": str(written.annotated), "missing": list(written.missing), "next": written.next
        }  # fmt: skip
    if written.fixed:
        repairs = [_group(cause) for cause in written.repairs]
        beside = str(written.repairs_file) if written.repairs_file else None
        data["fixed"] = {"file": str(written.fixed), "repairs": repairs, "repairsFile": beside}
    return data


def _group(cause: Cause) -> dict[str, Any]:
    return {"code": cause.code, "count": cause.count, "rows": list(cause.rows), "message": cause.message}


def in_words(validation: Validation, written: Written) -> str:
    """Return the problems by code, in lines of 80 characters; only a file name may be longer."""
    repeats = f", {validation.duplicates:,} duplicate" if validation.duplicates else ""
    valid = f"{validation.valid:,} valid, {validation.invalid:,} invalid"
    counts = f"{n_rows(validation.rows)}, {valid}{repeats}"
    lines = wrapped(f"{validation.source}: {counts}")
    lines.append(labelled(describe(validation.description)))
    lines += _section("Invalid", validation.problems, validation.table)
    lines += _section("Repeats of earlier rows, sent once", validation.repeats)
    lines += _section("Warnings", validation.warnings, validation.cleaned)
    if written.fixed:
        lines += _section("Repaired", written.repairs) or ["", "Nothing to repair."]
    if validation.problems:
        lines += ["", "`bulk-onboard explain CODE` explains a code."]
    if written.problems:
        lines += ["", f"Row by row: {written.problems}"]
    else:
        lines += ["", *wrapped(f"Note: {written.unwritten}")]
    if written.annotated:
        lines += [f"With marks: {written.annotated}", f"Then:       {written.next}"]
        lines += wrapped(f"It lacks: {'; '.join(written.missing)}." if written.missing else "", indent=2)
    if written.fixed:
        repairs = f" (each repair: {written.repairs_file})" if written.repairs_file else ""
        lines.append(f"Repaired:   {written.fixed}{repairs}")
        lines += wrapped(_left(written.left), indent=2)
    return "\n".join(lines)


def _left(count: int) -> str:
    if not count:
        return ""
    verb, them = ("is", "it") if count == 1 else ("are", "them")
    return f"{n_rows(count)} of it {verb} still invalid: correct {them} and check the file again."


def _section(title: str, causes: Sequence[Cause], table: pd.DataFrame | None = None) -> list[str]:
    """``table``: row, code and message of each finding; a few different messages are shown."""
    lines = [line for cause in causes for line in _cause_lines(cause, _examples(cause, table))]
    return ["", f"{title}:", *lines] if causes else []


def _examples(cause: Cause, table: pd.DataFrame | None) -> list[tuple[int, str]]:
    """Return rows with different messages, the first of each."""
    if table is None or cause.code in _OF_SEVERAL_ROWS:
        return [(cause.rows[0], cause.message)]
    own = table[table["code"] == cause.code].drop_duplicates("message")[:_EXAMPLES]
    return list(zip(own["row"].tolist(), own["message"].tolist(), strict=True))


def _cause_lines(cause: Cause, examples: Sequence[tuple[int, str]]) -> Iterator[str]:
    """Return the paragraph for a cause: number, code and place; examples; what to do."""
    place = f"({row_numbers(cause.rows, cause.count)})"
    if cause.code == "looks-like-a-name":  # about a column, not about a row
        yield from wrapped(f"{counted(cause.count, 'column')}  {cause.code}", indent=2)
    else:
        yield from wrapped(f"{n_rows(cause.count)}  {cause.code}  {place}", indent=2)
    for row, message in examples:
        where = f"row {row}: " if cause.count > 1 else ""
        yield from wrapped(f"{where}{message}" if message else "", indent=6)
    yield from wrapped(hint(cause.code), indent=6)
