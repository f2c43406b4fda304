"""What is no .xlsx comes back as a new workbook: the same rows at the same numbers, every cell a text."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from bulk_onboard.cli.main import main
from bulk_onboard.domain.chunk import make_chunk
from bulk_onboard.errors import UsageError
from bulk_onboard.workbook.new_workbook import ROWS as MOST_ROWS
from bulk_onboard.workbook.new_workbook import new_workbook
from bulk_onboard.workbook.save import save
from tests.support import tables
from tests.support.properties import scaled
from tests.workbook.books import HEADER, RED, ROWS, annotate, colours, grower, problems, token, write_workbook

TEXTS = [["" if cell is None else str(cell) for cell in row] for row in ROWS]


TABLE = [tuple(HEADER), *map(tuple, TEXTS)]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("g.csv", tables.as_csv),
        ("g.parquet", tables.as_parquet),
        ("g.xls", tables.as_xls),
        ("g.ods", tables.as_ods),
    ],
)
def test_each_format_becomes_a_workbook_with_the_same_marks(
    tmp_path: Path, name: str, write: tables.Writer
) -> None:
    (tmp_path / name).write_bytes(write(TABLE))
    own = annotate(write_workbook(tmp_path / "own.xlsx"), out="own-out.xlsx")
    back = annotate(tmp_path / name)
    assert back.code == 1
    assert colours(back.sheet) == colours(own.sheet)
    assert problems(back.sheet) == problems(own.sheet)
    for row, line in enumerate(TEXTS, 2):
        assert [back.sheet.cell(row, at).value or "" for at in (1, 2, 3)] == line


def test_standard_input_becomes_a_workbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(tables.as_csv(TABLE))))
    monkeypatch.chdir(tmp_path)
    assert main(["validate", "-", "--annotate", "out.xlsx"]) == 1
    assert (tmp_path / "out.xlsx").is_file()


def test_cells_are_text(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_bytes(tables.as_csv(TABLE))
    sheet = annotate(tmp_path / "g.csv").sheet
    assert {sheet.cell(row, at).number_format for row in range(1, 10) for at in (1, 3)} == {"@"}
    assert sheet.column_dimensions["C"].number_format == "@"
    assert sheet.freeze_panes == "A2"
    assert sheet["A1"].font.b


def test_rows_keep_their_numbers_where_the_file_has_blank_lines(tmp_path: Path) -> None:
    lines = ["leafUserId,refreshToken", f"{grower(1)},{token(1)}", "", "", f"{grower(2)},"]
    (tmp_path / "g.csv").write_text("\n".join(lines))
    back = annotate(tmp_path / "g.csv")
    assert problems(back.sheet) == {5: "missing-refreshToken"}
    assert colours(back.sheet) == {"B5": RED}


def round_trip(texts: list[str]) -> list[str]:
    made = new_workbook(["leafUserId"], [0], iter([make_chunk(range(2, len(texts) + 2), [texts])]))
    file = io.BytesIO()
    save(made.book, file)
    file.seek(0)
    rows = CalamineWorkbook.from_filelike(file).get_sheet_by_index(0).to_python()
    return [str(row[0]) for row in rows[1:]]


@settings(max_examples=scaled(40), deadline=None)
@given(st.lists(tables.cells(), min_size=1, max_size=8))
def test_texts_are_unchanged(texts: list[str]) -> None:
    assert round_trip([*texts, "x"])[: len(texts)] == texts


def test_special_texts_are_unchanged() -> None:
    texts = [
        *tables.TREACHEROUS,
        "a\x07b",
        "_x0041_",
        "__x0007_",
        "\r\n",
        "x\x00",
        "=HYPERLINK(1)",
        " ",
        "\n \t",
        "#N/A",
    ]
    assert round_trip([*texts, "end"])[:-1] == texts


def test_characters_that_xml_forbids_are_replaced() -> None:
    assert round_trip(["a\ufffeb", "next"]) == ["a_xFFFE_b", "next"]


def test_more_rows_than_a_sheet_holds_are_refused_with_the_number() -> None:
    with pytest.raises(UsageError, match="a sheet holds 1,048,576 rows"):
        new_workbook(["a"], [0], iter([make_chunk([MOST_ROWS, MOST_ROWS + 1], [["x", "y"]])]))


def test_a_cell_that_is_too_long_is_cut_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "g.csv").write_text(f"leafUserId,refreshToken,shape\n{grower(1)},{token(1)},{'x' * 40_000}\n")
    back = annotate(tmp_path / "g.csv")
    assert len(back.sheet["C2"].value) == 32_767
    assert "the ends of 1 cells, longer than" in " ".join(capsys.readouterr().out.split())


@pytest.mark.soak(6)
@pytest.mark.skipif(not shutil.which("soffice"), reason="needs LibreOffice: apt-get install libreoffice-calc")
def test_libreoffice_opens_the_workbook(tmp_path: Path) -> None:
    back = annotate(write_workbook(tmp_path / "own.xlsx"))
    subprocess.run(
        ["soffice", "--headless", "--convert-to", "csv",
         "--outdir", str(tmp_path / "seen"), str(back.path)],
        check=True, capture_output=True, timeout=50, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert "own.xlsx: 4 of 8 rows need to be corrected" in (tmp_path / "seen" / "out.csv").read_text()


def test_the_command_says_where_the_workbook_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "g.csv").write_bytes(tables.as_csv(TABLE))
    out = tmp_path / "o.xlsx"
    main(["validate", str(tmp_path / "g.csv"), "--annotate", str(out), "--output", str(tmp_path / "r")])
    assert f"With marks: {out}" in capsys.readouterr().out
