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

    def add(self, lines: np.ndarray, finding: Finding, column: str) -> None:
        """Add one problem to the rows at these lines."""
        if len(lines):
            self.add_each(lines, repeat(finding), column)

    def add_each(self, lines: np.ndarray, findings: Iterable[Finding], column: str) -> None:
        """Add a problem to each of these rows."""
        if not self._texts:
            self._texts = tuple(np.full(len(self.fine), "", dtype=object) for _ in SAID)
        for at, finding in zip(lines.tolist(), findings, strict=False):
            said = (finding.code, column, f"{column} {finding.text}".lstrip())
            self._all.append((at, *said))
            if self.fine[at]:
                self.fine[at] = False
                for texts, text in zip(self._texts, said, strict=True):
                    texts[at] = text

    def add_kinds(self, i: int, lines: np.ndarray, column: str) -> None:
        """Add the cells of a column that are not text."""
        kinds = self.chunk.kinds[lines, i]
        if not kinds.any():
            return
        filled = (self.chunk.cells[i].iloc[lines] != "").to_numpy(bool)
        for kind, finding in _CELL_KINDS.items():
            self.add(lines[(kinds == kind) & (filled | (kind is CellKind.FORMULA))], finding, column)

    def check_cells(
        self,
        cells: pd.Series,
        lines: np.ndarray,
        suspects: np.ndarray,
        rule: Callable[[str], Cell],
        column: str,
    ) -> pd.Series:
        """Apply a rule to the suspects among some cells; return all of the cells as they are sent.

        ``lines``: of the cells in the chunk; ``suspects``: positions among the cells.
        """
        if not len(suspects):
            return cells
        texts = cells.iloc[suspects].tolist()
        results = {text: rule(text) for text in set(texts)}
        at = lines[suspects]
        bad = np.array([results[text].problem is not None for text in texts], bool)
        problems = (problem for text in texts if (problem := results[text].problem))
        if bad.any():
            self.add_each(at[bad], problems, column)
        for i, text in enumerate(texts):
            self.warn(at[i : i + 1], results[text].warnings, column)
        if all(cell.value == text for text, cell in results.items()):
            return cells
        values = cells.tolist()
        for i, text in zip(suspects.tolist(), texts, strict=True):
            values[i] = results[text].value
        return pd.Series(values, dtype="str")

    def warn(self, lines: np.ndarray, findings: Sequence[Finding], column: str) -> None:
        """Add all of these warnings to the rows at these lines."""
        self._warnings += [
            (at, code, column, f"{column} {text}") for at in lines.tolist() for code, text in findings
        ]

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
