"""Repair takes off what is surely too much, and makes nothing pass that was wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.cli.corrections import fixed
from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.engine.validation import Validation, validate_file
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.settings import InputSettings, Settings
from tests.support.properties import scaled

IDS = [str(UUID(int=10**36 + number)) for number in range(9)]
HEADER = ("Leaf User ID", "name", "Refresh_Token")


def checked(source: Source, **mapping: str) -> Validation:
    return validate_file(source, Settings(input=InputSettings(mapping=mapping)))


def repaired(
    folder: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER, **mapping: str
) -> tuple[list[list[str]], list[tuple[int, str]], Validation, Validation]:
    """The lines of the repaired file, the repairs, and what was wrong before and is after."""
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    with open_source(
        "-", stdin=io.BytesIO(text.getvalue().encode()), options=ReadOptions(mapped=tuple(mapping.values()))
    ) as source:
        before = checked(source, **mapping)
        table = fixed(source, before, folder / "fixed.csv")
    with open_source(folder / "fixed.csv") as again:
        after = checked(again)
    lines = list(csv.reader((folder / "fixed.csv").read_text().splitlines()))
    return lines, list(zip(table["row"], table["code"], strict=True)), before, after


def test_surrounding_characters_are_removed_from_fields_only(tmp_path: Path) -> None:
    rows = [(f" {IDS[0]}", " Ann ", '"a-token"'), (IDS[1], "Bob", "b-to\u200bken\u00a0")]
    lines, repairs, _, after = repaired(tmp_path, rows)
    assert lines[1:] == [[IDS[0], " Ann ", "a-token"], [IDS[1], "Bob", "b-token"]]
    assert repairs == [
        (1, "header-renamed"), (2, "spaces-removed"), (2, "quotes-removed"),
        (3, "zero-width-removed"), (3, "spaces-removed"),
    ]  # fmt: skip
    assert after.warnings == ()
    assert after.valid == 2


def test_headers_of_fields_are_renamed(tmp_path: Path) -> None:
    lines, *_ = repaired(
        tmp_path, [("x", IDS[0], "t-1")], ("Größe (ha)", "LEAF-USER-ID", "Raven"), refreshToken="Raven"
    )
    assert lines[0] == ["Größe (ha)", "leafUserId", "refreshToken"]


def test_a_header_is_not_renamed_where_two_columns_could_then_be_the_field(tmp_path: Path) -> None:
    header = ("leafUserId", "Raven", "refresh token")
    with open_source("-", stdin=io.BytesIO(f"{','.join(header)}\n{IDS[0]},a,b\n".encode())) as source:
        found = checked(source, refreshToken="Raven")
        fixed(source, found, tmp_path / "fixed.csv")
    assert (tmp_path / "fixed.csv").read_text().splitlines()[0] == "leafUserId,Raven,refresh token"


def test_only_exact_repeats_are_removed(tmp_path: Path) -> None:
    rows = [
        (IDS[0], "Ann", "a"), (IDS[1], "Bob", "b"), (IDS[0], "Ann", "a "), (IDS[0], "Anna", "a"),
        (IDS[0], "Anna", "a"),
    ]  # fmt: skip
    lines, repairs, before, after = repaired(tmp_path, rows)
    assert before.duplicates == 3
    assert [line[1] for line in lines[1:]] == ["Ann", "Bob", "Anna"]
    assert [row for row, code in repairs if code == "repeat-removed"] == [4, 6]
    assert (after.valid, after.duplicates) == (2, 1)


def test_ragged_rows_are_not_repaired_by_cutting(tmp_path: Path) -> None:
    _, _, before, after = repaired(tmp_path, [(IDS[0], "Ann", "a", "surplus"), (IDS[1], "Bob", "b")])
    assert [cause.code for cause in before.problems] == ["ragged-row"]
    assert [(cause.code, cause.rows) for cause in after.problems] == [("ragged-row", (2,))]


def test_numeric_cells_are_not_repaired_by_conversion(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for line in (["leafUserId", "refreshToken"], [IDS[0], 12345678901234567], [IDS[1], "b-token"]):
        book.active.append(line)
    book.save(tmp_path / "growers.xlsx")
    with open_source(tmp_path / "growers.xlsx") as source:
        table = fixed(source, checked(source), tmp_path / "fixed.csv")
    assert table["code"].tolist() == ["number-emptied"]
    with open_source(tmp_path / "fixed.csv") as again:
        assert [(cause.code, cause.rows) for cause in checked(again).problems] == [
            ("missing-refreshToken", (2,))
        ]


IDS_IN_FILES = st.sampled_from([*IDS[:3], f" {IDS[0]}", f'"{IDS[1]}" ', "no uuid", ""])
TOKENS = st.sampled_from(["a", "b ", "'c'", "\u200bd", "TODO", "", "a\nb", "#REF!", "=1+1", " "])


@settings(max_examples=scaled(25), deadline=None)
@given(st.lists(st.tuples(IDS_IN_FILES, st.sampled_from(["", "n"]), TOKENS), min_size=1, max_size=8))
def test_repairing_changes_nothing_but_warnings_and_repeats(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("fixed")
    filled = [*rows, (IDS[8], "last", "z")]
    _, repairs, before, after = repaired(folder, filled)
    removed = sum(code == "repeat-removed" for _, code in repairs)
    assert after.warnings == ()
    assert (after.valid, after.invalid) == (before.valid, before.invalid)
    assert after.duplicates == before.duplicates - removed
    assert [(c.code, c.count) for c in after.problems] == [(c.code, c.count) for c in before.problems]


def test_notes_in_an_unnamed_last_column_are_kept(
    tmp_path: Path,
) -> None:
    header = ("leafUserId", "refreshToken", "")
    rows = [(IDS[0], "a-token", "called"), (IDS[1], " b-token", ""), (IDS[2], "c", "half", "")]
    lines, _, before, _ = repaired(tmp_path, rows, header)
    assert lines[:3] == [[*header], [IDS[0], "a-token", "called"], [IDS[1], "b-token", ""]]
    assert [(cause.code, cause.rows) for cause in before.problems] == [("ragged-row", (4,))]
    # Most rows have no cell below the empty name: what is there belongs to the token.
    _, _, before, _ = repaired(tmp_path, [(IDS[0], "a"), (IDS[1], "b"), (IDS[2], "c", "half")], header)
    assert [(cause.code, cause.rows) for cause in before.problems] == [("ragged-row", (4,))]


def test_notes_beside_the_table_of_a_workbook_are_kept(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for line in (["leafUserId", "refreshToken"], [IDS[0], "a-token"], [IDS[1], "b-token", None, "called"]):
        book.active.append(line)  # type: ignore[union-attr]
    book.save(tmp_path / "own.xlsx")
    with open_source(tmp_path / "own.xlsx") as source:
        fixed(source, checked(source), tmp_path / "fixed.csv")
    lines = list(csv.reader((tmp_path / "fixed.csv").read_text().splitlines()))
    assert lines == [
        ["leafUserId", "refreshToken", "", ""], [IDS[0], "a-token", "", ""], [IDS[1], "b-token", "", "called"]
    ]  # fmt: skip
