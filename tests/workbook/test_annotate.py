"""The spreadsheet comes back with its problems marked, and with nothing else changed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tempfile
import zipfile
from itertools import pairwise
from pathlib import Path

import openpyxl
import pytest
from openpyxl.chart import BarChart
from openpyxl.comments import Comment
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Font, PatternFill
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.dimensions import ColumnDimension
from openpyxl.worksheet.table import Table
from openpyxl.worksheet.worksheet import Worksheet

from bulk_onboard.cli.main import main
from tests.workbook.books import (
    GREY,
    HEADER,
    PLANTED,
    RED,
    ROWS,
    YELLOW,
    annotate,
    colours,
    comments,
    grower,
    problems,
    token,
    tokens_in,
    with_parts,
    write_workbook,
)


@pytest.fixture
def growers(tmp_path: Path) -> Path:
    return write_workbook(tmp_path / "growers.xlsx")


def test_problems_are_marked_and_summed_up(growers: Path) -> None:
    back = annotate(growers)
    assert back.code == 1
    assert colours(back.sheet) == {
        "C4": RED, "A5": YELLOW, "A6": GREY, "C6": GREY, "A7": RED, "C7": RED,
        "A8": RED, "C8": RED, "A9": RED, "C9": RED,
    }  # fmt: skip
    told = comments(back.sheet)
    assert told["C4"] == "Refresh Token is empty. Fill in refreshToken and run again."
    assert told["A6"].startswith("Repeats row 2.")
    assert told["C8"].startswith("The same grower has different credentials in row 9. Delete the rows")
    # One comment per problem and row is enough.
    assert set(told) == {"C4", "A5", "A6", "A7", "C7", "C8", "C9"}
    sheet = back.sheet
    assert problems(sheet) == {
        4: "missing-refreshToken", 6: "duplicate", 7: "bad-leaf-user-id; placeholder-value",
        8: "conflicting-rows", 9: "conflicting-rows",
    }  # fmt: skip
    assert [cell.value for cell in sheet[1]] == [*HEADER, "problem", "problem detail"]
    assert sheet.auto_filter.ref == "A1:E9"
    assert back.summary[0] == "growers.xlsx: 4 of 8 rows need to be corrected"
    for words in (
        "conflicting-rows",
        "Delete the rows with the wrong token and run again.",
        "spaces-removed",
    ):
        assert words in back.summary
    page = back.book.worksheets[0]
    links = {
        cell.value: cell.hyperlink.location for row in page.iter_rows() for cell in row if cell.hyperlink
    }
    assert links["row 4"] == "'Growers'!A4"
    # What is typed goes into all selected sheets.
    assert [each.sheet_view.tabSelected for each in back.book.worksheets] == [True, False]


def test_a_valid_file_has_no_marks(tmp_path: Path) -> None:
    back = annotate(write_workbook(tmp_path / "good.xlsx", ROWS[:2]))
    assert back.code == 0
    assert colours(back.sheet) == comments(back.sheet) == problems(back.sheet) == {}
    assert back.summary[0] == "good.xlsx: all of the 2 rows can be sent"


def test_comments_are_limited_and_colours_are_not(tmp_path: Path) -> None:
    rows = [(grower(n), "x", None) for n in range(250)]
    back = annotate(write_workbook(tmp_path / "bad.xlsx", rows))
    sheet = back.sheet
    assert len(comments(sheet)) == 200
    assert len(colours(sheet)) == len(problems(sheet)) == 250
    assert any("first 200 rows of missing-refreshToken" in text for text in back.summary)


@pytest.mark.parametrize("at", [(1, 1), (4, 3)])
def test_the_marks_are_where_the_rows_are(tmp_path: Path, at: tuple[int, int]) -> None:
    path = write_workbook(tmp_path / "growers.xlsx", at=at)
    sheet = annotate(path).sheet
    assert sheet.cell(at[0] + 3, at[1] + 2).fill.start_color.rgb == RED
    assert problems(sheet)[at[0] + 3] == "missing-refreshToken"


def test_a_problem_in_a_merged_cell_is_marked_where_it_shows(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "growers.xlsx", change=lambda _, sheet: sheet.merge_cells("C3:C4"))
    sheet = annotate(path).sheet
    assert sheet["C3"].fill.start_color.rgb == RED
    assert comments(sheet)["C3"].startswith("Row 4: Refresh Token is empty.")


# --- what is the owner's stays ------------------------------------------------------------------------


def make_own(book: openpyxl.Workbook, sheet: Worksheet) -> None:
    other = book.create_sheet("Anna's notes")
    other["A1"], other["A1"].font = "=SUM(Growers!D2:D3)", Font(italic=True)
    book.create_sheet("Hidden").sheet_state = "hidden"
    book.defined_names["Area"] = DefinedName("Area", attr_text="Growers!$D$2:$D$3")
    sheet["D1"], sheet["D2"], sheet["E1"], sheet["E2"] = "Hectares", 12.5, "Cost", "=D2*3"
    sheet["E2"].number_format, sheet["B2"].font = "0.00 €", Font(bold=True, color="FF336699")
    sheet["B2"].fill = PatternFill("solid", start_color="FFABCDEF")
    sheet.column_dimensions["A"].width, sheet.row_dimensions[2].height = 41, 33
    sheet.freeze_panes, sheet.print_title_rows, sheet.print_area = "B2", "1:1", "A1:E9"
    listed = DataValidation("list", formula1='"Ann,Bob"')
    listed.add("B2:B9")
    sheet.add_data_validation(listed)
    rule = CellIsRule(operator="greaterThan", formula=["10"], fill=PatternFill("solid", end_color="FF00FF00"))
    sheet.conditional_formatting.add("D2:D9", rule)
    sheet["B9"].comment = Comment("call Fay first", "Bob")


def test_sheets_formats_formulas_and_rules_are_kept(tmp_path: Path) -> None:
    back = annotate(write_workbook(tmp_path / "own.xlsx", change=make_own))
    book, sheet = back.book, back.sheet
    assert book.sheetnames[1:] == ["Growers", "Anna's notes", "Hidden"]
    assert book["Hidden"].sheet_state == "hidden"
    assert (book["Anna's notes"]["A1"].value, book["Anna's notes"]["A1"].font.i) == (
        "=SUM(Growers!D2:D3)",
        True,
    )
    assert book.defined_names["Area"].attr_text == "Growers!$D$2:$D$3"
    assert (sheet["D2"].value, sheet["E2"].value, sheet["E2"].number_format) == (12.5, "=D2*3", "0.00 €")
    assert (sheet["B2"].font.color.rgb, sheet["B2"].fill.start_color.rgb) == ("FF336699", "FFABCDEF")
    assert (sheet.column_dimensions["A"].width, sheet.row_dimensions[2].height) == (41, 33)
    assert (sheet.freeze_panes, sheet.print_title_rows) == ("B2", "$1:$1")
    assert sheet.data_validations.dataValidation[0].formula1 == '"Ann,Bob"'
    assert [str(each.sqref) for each in sheet.conditional_formatting] == ["D2:D9"]
    assert comments(sheet)["B9"] == "call Fay first"
    assert sheet["F1"].value == "problem"


def test_every_cell_has_the_value_that_it_had(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "own.xlsx", change=make_own)
    before = openpyxl.load_workbook(path)["Growers"]
    after = annotate(path).sheet
    for row in before.iter_rows():
        for cell in row:
            assert after[cell.coordinate].value == cell.value


def test_existing_comments_are_kept(tmp_path: Path) -> None:
    def noted(_book: object, sheet: Worksheet) -> None:
        sheet["C4"].comment = Comment("ask Cleo", "Bob")

    back = annotate(write_workbook(tmp_path / "own.xlsx", change=noted))
    told = comments(back.sheet)["C4"]
    assert told.startswith("ask Cleo")
    assert "Refresh Token is empty" in told
    book = back.book
    book["Growers"]["C4"] = token(3)
    book.save(tmp_path / "next.xlsx")
    assert comments(annotate(tmp_path / "next.xlsx").sheet)["C4"] == "ask Cleo"


def test_an_existing_filter_is_extended(tmp_path: Path) -> None:
    def filtered(_book: object, sheet: Worksheet) -> None:
        sheet.auto_filter.ref = "A1:C9"
        sheet.auto_filter.add_filter_column(1, ["Ann"])

    sheet = annotate(write_workbook(tmp_path / "own.xlsx", change=filtered)).sheet
    assert sheet.auto_filter.ref == "A1:E9"
    assert sheet.auto_filter.filterColumn[0].filters.filter == ["Ann"]


def test_an_existing_table_is_extended(tmp_path: Path) -> None:
    def tabled(_book: object, sheet: Worksheet) -> None:
        sheet.add_table(Table(displayName="All", ref="A1:C9"))

    path = write_workbook(tmp_path / "own.xlsx", change=tabled)
    for _ in range(2):
        sheet = annotate(path).sheet
        table = sheet.tables["All"]
        assert (table.ref, table.autoFilter.ref) == ("A1:E9", "A1:E9")
        assert [each.name for each in table.tableColumns] == [*HEADER, "problem", "problem detail"]
        assert len({each.id for each in table.tableColumns}) == 5
        assert sheet.auto_filter.ref is None
        path = path.with_name("out.xlsx").rename(path.with_name("again.xlsx"))


def test_notes_beside_the_rows_are_kept(tmp_path: Path) -> None:
    def beside(_book: object, sheet: Worksheet) -> None:
        sheet["E5"] = "called on Monday"

    sheet = annotate(write_workbook(tmp_path / "own.xlsx", change=beside)).sheet
    assert sheet["E5"].value == "called on Monday"
    assert (sheet["F1"].value, sheet["G1"].value) == ("problem", "problem detail")


def test_column_widths_do_not_overlap(tmp_path: Path) -> None:
    def wide(_book: object, sheet: Worksheet) -> None:
        sheet.column_dimensions["B"] = ColumnDimension(sheet, "B", width=14, min=2, max=16384)

    sheet = annotate(write_workbook(tmp_path / "own.xlsx", change=wide)).sheet
    spans = sorted((each.min, each.max) for each in sheet.column_dimensions.values())
    assert all(end < start for (_, end), (start, _) in pairwise(spans))
    assert sheet.column_dimensions["B"].width == 14
    assert spans[-1][1] == 16384


def test_the_annotated_file_is_read_like_the_original(
    growers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(path: Path) -> str:
        capsys.readouterr()
        main(["validate", str(path), "--output", str(growers.parent / "r"), "--json"])
        return capsys.readouterr().out.replace(path.name, "").replace(path.stem, "")

    assert told(annotate(growers).path) == told(growers)


def test_a_second_check_removes_old_marks(growers: Path) -> None:
    book = annotate(growers).book
    book["Growers"]["C4"] = token(3)
    book.save(growers.with_name("next.xlsx"))
    back = annotate(growers.with_name("next.xlsx"))
    assert back.book.sheetnames == ["bulk-onboard", "Growers"]
    assert [cell.value for cell in back.sheet[1]] == [*HEADER, "problem", "problem detail"]
    assert "C4" not in colours(back.sheet)
    assert "C4" not in comments(back.sheet)
    assert sorted(problems(back.sheet)) == [6, 7, 8, 9]
    assert comments(back.sheet)["C7"].count("a word for a value") == 1


# --- what cannot be kept ------------------------------------------------------------------------------


def test_lost_parts_are_listed(growers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_parts(growers, lambda _name, data: data, xl__slicers__slicer1=b"<slicer/>", xl__media__a=b"picture")
    back = annotate(growers)
    said = " ".join(capsys.readouterr().out.split())
    assert "It lacks: slicers; pictures (kept if the Python package pillow is installed)." in said
    assert any("slicers" in text for text in back.summary)


SHEET = "xl/worksheets/sheet1.xml"
FILES = Path(__file__).parents[1] / "readers" / "files"


FORMS = ["xlsx", "libreoffice.xlsx", "sheetjs.xlsb", "libreoffice.ods", "xlwt.xls"]


def with_results(path: Path) -> Path:
    """The first formula gets a stored text, the second a number, the third an error; others get nothing."""
    results = iter([("str", f"{PLANTED}-9"), ("n", "7"), ("e", "#REF!")])

    def stored(found: re.Match[str]) -> str:
        kind, text = next(results, ("n", ""))
        return f'<c r="{found[1]}" t="{kind}"><f>{found[2]}</f><v>{text}</v></c>'

    def change(name: str, data: bytes) -> bytes:
        formulas = r'<c r="(\w+)"[^>]*><f>(.*?)</f><v ?/?>(?:</v>)?</c>'
        return re.sub(formulas, stored, data.decode()).encode() if name == SHEET else data

    return with_parts(path, change)


@pytest.mark.parametrize("form", FORMS)
def test_annotated_files_have_the_same_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """Formulas keep their stored results, and those that have none are not blank."""

    def told(path: Path) -> tuple[int, object]:
        capsys.readouterr()
        main(["validate", str(path), "--output", str(tmp_path / "r"), "--json"])
        found = json.loads(capsys.readouterr().out)
        return found["rows"], {one["code"]: one["rows"] for one in found["problems"]}

    if form == "xlsx":
        formulas = ["=B2", "=B3", "=B4", "=B5"]
        rows = [(grower(n), n, formula) for n, formula in enumerate(formulas)]
        own = with_results(write_workbook(tmp_path / "own.xlsx", [*rows, ("=A2", None, "=B2")]))
        assert told(own)[0] == 5
    else:
        own = tmp_path / form
        shutil.copy(FILES / form, own)
    back = annotate(own)
    said = capsys.readouterr().out
    assert ("everything but the rows" in said) == (not form.endswith("xlsx"))
    assert told(back.path) == told(own)
    assert told(annotate(back.path, out="again.xlsx").path) == told(own)


def test_hidden_rows_that_are_marked_are_shown(tmp_path: Path) -> None:
    def hide(_book: object, sheet: Worksheet) -> None:
        for row in (2, 4, 6, 7):
            sheet.row_dimensions[row].hidden = True

    sheet = annotate(write_workbook(tmp_path / "own.xlsx", change=hide)).sheet
    assert [row for row in range(2, 10) if sheet.row_dimensions[row].hidden] == [2]


def test_each_sheet_that_was_read_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def second(book: openpyxl.Workbook, _sheet: Worksheet) -> None:
        south = book.create_sheet("South side")
        for row in [("a title",), ("Token", "Leaf User ID"), ("w", "bad"), (token(20), grower(20))]:
            south.append(row)
        book["Growers"]["C1"] = "Token"

    own = write_workbook(tmp_path / "own.xlsx", change=second)
    back = annotate(own, "--map", "refreshToken=Token", "--sheet", "Growers", "--sheet", "South side")
    assert colours(back.book["South side"]) == {"B3": RED}
    assert problems(back.book["South side"]) == {3: "bad-leaf-user-id"}
    assert sorted(problems(back.book["Growers"])) == [4, 6, 7, 8, 9]
    command = f'validate {back.path} --sheet Growers --sheet "South side" --map refreshToken=Token'
    assert f"bulk-onboard {command}" in capsys.readouterr().out
    assert any(command in text for text in back.summary)
    assert any(text.startswith("Sheets: Growers, South side") for text in back.summary)
    links = [cell.hyperlink for row in back.book.worksheets[0].iter_rows() for cell in row if cell.hyperlink]
    assert "'South side'!A3" in [link.location for link in links]
    assert main(shlex.split(command)) == 1


MACROS = "application/vnd.ms-excel.sheet.macroEnabled.main+xml"


def test_macros_are_kept_in_xlsm_only(growers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_parts(growers, lambda _name, data: data, **{"xl__vbaProject.bin": b"macros"})
    own = growers.rename(growers.with_suffix(".xlsm"))
    parts = annotate(own, out="out.xlsm").parts()
    assert parts["xl/vbaProject.bin"] == "macros"
    assert MACROS in parts["[Content_Types].xml"]
    assert "It lacks" not in capsys.readouterr().out
    parts = annotate(own).parts()
    assert not {name for name in parts if "vba" in name}
    assert MACROS not in parts["[Content_Types].xml"]
    assert "It lacks: macros (give the new file the ending .xlsm" in capsys.readouterr().out


def test_a_workbook_that_cannot_be_opened_becomes_a_new_one(
    growers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_parts(growers, lambda _name, data: data.replace(b'patternType="gray125"', b'patternType="dots"'))
    back = annotate(growers)
    said = " ".join(capsys.readouterr().out.split())
    assert "It lacks: everything but the rows, because the workbook cannot be opened for marking." in said
    assert colours(back.sheet)["C4"] == RED
    assert [cell.value for cell in back.sheet[2]][:3] == list(ROWS[0])


def test_a_workbook_that_cannot_be_written_again_becomes_a_new_one(
    growers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with a chart that openpyxl reads and then cannot write."""
    with_chart = openpyxl.load_workbook(growers)
    with_chart["Growers"].add_chart(BarChart(), "H2")
    with_chart.save(growers)

    def broken(*_args: object) -> None:
        raise TypeError("expected a number")

    monkeypatch.setattr(BarChart, "_write", broken)
    back = annotate(growers)
    assert "contents cannot be written again" in " ".join(capsys.readouterr().out.split())
    assert colours(back.sheet)["C4"] == RED
    with zipfile.ZipFile(back.path) as packed:
        # Nothing of the first try is left in front of it.
        assert min(one.header_offset for one in packed.infolist()) == 0


# --- secrets ------------------------------------------------------------------------------------------


def test_secrets_stay_in_their_cells(growers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swapped = [(f"{PLANTED}-swapped", "Gus", grower(9)), (grower(8), "Hal", f" {PLANTED}-8")]
    write_workbook(growers, [*ROWS, *swapped])
    parts = annotate(growers).parts()
    [holding] = [name for name, text in parts.items() if tokens_in(text)]
    cells = parts[holding]
    assert len(tokens_in(cells)) == sum(PLANTED in str(cell) for row in [*ROWS, *swapped] for cell in row)
    assert not tokens_in("".join(capsys.readouterr()))
    assert not [path for path in growers.parent.rglob("*.csv") if tokens_in(path.read_text())]


def test_no_temporary_file_is_written(growers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_named: object) -> None:
        raise AssertionError("a temporary file")

    monkeypatch.setattr(tempfile, "_get_default_tempdir", refuse)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    monkeypatch.setattr("openpyxl.worksheet._writer.NamedTemporaryFile", refuse)
    assert annotate(growers).code == 1
