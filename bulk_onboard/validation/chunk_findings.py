"""What was found in one chunk of rows: problems, the first of each row, and warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import CellKind, Chunk
from bulk_onboard.texts import repeated
from bulk_onboard.validation.rules import Cell, Finding

SAID = ("code", "column", "message")
NO_FINDINGS = pd.DataFrame({"row": np.empty(0, np.int64)} | {name: np.empty(0, object) for name in SAID})
_CELL_KINDS = {
    CellKind.VALUE: Finding(
        "numeric-cell", "is a number, a date or a logical value, not text: digits may be lost"
    ),
    CellKind.ERROR: Finding("formula-error", "shows a spreadsheet error"),
    CellKind.FORMULA: Finding("formula-without-value", "is a formula without a stored result"),
}


class ChunkFindings:
    """The findings of a chunk, collected rule by rule.

    ``fine``: which rows have no problem so far.
    """

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.fine = np.ones(len(chunk.numbers), bool)
        self._all: list[tuple[int, str, str, str]] = []
        self._warnings: list[tuple[int, str, str, str]] = []
        self._texts: tuple[np.ndarray, ...] = ()  # made when the first of them is needed

    def mark(self, wrong: np.ndarray, finding: Finding, column: str) -> None:
        """A problem in these rows (a mask)."""
        where = np.flatnonzero(wrong)
        if len(where):
            self.mark_rows(
                where.tolist(), repeat(finding.code), column, repeat(f"{column} {finding.text}".lstrip())
            )

    def mark_rows(
        self, where: Iterable[int], codes: Iterable[str], column: str, messages: Iterable[str]
    ) -> None:
        """Problems in these lines, one each."""
        found = list(zip(where, codes, repeat(column), messages, strict=False))
        self._all += found
        if not self._texts:
            self._texts = tuple(np.full(len(self.fine), "", dtype=object) for _ in SAID)
        for at, *said in found:
            if self.fine[at]:
                self.fine[at] = False
                for texts, text in zip(self._texts, said, strict=True):
                    texts[at] = text

    def mark_kinds(self, i: int, column: str) -> None:
        """Cells of a column that are not text."""
        kinds = self.chunk.kinds[:, i]
        if not kinds.any():
            return
        filled = (self.chunk.cells[i] != "").to_numpy(bool)
        for kind, finding in _CELL_KINDS.items():
            self.mark((kinds == kind) & (filled | (kind is CellKind.FORMULA)), finding, column)

    def judge(
        self, cells: pd.Series, suspects: np.ndarray, rule: Callable[[str], Cell], column: str
    ) -> pd.Series:
        """The cells as they are sent, after looking at the suspects one by one."""
        if not len(suspects):
            return cells
        texts = cells.iloc[suspects].tolist()
        found = {text: rule(text) for text in set(texts)}
        cells_found = zip(suspects.tolist(), texts, strict=True)
        bad = [(at, problem) for at, text in cells_found if (problem := found[text].problem)]
        if bad:
            codes, messages = [p.code for _, p in bad], [f"{column} {p.text}" for _, p in bad]
            self.mark_rows([at for at, _ in bad], codes, column, messages)
        for at, text in zip(suspects.tolist(), texts, strict=True):
            if found[text].warnings:
                self.warn([at], found[text].warnings, column)
        if all(cell.value == text for text, cell in found.items()):
            return cells
        values = cells.tolist()
        for at, text in zip(suspects.tolist(), texts, strict=True):
            values[at] = found[text].value
        return pd.Series(values, dtype="str")

    def warn(self, where: Sequence[int], findings: Sequence[Finding], column: str) -> None:
        """Warnings, all of them in these lines."""
        self._warnings += [(at, code, column, f"{column} {text}") for at in where for code, text in findings]

    def texts(self) -> dict[str, pd.Series]:
        """Code, column and message of each row, "" where nothing is wrong."""
        if self._texts:
            columns = [pd.Series(values, dtype="str") for values in self._texts]
        else:
            columns = [pd.Series(pd.array(repeated("", len(self.fine)), dtype="str"))] * len(SAID)
        return dict(zip(SAID, columns, strict=True))

    def problems(self) -> pd.DataFrame:
        """Row, code, column, message: the first problem of each cell, by row."""
        return self._table(self._all, ["at", "column"])

    def warnings(self) -> pd.DataFrame:
        """The same of the warnings, all of them."""
        return self._table(self._warnings, None)

    def _table(self, found: list[tuple[int, str, str, str]], unique: list[str] | None) -> pd.DataFrame:
        if not found:
            return NO_FINDINGS.copy(deep=False)
        table = pd.DataFrame(found, columns=["at", *SAID])
        table = table.drop_duplicates(unique).sort_values("at", kind="stable", ignore_index=True)
        table.insert(0, "row", self.chunk.numbers[table.pop("at").to_numpy(np.int64)])
        return table
