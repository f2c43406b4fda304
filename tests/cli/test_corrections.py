"""The files that validation gives back: never over the input, whole or absent, private, and told of."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import openpyxl
import pytest

from bulk_onboard.cli.main import main
from bulk_onboard.errors import ExitCode

ID = "0b9cd62b-4f4d-4c0a-9f0e-1f8f8d0f5a11"
OTHER = "0b9cd62b-4f4d-4c0a-9f0e-1f8f8d0f5a12"
CONTENT = f"Leaf User ID;Token\n {ID};planted-1\n{ID};planted-1\n{OTHER};\n"


@pytest.fixture(autouse=True)
def growers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "growers.csv"
    path.write_text(CONTENT)
    return path


def validate(*options: str, file: str = "growers.csv") -> int:
    return main(["validate", file, "--map", "refreshToken=Token", *options])


@pytest.mark.parametrize("option", ["--annotate", "--fix"])
def test_the_input_is_never_overwritten(
    growers: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ending = ".xlsx" if option == "--annotate" else ".csv"
    own, link = growers.with_name(f"own{ending}"), growers.with_name(f"link{ending}")
    own.write_text(CONTENT)
    os.link(own, link)
    for name in (own.name, f"./{own.name}", link.name):
        assert validate(option, name, file=own.name) == ExitCode.USAGE
        assert "this is the file that is read, which is never overwritten" in capsys.readouterr().err
    assert own.read_text() == CONTENT


def test_two_options_cannot_name_one_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate("--fix", "reports/validate-growers/problems.csv") == ExitCode.USAGE
    assert "problems.csv, which is never overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "name"),
    [("--annotate", "out.csv"), ("--annotate", "out"), ("--fix", "out.xlsx"), ("--annotate", "out.xlsm")],
)
def test_a_wrong_suffix_is_refused(option: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(option, name) == ExitCode.USAGE
    assert "has to end in" in capsys.readouterr().err
    assert not Path(name).exists()


def test_a_path_that_cannot_be_written_is_one_line(growers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate("--annotate", "growers.csv/out.xlsx") == ExitCode.STOPPED
    told = capsys.readouterr().err
    assert "cannot be written" in told
    assert len(told.strip().splitlines()) == 1


def test_each_repair_is_listed_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate("--fix", "out.csv") == ExitCode.ATTENTION
    told = capsys.readouterr().out
    assert "Repaired:\n  1 row  header-renamed  (row 1)" in told
    assert "1 row  repeat-removed  (row 3)\n      the same as row 2 in every column" in told
    assert "1 row of it is still invalid" in told
    assert Path("out.csv").read_text() == f"leafUserId,refreshToken\n{ID},planted-1\n{OTHER},\n"
    with Path("reports/validate-growers/repairs.csv").open() as file:
        lines = [(line["row"], line["code"], line["column"]) for line in csv.DictReader(file)]
    assert lines == [
        ("1", "header-renamed", ""), ("2", "spaces-removed", "Leaf User ID"), ("3", "repeat-removed", "")
    ]  # fmt: skip


def test_json_names_the_files_and_the_repairs(capsys: pytest.CaptureFixture[str]) -> None:
    validate("--fix", "out.csv", "--annotate", "out.xlsx", "--json")
    told = json.loads(capsys.readouterr().out)
    following = "bulk-onboard validate out.xlsx --map refreshToken=Token"
    assert told["annotated"] == {"file": "out.xlsx", "missing": [], "next": following}
    assert {each["code"] for each in told["fixed"]["repairs"]} == {
        "header-renamed", "spaces-removed", "repeat-removed"
    }  # fmt: skip
    assert told["repeats"][0]["rows"] == [3]


def test_every_line_fits_eighty_columns(growers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{ID[:-4]}{number:04}" for number in range(3000)]
    lines = [f"{row};{token}" for row in rows for token in ("planted-1", "TODO", '"a\nb"')]
    growers.write_text("\n".join(["Leaf User ID;Token", *lines, "x;#REF!", f"{ID[:30]};y"]))
    assert validate("--annotate", "out.xlsx", "--fix", "out.csv") == ExitCode.ATTENTION
    told = capsys.readouterr().out
    assert not [line for line in told.splitlines() if len(line) > 80]
    assert "3,001 rows  placeholder-value  (rows 3, 6, 9, 12, 15, …)" in told


def test_a_row_without_provider_is_marked_in_the_provider_column(growers: Path) -> None:
    rows = [f"{ID},raven,planted-1", f"{OTHER},nowhere,planted-2", f"{OTHER[:-1]}3,john deere,"]
    growers.write_text("\n".join(["leafUserId,Provider,refreshToken", *rows]))
    assert main(["validate", "growers.csv", "--annotate", "out.xlsx"]) == ExitCode.ATTENTION
    sheet = openpyxl.load_workbook("out.xlsx")["Growers"]
    red = [cell.coordinate for row in sheet["A2:C4"] for cell in row if cell.fill.fill_type]
    assert red == ["B3", "C4"]
    assert "nowhere" in sheet["B3"].value
    assert [sheet.cell(row, 4).value for row in (2, 3, 4)] == [
        None,
        "unknown-provider",
        "missing-refreshToken",
    ]
