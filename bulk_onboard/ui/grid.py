"""The lines of a file as the page shows them: a window at a time, and without the secrets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.readers.header_row import FirstRows, lettered
from bulk_onboard.validation.cell_marks import marks
from bulk_onboard.validation.findings import Validation
from bulk_onboard.validation.likely_columns import (
    is_plain_name,
    may_be_secret,
    may_be_value,
    may_hold_secret,
    resembles_field,
)

# Rows that are looked at to see which columns may hold secrets, and rows of one window at most.
SAMPLED, WINDOW = 200, 400
# A name of a column that is longer, with digits, above secrets, may be one of them.
_SHORT = 12
_SECRET_FIELDS = frozenset(f.name for p in PROVIDERS.values() for f in p.fields if f.secret)
# What is shown in place of a secret: its length says nothing.
MASKED = None

Cells = Mapping[tuple[int, int], str]


class Corrections(NamedTuple):
    """What a person changed: (row number, position of the column) -> text, and rows that are left out."""

    cells: dict[tuple[int, int], str]
    left_out: set[int]


def column_names(header: Sequence[str], secret: Collection[int], *, is_data: bool = False) -> tuple[str, ...]:
    """Return names by which a person can tell the columns apart: empty and repeated ones get a letter.

    ``secret``: positions of columns with secrets. A header that is rather one of their values is not shown;
    ``is_data``: all of them are values.
    """

    def is_hidden(at: int, name: str) -> bool:
        is_value = not resembles_field(name) if is_data else len(name) > _SHORT and not is_plain_name(name)
        return may_be_value(name) or (at in secret and is_value)

    shown = ["" if is_hidden(at, name) else name for at, name in enumerate(header)]
    return tuple(
        name if name and shown.count(name) == 1 else f"{name} ({lettered(i)})".strip()
        for i, name in enumerate(shown)
    )


def masked_lines(sheet: FirstRows, header_row: int | None) -> list[dict[str, Any]]:
    """Return the first rows of a sheet without what may be secret. ``header_row``: the one chosen."""
    header = header_row or 0
    headers = [line.texts for line in sheet.lines if line.number in {header, sheet.header_row}]
    below = [line.texts for line in sheet.lines if line.number > header]
    secret = secret_columns(headers, [*zip_longest(*below, fillvalue="")])

    first = min(header, sheet.header_row or header)

    def shown(number: int, at: int, text: str) -> str | None:
        if number > header:
            return MASKED if text and (at in secret or may_be_secret(text)) else text
        is_value = at in secret and number > first and not resembles_field(text)
        return MASKED if text and (is_value or may_be_value(text)) else text

    return [
        {
            "row": line.number,
            "hidden": line.hidden,
            "cells": [shown(line.number, at, text) for at, text in enumerate(line.texts)],
        }
        for line in sheet.lines
    ]


def secret_columns(headers: Sequence[Sequence[str]], columns: Sequence[Sequence[str]]) -> set[int]:
    """Return the positions of columns that may hold secrets, by any of the headers or by their cells."""
    names = [[header[at] for header in headers if at < len(header)] for at in range(len(columns))]
    return {
        at
        for at, cells in enumerate(columns)
        if any(may_hold_secret(name, cells, _SECRET_FIELDS) for name in ("", *names[at]))
    }


class Grid:
    """All lines of an open source, in memory. ``header``: names of the columns, all different."""

    def __init__(self, source: Source, sheets: Sequence[FirstRows], header_row: int | None) -> None:
        """Read the source from end to end. ``sheets``: its first rows; ``header_row``: the one chosen."""
        self._chunks = list(source.chunks(range(len(source.header))))
        self._starts = np.cumsum([0, *(len(chunk.numbers) for chunk in self._chunks)])
        self.numbers = np.concatenate([chunk.numbers for chunk in self._chunks])
        likely = [line.texts for s in sheets for line in s.lines if line.number == s.header_row]
        columns = [self.sample(at) for at in range(len(source.header))]
        self._likely = secret_columns([source.header, *likely], columns)
        is_data = any(0 < (s.header_row or 0) < (header_row or 0) for s in sheets)
        self.header = column_names(source.header, self._likely, is_data=is_data)

    def __len__(self) -> int:
        return len(self.numbers)

    def sample(self, column: int) -> list[str]:
        """Return the first cells of a column."""
        cells: list[str] = self._chunks[0].cells[column].iloc[:SAMPLED].tolist()
        return cells

    def width(self, column: int) -> int:
        """Return how wide a column is shown, in pixels."""
        masked = column in self._likely
        longest = max(map(len, [self.header[column], *([] if masked else self.sample(column))]))
        return min(330, max(110, 8 * longest + 30))

    def text(self, row: int, column: int) -> str:
        """Return a cell by its row's number."""
        return str(self._line(int(np.searchsorted(self.numbers, row)))[column])

    def has(self, row: int, column: int) -> bool:
        """Return whether there is such a cell."""
        at = int(np.searchsorted(self.numbers, row))
        return at < len(self.numbers) and self.numbers[at] == row and 0 <= column < len(self.header)

    def _line(self, position: int) -> list[str]:
        number = int(np.searchsorted(self._starts, position, side="right")) - 1
        line: list[str] = self._chunks[number].cells.iloc[position - int(self._starts[number])].tolist()
        return line

    def matching(self, rows: np.ndarray | None, search: str, fields: Collection[int]) -> np.ndarray:
        """Return the positions of the lines with these numbers that have a text in a cell that is shown."""
        among = np.ones(len(self), bool) if rows is None else np.isin(self.numbers, rows)
        if search.strip():
            shown = [at for at in range(len(self.header)) if at not in self._likely and at not in fields]
            wanted = search.strip()
            hits = [
                np.logical_or.reduce(
                    [c.cells[at].str.contains(wanted, case=False, regex=False).to_numpy(bool) for at in shown]
                    or [np.zeros(len(c.numbers), bool)]
                )
                for c in self._chunks
            ]
            among &= np.concatenate(hits) | (self.numbers.astype(str) == wanted)
        return np.flatnonzero(among)

    def window(
        self,
        positions: np.ndarray,
        corrections: Corrections,
        validation: Validation | None,
        secret: Collection[int],
    ) -> list[dict[str, Any]]:
        """Return the lines at these positions with what is wrong. ``secret``: masked columns too."""
        numbers = self.numbers[positions]
        marked = _marks(validation, numbers) if validation else {}
        skipped = _skipped(validation, numbers) if validation else {}
        masked = self._likely | {*secret}
        lines = []
        for position, number in zip(positions.tolist(), numbers.tolist(), strict=True):
            texts = self._line(position)
            changed = [at for at in range(len(texts)) if (number, at) in corrections.cells]
            for at in changed:
                texts[at] = corrections.cells[number, at]
            cells = [
                MASKED if text and (at in masked or may_be_secret(text)) else text
                for at, text in enumerate(texts)
            ]
            lines.append(
                {
                    "row": number,
                    "cells": cells,
                    "marks": marked.get(number, []),
                    "changed": changed,
                    "leftOut": number in corrections.left_out,
                    "skipped": skipped.get(number, ""),
                }
            )
        return lines


def _marks(validation: Validation, numbers: np.ndarray) -> dict[int, list[dict[str, Any]]]:
    """By row, the cells with something wrong: the same marks as in the annotated workbook."""
    tables = (table[table["row"].isin(numbers)] for table in (validation.table, validation.cleaned))
    table, cleaned = tables
    all_marks = marks(replace(validation, table=table, cleaned=cleaned), notes=len(numbers) * 10)
    result: dict[int, list[dict[str, Any]]] = {}
    for mark in all_marks.cells:
        said = mark.note or (all_marks.rows[mark.row].detail if mark.row in all_marks.rows else "")
        entry = {"column": mark.column, "gravity": int(mark.gravity), "note": said}
        result.setdefault(mark.row, []).append(entry)
    return result


def _skipped(validation: Validation, numbers: np.ndarray) -> dict[int, str]:
    wanted = {*numbers.tolist()}
    return {line.row: line.reason for line in validation.description.skipped_lines if line.row in wanted}
