"""The findings of a check: of one chunk, and of a whole file for terminal, JSON, workbook and repair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import constant_column, text_column
from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.domain.model import Status
from bulk_onboard.domain.run_events import Cause
from bulk_onboard.errors import ExitCode
from bulk_onboard.validation.rules import Finding

# How many rows a summary names of each code.
FIRST = 5
COLUMNS = ("row", "status", "code", "column", "message")
CLEANED = ("row", "code", "column", "message")
_DETAILS = CLEANED[1:]

_Entry = tuple[int, str, str, str]


class ChunkFindings:
    """The findings of a chunk, collected rule by rule. ``valid``: which rows have no problem so far."""

    def __init__(self, numbers: np.ndarray) -> None:
        """``numbers``: those of the chunk's rows."""
        self.valid = np.ones(len(numbers), bool)
        self._numbers = numbers
        self._problems: list[_Entry] = []
        self._warnings: list[_Entry] = []

    def add(self, lines: Iterable[int], finding: Finding, column: str) -> None:
        """Add a problem to the rows at these lines."""
        entries = _entries(lines, finding, column)
        self._problems += entries
        self.valid[[entry[0] for entry in entries]] = False

    def warn(self, lines: Iterable[int], finding: Finding, column: str) -> None:
        """Add a warning to the rows at these lines."""
        self._warnings += _entries(lines, finding, column)

    def first_problems(self) -> dict[str, pd.Series]:
        """Return code, column and message of each row's first problem, "" where nothing is wrong."""
        if not self._problems:
            return dict.fromkeys(_DETAILS, constant_column("", len(self.valid)))
        columns = [[""] * len(self.valid) for _ in _DETAILS]
        for line, *texts in reversed(self._problems):  # so that the first one stays
            for column, text in zip(columns, texts, strict=True):
                column[line] = text
        return dict(zip(_DETAILS, map(text_column, columns), strict=True))

    def problems(self) -> pd.DataFrame:
        """Return row, code, column, message: the first problem of each cell, by row."""
        table = self._table(self._problems)
        return table.drop_duplicates(["row", "column"], ignore_index=True)

    def warnings(self) -> pd.DataFrame:
        """Return the same columns of the warnings, all of them."""
        return self._table(self._warnings).drop_duplicates(ignore_index=True)

    def _table(self, entries: Sequence[_Entry]) -> pd.DataFrame:
        if not entries:
            return no_findings()
        table = pd.DataFrame(entries, columns=list(CLEANED))
        table["row"] = self._numbers[table["row"].to_numpy(np.int64)]
        return table.sort_values("row", kind="stable", ignore_index=True)


def _entries(lines: Iterable[int], finding: Finding, column: str) -> list[_Entry]:
    message = f"{column} {finding.text}".lstrip()
    return [(int(line), finding.code, column, message) for line in lines]


def no_findings() -> pd.DataFrame:
    """Return an empty table with the columns `CLEANED`."""
    return pd.DataFrame({"row": np.empty(0, np.int64)} | {name: np.empty(0, object) for name in _DETAILS})


@dataclass(frozen=True)
class Validation:
    """The problems of a file. ``table`` has a line per problem, with `COLUMNS`, by row.

    ``cleaned`` has a line, with `CLEANED`, per cell that was cleaned in reading. ``header`` is the file's;
    ``fields``: field name -> position in it, also of the column of providers; ``credentials``: those of them
    that make up a grower's credentials; ``description`` is how the file was read; ``rows``: how many it has.
    """

    description: InputDescription
    rows: int
    table: pd.DataFrame
    cleaned: pd.DataFrame
    header: tuple[str, ...]
    fields: Mapping[str, int]
    credentials: tuple[str, ...]

    @property
    def source(self) -> str:
        """The file's name."""
        return self.description.name

    @cached_property
    def problems(self) -> tuple[Cause, ...]:
        """The reasons why rows are invalid, by code."""
        return tuple(group_causes(self._of(Status.INVALID), Status.INVALID.value))

    @cached_property
    def repeats(self) -> tuple[Cause, ...]:
        """Rows that repeat others."""
        return tuple(group_causes(self._of(Status.DUPLICATE), Status.DUPLICATE.value))

    @cached_property
    def warnings(self) -> tuple[Cause, ...]:
        """Warnings, by code."""
        return tuple(group_causes(self.cleaned, "warning"))

    @cached_property
    def invalid(self) -> int:
        """How many rows are invalid."""
        return int(self._of(Status.INVALID)["row"].nunique())

    @property
    def duplicates(self) -> int:
        """How many rows repeat others."""
        return len(self._of(Status.DUPLICATE))

    @property
    def valid(self) -> int:
        """How many rows a run would send."""
        return self.rows - self.invalid - self.duplicates

    @property
    def counts(self) -> Mapping[str, int]:
        """Numbers of rows by result."""
        return {"valid": self.valid, "invalid": self.invalid, "duplicate": self.duplicates}

    @property
    def exit_code(self) -> ExitCode:
        """Whether some row needs attention."""
        return ExitCode.ATTENTION if self.invalid else ExitCode.OK

    def _of(self, status: Status) -> pd.DataFrame:
        return self.table[self.table["status"] == status.value]


def combine_tables(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Return the lines of tables with these columns as one table, by row."""
    filled = [table for table in tables if len(table)]
    if not filled:
        return pd.DataFrame(columns=list(columns))
    table = pd.concat(filled, ignore_index=True).sort_values("row", kind="stable", ignore_index=True)
    return table[list(columns)]


def group_causes(table: pd.DataFrame, status: str) -> Iterator[Cause]:
    """Yield a cause for each code of a table with row, code and message, the most frequent first."""
    groups = sorted(table.groupby("code", sort=True), key=lambda group: -group[1]["row"].nunique())
    for code, group in groups:
        numbers = group["row"].drop_duplicates()
        first = tuple(int(number) for number in numbers.head(FIRST))
        yield Cause(status, str(code), len(numbers), first, str(group["message"].iloc[0]))
