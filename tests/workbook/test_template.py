"""An empty file to fill in: for every provider, with help in its place and nothing that could be sent."""

from __future__ import annotations

import stat
from pathlib import Path

import openpyxl
import pytest

from bulk_onboard.cli.main import main
from bulk_onboard.domain.providers import PROVIDERS, Field, Provider, Scope
from tests.workbook.books import grower


@pytest.fixture
def _few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many empty cells make no difference to most of these tests but that they take long."""
    monkeypatch.setattr("bulk_onboard.workbook.new_workbook.PREPARED", 5)


FEW = pytest.mark.usefixtures("_few_rows")
EVERY = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)


def template(folder: Path, name: str, *options: str, ending: str = ".xlsx") -> Path:
    path = folder / f"{name}{ending}"
    assert main(["template", name, "-o", str(path), *options]) == 0
    return path


@FEW
@EVERY
def test_columns_are_those_of_the_provider_in_order(tmp_path: Path, provider: Provider) -> None:
    wanted = ["leafUserId", *(field.name for field in provider.grower_fields)]
    sheet = openpyxl.load_workbook(template(tmp_path, provider.name))["Growers"]
    assert [cell.value for cell in sheet[1]] == wanted
    csv = template(tmp_path, provider.name, ending=".csv")
    assert csv.read_text() == f"{','.join(wanted)}\n"


@FEW
@EVERY
def test_help_and_example_are_in_comments_and_no_cell_has_anything_to_send(
    tmp_path: Path, provider: Provider
) -> None:
    sheet = openpyxl.load_workbook(template(tmp_path, provider.name))["Growers"]
    for cell, field in zip(sheet[1][1:], provider.grower_fields, strict=True):
        assert field.help[1:] in cell.comment.text
        assert field.example in cell.comment.text
    assert not [cell for row in sheet.iter_rows(min_row=2) for cell in row if cell.value is not None]


@FEW
@EVERY
def test_a_filled_template_is_valid(
    tmp_path: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    path = template(tmp_path, provider.name)
    check = ["validate", str(path), "--provider", provider.name, "--output", str(tmp_path / "reports")]
    assert main(check) == 3
    assert "has a header but no rows" in capsys.readouterr().err
    book = openpyxl.load_workbook(path)
    values = [
        field.allowed[0] if field.allowed else f"given-{field.name}" for field in provider.grower_fields
    ]
    for at, value in enumerate([grower(1), *values], 1):
        book["Growers"].cell(2, at).value = value
    book.save(path)
    assert main(check) == 0, capsys.readouterr()


def test_cells_of_the_template_are_text(tmp_path: Path) -> None:
    sheet = openpyxl.load_workbook(template(tmp_path, "raven"))["Growers"]
    assert {cell.number_format for row in sheet["A2:B3001"] for cell in row} == {"@"}
    assert {sheet.column_dimensions[letter].number_format for letter in "AB"} == {"@"}
    assert (sheet.freeze_panes, sheet["A1"].font.b) == ("A2", True)


@FEW
def test_app_fields_have_columns_on_request(tmp_path: Path) -> None:
    path = template(tmp_path, "raven", "--app-fields", ending=".csv")
    assert path.read_text() == "leafUserId,refreshToken,clientId,clientSecret\n"
    raven = PROVIDERS["raven"]
    column = raven.template(app_fields=True)[2]
    assert "May stay empty if RAVEN_CLIENT_ID is set." in raven.instructions(column)


@FEW
def test_values_to_choose_from_are_a_drop_down(tmp_path: Path) -> None:
    from bulk_onboard.workbook import write_template

    field = Field("place", Scope.GROWER, allowed=("STAGE", "PRODUCTION"), help="where")
    provider = Provider("x", "X", "x", "x", (field,))
    with (tmp_path / "x.xlsx").open("wb") as file:
        write_template(file, provider, provider.template())
    [listed] = openpyxl.load_workbook(tmp_path / "x.xlsx")["Growers"].data_validations.dataValidation
    assert (listed.formula1, str(listed.sqref)) == ('"STAGE,PRODUCTION"', "B2:B1048576")


def test_an_existing_file_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "raven.xlsx"
    path.write_text("filled in")
    assert main(["template", "raven", "-o", str(path)]) == 2
    assert "already exists and may have been filled in" in capsys.readouterr().err
    assert path.read_text() == "filled in"


@pytest.mark.parametrize("name", ["growers.xls", "growers"])
def test_another_ending_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["template", "raven", "-o", str(tmp_path / name)]) == 2
    assert ".xlsx .csv" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_template_is_private(tmp_path: Path) -> None:
    assert stat.S_IMODE(template(tmp_path, "raven").stat().st_mode) == 0o600
