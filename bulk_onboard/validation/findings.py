"""What the check of a whole file found: a value, from which terminal, JSON, workbook and repair are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.errors import ExitCode
from bulk_onboard.facts import Cause
from bulk_onboard.model import Status

FIRST = 5
COLUMNS = ("row", "status", "code", "column", "message")
CLEANED = ("row", "code", "column", "message")


@dataclass(frozen=True, slots=True)
class Validation:
    """What is wrong with a file. ``table`` has a line per problem, with `COLUMNS`, by row.

    ``cleaned`` has a line, with `CLEANED`, per cell that was cleaned in reading. ``header`` is the file's;
    ``fields``: field name -> position in it, also of the column of providers; ``credentials``: those of them
    that make up a grower's credentials; ``description`` is how the file was read.
    """

    description: InputDescription
    rows: int
    invalid: int
    duplicates: int
    problems: tuple[Cause, ...]
    repeats: tuple[Cause, ...]
    warnings: tuple[Cause, ...]
    table: pd.DataFrame
    cleaned: pd.DataFrame
    header: tuple[str, ...]
    fields: Mapping[str, int]
    credentials: tuple[str, ...]

    @property
    def source(self) -> str:
        """The file's name."""
        return self.description.name

    @property
    def valid(self) -> int:
        """Rows that a run would send."""
        return self.rows - self.invalid - self.duplicates

    @property
    def counts(self) -> Mapping[str, int]:
        """Rows by what is known of them."""
        return {"valid": self.valid, "invalid": self.invalid, "duplicate": self.duplicates}

    @property
    def exit_code(self) -> ExitCode:
        """Fine, or some row needs attention."""
        return ExitCode.ATTENTION if self.invalid else ExitCode.OK


def summed_up(
    description: InputDescription,
    rows: int,
    problems: Sequence[pd.DataFrame],
    warnings: Sequence[pd.DataFrame],
    *,
    header: tuple[str, ...],
    fields: Mapping[str, int],
    credentials: tuple[str, ...],
) -> Validation:
    """The pieces of a file, together: lines with `COLUMNS` and lines with `CLEANED`, in any order."""
    table, cleaned = _together(problems, COLUMNS), _together(warnings, CLEANED)
    invalid = table[table["status"] == Status.INVALID.value]
    duplicates = table[table["status"] == Status.DUPLICATE.value]
    return Validation(
        description=description,
        rows=rows,
        invalid=invalid["row"].nunique(),
        duplicates=len(duplicates),
        problems=tuple(causes(invalid, Status.INVALID.value)),
        repeats=tuple(causes(duplicates, Status.DUPLICATE.value)),
        warnings=tuple(causes(cleaned, "warning")),
        table=table,
        cleaned=cleaned,
        header=header,
        fields=fields,
        credentials=credentials,
    )


def _together(parts: Sequence[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=list(columns))
    together = pd.concat(filled, ignore_index=True).sort_values("row", kind="stable", ignore_index=True)
    return together[list(columns)]


def causes(table: pd.DataFrame, status: str) -> Iterator[Cause]:
    """Lines with row, code and message, by code, the most frequent first."""
    groups = sorted(table.groupby("code", sort=True), key=lambda group: -group[1]["row"].nunique())
    for code, group in groups:
        numbers = group["row"].drop_duplicates()
        first = tuple(int(number) for number in numbers.head(FIRST))
        yield Cause(status, str(code), len(numbers), first, str(group["message"].iloc[0]))
