"""Describing an input: its name, the user's options for reading it, and the choices of the reader."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from bulk_onboard.errors import InputError


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The options of the command line for reading.

    ``sheets``: names of sheets, ``("*",)`` for all, empty for the reader's choice; ``hidden``: ``include`` or
    ``skip`` hidden rows, None to refuse them; ``encoding``: the name of a Python text codec, None to detect
    it; ``mapped``: column names given by --map, which also identify a header row;
    ``id_column``: the one that --map gives for leafUserId; ``header_row``: the number of the row with the
    names of the columns as a spreadsheet shows it, 0 if there is none, None to detect it.
    """

    sheets: tuple[str, ...] = ()
    hidden: str | None = None
    encoding: str | None = None
    mapped: tuple[str, ...] = ()
    id_column: str = ""
    header_row: int | None = None


class SkippedLine(NamedTuple):
    """A line that is not a row of data: its row number as a spreadsheet shows it, and what it is."""

    row: int
    reason: str


class SheetStart(NamedTuple):
    """The number of the first row of one of several sheets; rows are numbered across sheets."""

    row: int
    sheet: str


@dataclass(frozen=True, slots=True)
class InputDescription:
    """What a reader found in an input and how it reads it. Attributes that do not apply are empty or None.

    ``name``: the file's name without its folder; ``file_type``: such as ``CSV`` or ``Excel (.xlsx)``;
    ``files``: how many files it consists of; ``compression``: such as ``gzip``; ``encoding``: its usual name;
    ``encoding_guessed``: neither stated by the user nor proved by the content; ``delimiter``: its name, such
    as ``semicolon``; ``sheets`` and ``unread_sheets``: those that are read, and others that have content;
    ``sheet_starts``: of several sheets in one file, where each begins;
    ``header_row``: as a spreadsheet shows it; ``columns``: field -> header of the column it is read from;
    ``path_columns``: columns with values from ``name=value`` segments of the path; ``skipped_lines``:
    lines that are not rows; ``hidden_rows``: the numbers of rows that a filter, a collapsed group or the
    owner hides; ``hidden``: as in `ReadOptions`; ``struck_rows``: rows with text that is struck through;
    ``notes``: sentences about anything else the user should know.
    """

    name: str
    file_type: str
    files: int = 1
    compression: str = ""
    encoding: str = ""
    encoding_guessed: bool = False
    delimiter: str = ""
    sheets: tuple[str, ...] = ()
    sheet_starts: tuple[SheetStart, ...] = ()
    unread_sheets: tuple[str, ...] = ()
    header_row: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    path_columns: tuple[str, ...] = ()
    skipped_lines: tuple[SkippedLine, ...] = ()
    hidden_rows: tuple[int, ...] = ()
    hidden: str | None = None
    struck_rows: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def header_place(self) -> str:
        """Where the header is, such as ``row 2 of sheet 'Growers'``; "" if it is not in a row."""
        sheet = f" of sheet {self.sheets[0]!r}" if self.sheets else ""
        return f"row {self.header_row}{sheet}" if self.header_row else ""

    def as_json(self) -> dict[str, Any]:
        """Return the description in JSON types, with keys in camelCase: ``input`` in summary.json."""
        values: dict[str, Any] = {
            _camel(attribute.name): getattr(self, attribute.name) for attribute in fields(self)
        }
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
        } | {
            "columns": dict(self.columns),
            "skippedLines": [line._asdict() for line in self.skipped_lines],
            "sheetStarts": [start._asdict() for start in self.sheet_starts],
        }

    def with_skipped(self, lines: Iterable[SkippedLine]) -> InputDescription:
        """Return the description with more lines that are not rows."""
        return replace(self, skipped_lines=tuple(sorted({*self.skipped_lines, *lines})))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InputDescription:
        """Return the description that `as_json` returned; keys of other versions are ignored."""
        known = {
            attribute.name: data[_camel(attribute.name)]
            for attribute in fields(cls)
            if _camel(attribute.name) in data
        }
        lines = tuple(SkippedLine(**line) for line in known.pop("skipped_lines", ()))
        starts = tuple(SheetStart(**start) for start in known.pop("sheet_starts", ()))
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in known.items()
        }
        return cls(**values, skipped_lines=lines, sheet_starts=starts)


def describe(description: InputDescription) -> list[tuple[str, str]]:
    """Return the description for people: pairs of a label and a text, without what does not apply."""
    encoding = f"{description.encoding} (guessed)" if description.encoding_guessed else description.encoding
    count = f"{description.files:,} files" if description.files > 1 else ""
    delimiter = f"delimiter {description.delimiter}" if description.delimiter else ""
    pairs = [
        ("File type", _listed([description.file_type, count, description.compression, encoding, delimiter])),
        ("Sheets" if len(description.sheets) > 1 else "Sheet", _listed(description.sheets)),
        ("Rows", _listed([f"{sheet} from row {row:,}" for row, sheet in description.sheet_starts])),
        ("Not read", _listed(description.unread_sheets)),
        ("Header", _header(description.header_row)),
        ("Columns", _listed(_columns(description.columns))),
        ("From the path", _listed(description.path_columns)),
        ("Skipped", _skipped(description.skipped_lines)),
        ("Hidden", _hidden(description)),
        (
            "Struck",
            f"{_rows_in_words(description.struck_rows)} struck through; delete rows that must not be sent"
            if description.struck_rows
            else "",
        ),
        *(("Note", note) for note in description.notes),
    ]
    return [(label, text) for label, text in pairs if text]


_SHOWN = 5


def _rows_in_words(numbers: Sequence[int]) -> str:
    """Return ``1 row (row 3)``, or ``4 rows (rows 3, 5 to 7)``."""
    plural = "s" * (len(numbers) > 1)
    return f"{len(numbers):,} row{plural} (row{plural} {_runs(numbers)})"


def require_decision(description: InputDescription) -> None:
    """Raise InputError if rows are hidden and the user has not decided whether to read them."""
    if description.hidden_rows and description.hidden is None:
        hidden = _rows_in_words(description.hidden_rows)
        raise InputError(
            f"{description.name}: {hidden} hidden by a filter or a collapsed group; run again with --hidden"
            " include to use hidden rows too, or --hidden skip to leave them out"
        )


def _header(row: int | None) -> str:
    return "" if row is None else f"row {row}" if row else "none; the columns are named A, B, …"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(text for text in texts if text)


def _columns(columns: Mapping[str, str]) -> list[str]:
    return [name if name == header else f"{name} from {header!r}" for name, header in columns.items()]


def _skipped(lines: Sequence[SkippedLine]) -> str:
    """By reason: ``row 2 (comment), rows 5 to 9, 12 (footer)``."""
    reasons: dict[str, list[int]] = {}
    for line in lines:
        reasons.setdefault(line.reason, []).append(line.row)
    return _listed(
        [f"row{'s' * (len(rows) > 1)} {_runs(rows)} ({reason})" for reason, rows in reasons.items()]
    )


def _runs(numbers: Sequence[int]) -> str:
    """Ascending numbers, with ``5 to 9`` for three or more that follow each other."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs[:_SHOWN]]
    more = sum(map(len, runs[_SHOWN:]))
    return _listed([*texts, f"and {more:,} more" if more else ""])


def _hidden(description: InputDescription) -> str:
    if not description.hidden_rows:
        return ""
    fates = {"include": "read too", "skip": "not read", None: "a run needs --hidden include or skip"}
    return f"{_rows_in_words(description.hidden_rows)}; {fates[description.hidden]}"


# --- names of inputs -------------------------------------------------------------------------------------


STANDARD_INPUT = "standard input"

_PATTERN = re.compile(r"[*?[]")
# More than one letter before the colon: one letter is a drive of Windows.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def url_scheme(where: str) -> str | None:
    """Return ``s3`` for ``s3://bucket/growers.csv``, None for a path and for ``-``."""
    match = _ADDRESS.match(where)
    return match[1].lower() if match else None


def is_pattern(where: str) -> bool:
    """Return whether it may match several files, as ``exports/*.csv`` does."""
    return _PATTERN.search(where) is not None


def printable(name: str) -> str:
    """Return a file name with escapes for bytes that are not UTF-8 and for what would act on a terminal."""
    try:
        name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # no file can have this name
        name = ascii(name)[1:-1]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def display_name(where: str) -> str:
    """Return its name for people, without folders, and without a query, which may hold a signature."""
    if where == "-":
        return STANDARD_INPUT
    if url_scheme(where) is None:
        return printable(PurePath(where).name or where)
    try:
        path = unquote(urlsplit(where).path)
    except ValueError:
        path = ""
    return path.rstrip("/").rpartition("/")[2] or f"{url_scheme(where)} address"


def pattern_name(where: str) -> str:
    """Return a pattern from its last fixed folder on: ``2026/day-*/*.csv`` for ``/srv/2026/day-*/*.csv``."""
    parts = path_parts(where)
    first = next((i for i, step in enumerate(parts) if is_pattern(step)), len(parts))
    root = 2 if url_scheme(where) is not None else len(PurePath(PurePath(where).anchor).parts)
    return "/".join(parts[max(root, first - 1) :])


def path_parts(where: str) -> tuple[str, ...]:
    """Return the folders of a path or address, and the file."""
    return PurePath(where).parts if url_scheme(where) is None else tuple(where.rstrip("/").split("/"))
