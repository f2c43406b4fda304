"""The offline check of a file: nothing is sent, nothing is remembered."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from bulk_onboard.chunk import Source
from bulk_onboard.engine.scan import Scan, reading_of
from bulk_onboard.errors import ExitCode
from bulk_onboard.facts import Cause, Observer, ignore
from bulk_onboard.facts import Reading as RowsRead
from bulk_onboard.model import Secret, Status
from bulk_onboard.providers import Provider
from bulk_onboard.settings import Settings

FIRST = 5
COLUMNS = ("row", "status", "code", "column", "message")
CLEANED = ("row", "code", "column", "message")


@dataclass(frozen=True, slots=True)
class Validation:
    """What is wrong with a file. ``table`` has a line per problem, with `COLUMNS`, by row."""

    source: str
    rows: int
    invalid: int
    duplicates: int
    problems: tuple[Cause, ...]
    warnings: tuple[Cause, ...]
    table: pd.DataFrame

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


def validate_file(source: Source, settings: Settings, observer: Observer = ignore) -> Validation:
    """Check every row. Raises InputError if the file cannot be used at all.

    App fields that neither a column nor a setting holds are no fault of the file: a stand-in takes their
    place here, and `run` asks for the setting.
    """
    # Fingerprints are compared within this file only, so any key will do.
    told = reading_of(source, settings)
    app = {each.name: {**_stand_ins(each), **settings.app_of(each.name)} for each in told.providers}
    scan = Scan(source, replace(told, app=app), secrets.token_bytes(32))
    rows, problems, warnings = 0, [], []
    for checked in scan.chunks():
        frame = checked.frame
        rows += len(frame)
        bad = frame.loc[frame["code"] != "", list(CLEANED)]
        problems.append(bad.assign(status=Status.INVALID.value))
        warnings.append(checked.warnings)
        observer(RowsRead(rows))
    problems.append(scan.findings().assign(column=""))
    return _summed_up(source.name, rows, _together(problems, COLUMNS), _together(warnings, CLEANED))


def _stand_ins(provider: Provider) -> dict[str, Secret]:
    return {f.name: Secret(f.allowed[0] if f.allowed else f"set-{f.name}") for f in provider.app_fields}


def _together(parts: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(filled, ignore_index=True).sort_values("row", kind="stable", ignore_index=True)


def _summed_up(source: str, rows: int, table: pd.DataFrame, warnings: pd.DataFrame) -> Validation:
    invalid = table[table["status"] == Status.INVALID.value]
    duplicates = table[table["status"] == Status.DUPLICATE.value]
    return Validation(
        source=source,
        rows=rows,
        invalid=invalid["row"].nunique(),
        duplicates=len(duplicates),
        problems=tuple(_causes(invalid, Status.INVALID.value)),
        warnings=tuple(_causes(warnings, "warning")),
        table=table[list(COLUMNS)],
    )


def _causes(table: pd.DataFrame, status: str) -> Iterator[Cause]:
    """The problems by code, the most frequent first."""
    groups = sorted(table.groupby("code", sort=True), key=lambda group: -group[1]["row"].nunique())
    for code, group in groups:
        numbers = group["row"].drop_duplicates()
        first = tuple(int(number) for number in numbers.head(FIRST))
        yield Cause(status, str(code), len(numbers), first, str(group["message"].iloc[0]))
