"""The marks for cells of a sheet: place, severity and text. The text never contains the value of a cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from bulk_onboard.domain.codes import lookup
from bulk_onboard.domain.model import Status
from bulk_onboard.validation.columns import LEAF_USER_ID
from bulk_onboard.validation.findings import COLUMNS, Validation

# The start of the summary sheet of an annotated workbook; readers recognise the sheet by it and skip it.
SUMMARY_MARK = "Summary by bulk-onboard"

# Thousands of comments make a spreadsheet program slow; colours and texts in the row have no such limit.
NOTES_PER_PROBLEM = 200


class Gravity(IntEnum):
    """The severity of a mark; if a cell has several marks, the most severe one gives the colour."""

    CLEANED = 1
    REPEAT = 2
    WRONG = 3


@dataclass(frozen=True, slots=True)
class Mark:
    """One cell: ``row`` as a spreadsheet shows it, ``column`` from 0. ``note``: the comment, "" for none."""

    row: int
    column: int
    gravity: Gravity
    note: str


@dataclass(frozen=True, slots=True)
class RowNote:
    """The note at the end of a row: the codes, and a text that says what is wrong and what to do."""

    problem: str
    detail: str


@dataclass(frozen=True, slots=True)
class Marks:
    """All marks by row, the notes of rows, and the codes with too many problems for a comment each."""

    cells: tuple[Mark, ...]
    rows: Mapping[int, RowNote]
    shortened: tuple[str, ...]


def marks(validation: Validation, notes: int = NOTES_PER_PROBLEM) -> Marks:
    """Return the marks for a file's findings. ``notes``: comments per code, at its first rows."""
    drawn: dict[tuple[int, int], tuple[Gravity, list[str]]] = {}
    rows: dict[int, list[tuple[str, str]]] = {}
    used: Counter[str] = Counter()
    columns, all_columns = _columns_by_cause(validation), list(validation.fields.values())
    for row, status, code, column, message in _lines(validation):
        gravity = _GRAVITY[status]
        text = problem_text(code, message, column)
        used[code] += 1
        for i, at in enumerate(columns.get(column or code, all_columns)):
            before, texts = drawn.get((row, at), (gravity, []))
            if not i and used[code] <= notes:
                texts.append(text)
            drawn[row, at] = max(before, gravity), texts
        if gravity is not Gravity.CLEANED:
            rows.setdefault(row, []).append((code, text))
    cells = (
        Mark(row, at, gravity, "\n".join(texts))
        for (row, at), (gravity, texts) in sorted(drawn.items(), key=lambda item: item[0])
    )
    shortened = tuple(code for code, count in used.items() if count > notes)
    return Marks(tuple(cells), {row: _row_note(lines) for row, lines in sorted(rows.items())}, shortened)


def problem_text(code: str, message: str, column: str = "") -> str:
    """Return one problem in one line: what is wrong and what to do.

    ``column`` keeps its spelling at the start.
    """
    known = lookup(code)
    sentence = (message or (known.meaning if known else code)).rstrip(".")
    if not (column and sentence.startswith(column)):
        sentence = sentence[:1].upper() + sentence[1:]
    return f"{sentence}. {known.hint}" if known else f"{sentence}."


_WARNING = "warning"
_GRAVITY: Mapping[str, Gravity] = {
    Status.INVALID.value: Gravity.WRONG,
    Status.DUPLICATE.value: Gravity.REPEAT,
    _WARNING: Gravity.CLEANED,
}


def _lines(validation: Validation) -> list[tuple[int, str, str, str, str]]:
    """Return row, status, code, column and message of all findings, problems first."""
    table, cleaned = validation.table, validation.cleaned
    both = (table, cleaned.assign(status=_WARNING))
    return [line for lines in both for line in lines[list(COLUMNS)].itertuples(index=False, name=None)]


def _columns_by_cause(validation: Validation) -> Mapping[str, Sequence[int]]:
    """Return column, or code of a problem without one -> the positions; the first gets the comment."""
    fields = validation.fields
    user = [fields[LEAF_USER_ID]] if LEAF_USER_ID in fields else []
    secret = [fields[name] for name in validation.credentials]
    # A problem names a column by the file's header, but the column of providers by its field.
    by_name = {name: [at] for name, at in fields.items()}
    by_name |= {validation.header[at]: [at] for at in fields.values()}
    by_code = {"conflicting-rows": [*secret, *user], "duplicate": [*user, *secret], "shared-token": secret}
    return by_code | by_name


def _row_note(lines: Sequence[tuple[str, str]]) -> RowNote:
    problem = "; ".join(dict.fromkeys(code for code, _ in lines))
    return RowNote(problem, " ".join(dict.fromkeys(text for _, text in lines)))
