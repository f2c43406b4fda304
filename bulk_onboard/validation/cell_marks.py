"""Which cells of a sheet are marked, how gravely and with which words; no value of a cell is in the words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from bulk_onboard.domain.codes import lookup
from bulk_onboard.domain.model import Status
from bulk_onboard.validation.columns import LEAF_USER_ID
from bulk_onboard.validation.findings import Validation

# How the summary sheet of an annotated workbook begins, by which readers know it and leave it out.
SUMMARY_MARK = "Summary by bulk-onboard"

# Some thousand comments make a spreadsheet program slow; colour and words in the row have no such limit.
NOTES_PER_PROBLEM = 200


class Gravity(IntEnum):
    """How bad it is; where one cell has several marks, the gravest gives the colour."""

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
    """The note at the end of a row: the codes, and in words what is wrong and what to do."""

    problem: str
    detail: str


@dataclass(frozen=True, slots=True)
class Marks:
    """All marks, by row; the words for the rows that need them; and the codes that got too many for notes."""

    cells: tuple[Mark, ...]
    rows: Mapping[int, RowNote]
    shortened: tuple[str, ...]


def marks(validation: Validation, notes: int = NOTES_PER_PROBLEM) -> Marks:
    """Return the marks for a file's findings. ``notes``: comments per code, at its first rows."""
    drawn: dict[tuple[int, int], tuple[Gravity, list[str]]] = {}
    rows: dict[int, list[tuple[str, str]]] = {}
    used: Counter[str] = Counter()
    wanted = _columns(validation)
    for row, status, code, column, message in _lines(validation):
        gravity = _GRAVITY[status]
        text = problem_text(code, message, column)
        used[code] += 1
        for i, at in enumerate(wanted(code, column)):
            before, texts = drawn.get((row, at), (gravity, []))
            if not i and used[code] <= notes:
                texts.append(text)
            drawn[row, at] = max(before, gravity), texts
        if gravity is not Gravity.CLEANED:
            rows.setdefault(row, []).append((code, text))
    cells = (
        Mark(row, at, gravity, "\n".join(texts))
        for (row, at), (gravity, texts) in sorted(drawn.items(), key=_place)
    )
    shortened = tuple(code for code, count in used.items() if count > notes)
    return Marks(tuple(cells), {row: _row_note(lines) for row, lines in sorted(rows.items())}, shortened)


def problem_text(code: str, message: str, column: str = "") -> str:
    """One problem in one line: what is wrong, what to do. ``column`` keeps its spelling at the beginning."""
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


def _place(item: tuple[tuple[int, int], object]) -> tuple[int, int]:
    return item[0]


def _lines(validation: Validation) -> list[tuple[int, str, str, str, str]]:
    """Return row, status, code, column and message of all findings, problems first."""
    table, cleaned = validation.table, validation.cleaned
    lines = [table[name].tolist() for name in ("row", "status", "code", "column", "message")]
    warned = [cleaned[name].tolist() for name in ("row", "code", "column", "message")]
    warned.insert(1, [_WARNING] * len(cleaned))
    return [*zip(*lines, strict=True), *zip(*warned, strict=True)]


class _columns:  # noqa: N801  (a function that remembers the positions)
    """Code and column header -> the positions that are concerned; the first of them gets the comment."""

    def __init__(self, validation: Validation) -> None:
        fields = validation.fields
        user = [fields[LEAF_USER_ID]] if LEAF_USER_ID in fields else []
        secret = [fields[name] for name in validation.credentials]
        # A problem names the column as the file does, that of providers by its field.
        self._by_name = {name: (at,) for name, at in fields.items()}
        self._by_name |= {validation.header[at]: (at,) for at in fields.values()}
        self._all = tuple(fields.values())
        self._by_code: dict[str, Sequence[int]] = {
            "conflicting-rows": [*secret, *user],
            "duplicate": [*user, *secret],
            "shared-token": secret,
        }

    def __call__(self, code: str, column: str) -> Sequence[int]:
        if column:
            return self._by_name.get(column, self._all)
        return self._by_code.get(code, self._all)


def _row_note(lines: Sequence[tuple[str, str]]) -> RowNote:
    problem = "; ".join(dict.fromkeys(code for code, _ in lines))
    return RowNote(problem, " ".join(dict.fromkeys(text for _, text in lines)))
