"""Repairs of a file that need no guess. Everything else stays as it is, and invalid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import CellKind, Chunk
from bulk_onboard.model import Status
from bulk_onboard.validation.cleaning import REMOVED, clean
from bulk_onboard.validation.columns import normal
from bulk_onboard.validation.findings import Validation
from bulk_onboard.validation.ids import other_spelling

HEADER, REPEAT, REWRITTEN = "header-renamed", "repeat-removed", "id-rewritten"
REPAIRS = ("row", "code", "column", "message")

Line = tuple[str, ...]
Entry = tuple[int, str, str, str]


@dataclass(frozen=True, slots=True)
class Repaired:
    """A chunk after repair: its lines, and a `REPAIRS` entry for each repair."""

    lines: list[Line]
    repairs: list[Entry]


class Repair:
    """Repairs one file, chunk by chunk and in order; chunks hold every column of the header."""

    def __init__(self, found: Validation, chunks: Iterator[Chunk]) -> None:
        """``chunks``: the file, read once from the start to see which rows are the same in every column."""
        self._found = found
        self._dirty = _cells(found, found.cleaned[found.cleaned["code"].isin(REMOVED)])
        self._ids = _cells(found, found.table[found.table["code"] == "bad-leaf-user-id"])
        self._guessed = _cells(found, found.table[found.table["code"] == "guessed-encoding"])
        self._ragged = _rows(found.table, "code", "ragged-row")
        self._repeats = _rows(found.table, "status", Status.DUPLICATE.value)
        self._invalid = _rows(found.table, "status", Status.INVALID.value)
        self._seen: dict[Line, int | None] = {}
        if self._repeats:
            for chunk in chunks:
                cells = zip(chunk.numbers.tolist(), self._repaired(chunk, []), strict=True)
                self._seen |= {line: None for number, line in cells if number in self._repeats}

    def header(self) -> tuple[Line, list[Entry]]:
        """The header with the fields' own names, unless another column could be taken for the field then."""
        header, renamed = list(self._found.header), []
        for field, at in self._found.fields.items():
            others = (name for i, name in enumerate(header) if i != at)
            if header[at] != field and normal(field) not in map(normal, others):
                renamed.append(f"{header[at]!r} is now {field}")
                header[at] = field
        return tuple(header), [(1, HEADER, "", ", ".join(renamed))] if renamed else []

    def chunk(self, chunk: Chunk) -> Repaired:
        """The lines that stay, repaired."""
        repairs: list[Entry] = []
        lines = self._repaired(chunk, repairs)
        kept = []
        for number, line in zip(chunk.numbers.tolist(), lines, strict=True):
            first = self._first(number, line)
            if first == number:
                kept.append((*line, *_SURPLUS) if number in self._ragged else line)
            else:
                repairs.append((number, REPEAT, "", f"the same as row {first} in every column"))
        return Repaired(kept, repairs)

    def _first(self, number: int, line: Line) -> int:
        """The row that a row repeats in every column; itself if none."""
        if number in self._invalid or line not in self._seen:
            return number
        first = self._seen[line]
        if first is None:
            first = self._seen[line] = number
        return first if number in self._repeats else number

    def _repaired(self, chunk: Chunk, repairs: list[Entry]) -> list[Line]:
        columns = [chunk.cells[at].tolist() for at in range(len(self._found.header))]
        for at, rows in self._dirty.items():
            for i in _at(chunk, rows):
                columns[at][i], codes = clean(columns[at][i])
                repairs += [
                    (int(chunk.numbers[i]), code, self._found.header[at], REMOVED[code]) for code in codes
                ]
        for at, rows in self._ids.items():
            for i in _at(chunk, rows):
                if other := other_spelling(clean(columns[at][i])[0]):
                    said = f"it {other.differences}"
                    repairs.append((int(chunk.numbers[i]), REWRITTEN, self._found.header[at], said))
                    columns[at][i] = other.usual
        for at in self._found.fields.values():
            self._empty(chunk, at, columns[at], repairs)
        return list(zip(*columns, strict=True))

    def _empty(self, chunk: Chunk, at: int, column: list[str], repairs: list[Entry]) -> None:
        """Empty cells that would pass as text although what they should hold is not known."""
        guessed = np.isin(chunk.numbers, self._guessed.get(at, ()))
        for i in np.flatnonzero((chunk.kinds[:, at] != CellKind.TEXT) | guessed).tolist():
            if column[i]:
                code, said = _EMPTIED[CellKind(chunk.kinds[i, at])]
                repairs.append((int(chunk.numbers[i]), code, self._found.header[at], said))
                column[i] = ""


# A line with too many cells keeps its fault; what the surplus cells held is not known here.
_SURPLUS = ("(this line had more cells than the header)",)
_EMPTIED = {
    CellKind.VALUE: (
        "number-emptied",
        "a number may have lost digits, and is left out; enter it as text",
    ),
    CellKind.ERROR: ("cell-emptied", "a spreadsheet error is left out: enter the value"),
    CellKind.TEXT: ("cell-emptied", "the encoding was guessed, so the value is left out: enter it again"),
}


def table(entries: Sequence[Entry]) -> pd.DataFrame:
    """A line per repair, by row."""
    return pd.DataFrame(entries, columns=list(REPAIRS)).sort_values("row", kind="stable", ignore_index=True)


def still_invalid(found: Validation, repairs: pd.DataFrame) -> int:
    """How many rows are invalid for more than an id in another spelling, which was rewritten."""
    rewritten = repairs.loc[repairs["code"] == REWRITTEN, "row"]
    problems = found.table[found.table["status"] == Status.INVALID.value]
    repaired = (problems["code"] == "bad-leaf-user-id") & problems["row"].isin(rewritten)
    return int(problems.loc[~repaired, "row"].nunique())


def _cells(found: Validation, lines: pd.DataFrame) -> Mapping[int, np.ndarray]:
    """Position -> the numbers of the rows whose cell there is told of."""
    at = {found.header[position]: position for position in found.fields.values()}
    groups = lines.groupby("column")["row"]
    return {at[str(name)]: np.unique(rows.to_numpy(np.int64)) for name, rows in groups if name in at}


def _rows(lines: pd.DataFrame, column: str, value: str) -> frozenset[int]:
    return frozenset(lines.loc[lines[column] == value, "row"].tolist())


def _at(chunk: Chunk, rows: np.ndarray) -> list[int]:
    return np.flatnonzero(np.isin(chunk.numbers, rows)).tolist()
