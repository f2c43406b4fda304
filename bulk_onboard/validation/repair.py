"""Repairs of a file that need no guess. Everything else stays unchanged and invalid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import CellKind, Chunk
from bulk_onboard.domain.model import Status
from bulk_onboard.validation.columns import normalize
from bulk_onboard.validation.findings import Validation
from bulk_onboard.validation.spelling import REMOVED, clean, other_spelling

HEADER, REPEAT, REWRITTEN = "header-renamed", "repeat-removed", "id-rewritten"
REPAIRS = ("row", "code", "column", "message")
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

Line = tuple[str, ...]
Entry = tuple[int, str, str, str]


class Repair:
    """Repairs one file, chunk by chunk and in order; chunks hold every column of the header.

    ``repairs``: a `REPAIRS` entry for each repair so far.
    """

    def __init__(self, validation: Validation, chunks: Iterator[Chunk]) -> None:
        """``chunks``: the file, read once from the start to see which rows are the same in every column."""
        self.repairs: list[Entry] = []
        self._validation = validation
        self._dirty = self._cells(validation.cleaned[validation.cleaned["code"].isin(REMOVED)])
        self._ids = self._cells(validation.table[validation.table["code"] == "bad-leaf-user-id"])
        self._guessed = self._cells(validation.table[validation.table["code"] == "guessed-encoding"])
        self._ragged, self._repeats, self._invalid = (
            frozenset(validation.table.loc[validation.table[column] == value, "row"].tolist())
            for column, value in (
                ("code", "ragged-row"),
                ("status", Status.DUPLICATE.value),
                ("status", Status.INVALID.value),
            )
        )
        # Repeated lines, and the row in which each of them comes first.
        self._first: dict[Line, int | None] = {}
        for chunk in chunks if self._repeats else ():
            numbers = chunk.numbers.tolist()
            lines = zip(numbers, self._repaired(chunk), strict=True)
            self._first |= {line: None for number, line in lines if number in self._repeats}
        self.repairs.clear()

    def header(self) -> Line:
        """Return the header with the fields' own names, unless another column could then be the field."""
        header, renamed = list(self._validation.header), []
        for field, at in self._validation.fields.items():
            others = (name for i, name in enumerate(header) if i != at)
            if header[at] != field and normalize(field) not in map(normalize, others):
                renamed.append(f"{header[at]!r} is now {field}")
                header[at] = field
        if renamed:
            self.repairs.append((1, HEADER, "", ", ".join(renamed)))
        return tuple(header)

    def lines(self, chunk: Chunk) -> list[Line]:
        """Return the lines of a chunk that stay, repaired."""
        remaining = []
        for number, line in zip(chunk.numbers.tolist(), self._repaired(chunk), strict=True):
            if number not in self._invalid and self._first.get(line, number) is None:
                self._first[line] = number
            first = self._first.get(line, number)
            if number in self._repeats and first != number:
                self.repairs.append((number, REPEAT, "", f"the same as row {first} in every column"))
            else:
                remaining.append((*line, *_SURPLUS) if number in self._ragged else line)
        return remaining

    def table(self) -> pd.DataFrame:
        """Return a line per repair, by row."""
        repairs = pd.DataFrame(self.repairs, columns=list(REPAIRS))
        return repairs.sort_values("row", kind="stable", ignore_index=True)

    def _cells(self, lines: pd.DataFrame) -> Mapping[int, np.ndarray]:
        """Return position -> the numbers of the rows with a line for the cell there."""
        places = {self._validation.header[place]: place for place in self._validation.fields.values()}
        groups = lines.groupby("column")["row"]
        cells = ((str(name), np.unique(rows.to_numpy(np.int64))) for name, rows in groups)
        return {places[name]: rows for name, rows in cells if name in places}

    def corrections(self, chunk: Chunk) -> dict[tuple[int, int], str]:
        """Return (row, position of the column) -> text of the cells that need no guess to be repaired."""
        return {(int(chunk.numbers[i]), place): text for place, i, text, _ in self._corrected(chunk)}

    def _corrected(self, chunk: Chunk) -> Iterator[tuple[int, int, str, Mapping[str, str]]]:
        """Yield column and line of each cell that is repaired, its text, and code -> what was done."""
        for place, i in _where(chunk, self._dirty):
            text, codes = clean(str(chunk.cells[place].iloc[i]))
            yield place, i, text, {code: REMOVED[code] for code in codes}
        for place, i in _where(chunk, self._ids):
            if other := other_spelling(clean(str(chunk.cells[place].iloc[i]))[0]):
                yield place, i, other.usual, {REWRITTEN: f"it {other.differences}"}

    def _repaired(self, chunk: Chunk) -> list[Line]:
        columns = [chunk.cells[place].tolist() for place in range(len(self._validation.header))]
        for place, i, text, done in self._corrected(chunk):
            columns[place][i] = text
            for code, action in done.items():
                self._note(chunk, i, code, place, action)
        # Cells that would pass as text although their value is uncertain are emptied.
        for place in self._validation.fields.values():
            guessed = np.isin(chunk.numbers, self._guessed.get(place, ()))
            for i in np.flatnonzero((chunk.kinds[:, place] != CellKind.TEXT) | guessed).tolist():
                if columns[place][i]:
                    code, action = _EMPTIED[CellKind(chunk.kinds[i, place])]
                    self._note(chunk, i, code, place, action)
                    columns[place][i] = ""
        return list(zip(*columns, strict=True))

    def _note(self, chunk: Chunk, i: int, code: str, place: int, action: str) -> None:
        self.repairs.append((int(chunk.numbers[i]), code, self._validation.header[place], action))


def _where(chunk: Chunk, cells: Mapping[int, np.ndarray]) -> Iterator[tuple[int, int]]:
    """The positions and the lines of cells that are in a chunk."""
    for place, rows in cells.items():
        for i in np.flatnonzero(np.isin(chunk.numbers, rows)).tolist():
            yield place, i


def still_invalid(validation: Validation, repairs: pd.DataFrame) -> int:
    """How many rows are invalid for more than an id in another spelling, which was rewritten."""
    rewritten = repairs.loc[repairs["code"] == REWRITTEN, "row"]
    problems = validation.table[validation.table["status"] == Status.INVALID.value]
    repaired = (problems["code"] == "bad-leaf-user-id") & problems["row"].isin(rewritten)
    return int(problems.loc[~repaired, "row"].nunique())
