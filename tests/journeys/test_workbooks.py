"""Workbooks with hidden rows or several sheets: nothing wrong is sent, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from tests.support.cli import Desk, Rows, growers, serving

HEADER = ("leafUserId", "refreshToken")


def workbook(*sheets: tuple[str, Rows], change: Callable[[Worksheet], object] = lambda _: None) -> str:
    """growers.xlsx with these sheets; ``change`` is done to the first."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows if name == "Notes" else (HEADER, *rows):
            sheet.append(list(row))
    change(book.worksheets[0])
    book.save("growers.xlsx")
    return "growers.xlsx"


def filtered(sheet: Worksheet) -> None:
    sheet.auto_filter.ref = "A1:B5"
    for row in (3, 5):
        sheet.row_dimensions[row].hidden = True


def grouped(sheet: Worksheet) -> None:
    sheet.row_dimensions.group(3, 3, hidden=True)
    sheet.row_dimensions[5].hidden = True


@pytest.mark.parametrize("hide", [filtered, grouped])
def test_hidden_rows_are_sent_or_left_out_only_if_that_is_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, hide: Callable[[Worksheet], None]
) -> None:
    rows = growers(4)
    name = workbook(("North", rows), change=hide)
    found = desk("validate", name)
    assert found.code == 0
    assert "Hidden:    2 rows (rows 3, 5); a run needs --hidden include or skip" in found.out
    with serving() as leaf:
        for setting, value in leaf.environment.items():
            monkeypatch.setenv(setting, value)
        refused = desk("run", name, "--no-events")
        assert refused.code == 3
        assert "2 rows (rows 3, 5) hidden" in refused.err
        assert "--hidden include" in refused.err
        assert desk("run", name, "--cluster", "local:1").code == 3
        assert leaf.seen() == []
        assert desk("run", name, "--no-events", "--hidden", "skip").code == 0
        assert set(leaf.held) == {rows[0][0], rows[2][0]}
        assert desk("run", name, "--no-events", "--hidden", "include").code == 0
        assert set(leaf.held) == {grower for grower, _ in rows}


def test_several_sheets_with_growers_are_refused_until_they_are_named(desk: Desk) -> None:
    rows = growers(6)
    notes = ("Notes", [("what", "who")])
    name = workbook(("North", rows[:3]), notes, ("South", [*rows[3:5], ("bad", "x")]), ("Old", rows[:1]))
    refused = desk("validate", name)
    assert refused.code == 3
    assert "several sheets contain growers: 'North', 'South', 'Old'" in refused.err
    assert "--sheet '*'" in refused.err
    found = desk("validate", name, "--sheet", "south", "--sheet", "North", "--json")
    told = json.loads(found.out)
    assert told["input"]["sheets"] == ["South", "North"]
    assert told["input"]["unreadSheets"] == ["Notes", "Old"]
    assert (told["rows"], told["problems"][0]["rows"]) == (6, [4])
    everything = json.loads(desk("validate", name, "--sheet", "*", "--json").out)
    assert everything["input"]["sheets"] == ["North", "South", "Old"]
    assert everything["input"]["unreadSheets"] == ["Notes"]
    assert (everything["rows"], everything["problems"][0]["rows"], everything["duplicates"]) == (7, [7], 1)
    starts = [(start["sheet"], start["row"]) for start in everything["input"]["sheetStarts"]]
    assert starts == [("North", 2), ("South", 5), ("Old", 8)]
    shown = desk("validate", name, "--sheet", "*").out
    assert "Rows:      North from row 2, South from row 5, Old from row 8" in shown
    Path("bulk-onboard.toml").write_text('sheet = ["North", "South"]\n')
    assert json.loads(desk("validate", name, "--json").out)["rows"] == 6
    Path("bulk-onboard.toml").write_text("sheet = 5\n")
    assert desk("validate", name).code == 2


def test_a_sheet_without_a_header_may_hold_growers_too(desk: Desk) -> None:
    name = workbook(("North", growers(2)), ("South", growers(3, start=2)))
    book = openpyxl.load_workbook(name)
    book["South"].delete_rows(1)
    book.save(name)
    assert "several sheets contain growers" in desk("validate", name).err
