"""The files to try: fine where they say so, wrong in the ways that they are there to show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bulk_onboard.engine.validation import Validation, validate_file
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.settings import InputSettings, Settings, config_file

SAMPLES = Path(__file__).parents[2] / "samples"


def found(name: str, *, create_users: bool = False) -> Validation:
    """What `validate` finds in a sample."""
    with open_source(SAMPLES / name) as source:
        return validate_file(source, Settings(input=InputSettings(create_users=create_users)))


@pytest.mark.parametrize("name", ["growers.csv", "growers.parquet", "growers.xlsx"])
def test_growers_has_200_valid_rows_in_every_format(name: str) -> None:
    told = found(name)
    assert told.counts == {"valid": 200, "invalid": 0, "duplicate": 0}
    assert told.warnings == ()


def test_growers_has_the_same_rows_in_every_format() -> None:
    tables = []
    for name in ("growers.csv", "growers.parquet", "growers.xlsx"):
        with open_source(SAMPLES / name) as source:
            at = [source.header.index(field) for field in ("leafUserId", "refreshToken")]
            (chunk,) = source.chunks(at)
            tables.append((chunk.numbers.tolist(), chunk.cells.to_numpy().tolist()))
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.parametrize("place", ["docs/settings.md", "samples/bulk-onboard.toml"])
def test_the_provider_definition_in_the_docs_is_valid(place: str, tmp_path: Path) -> None:
    text = (SAMPLES.parent / place).read_text()
    shown = re.search(r"^(?:# )?\[providers\.my-terminal\]$.*?^(?:# )?\]$", text, re.MULTILINE | re.DOTALL)
    assert shown
    (tmp_path / "own.toml").write_text(re.sub(r"^# ?", "", shown[0], flags=re.MULTILINE))
    found = config_file.read(tmp_path / "own.toml").providers["my-terminal"]
    assert (found.path, found.embedded) == ("my-terminal-credentials", "myTerminalCredentials")
    assert [field.name for field in found.grower_fields] == ["refreshToken"]


def test_rows_without_ids_are_valid_with_create_users() -> None:
    told = found("without-ids.csv", create_users=True)
    assert told.counts == {"valid": 8, "invalid": 0, "duplicate": 0}
    assert told.warnings == ()
    assert found("without-ids.csv").counts["invalid"] == 6


def test_messy_csv_has_a_row_for_each_problem() -> None:
    told = found("messy.csv")
    assert {cause.code: cause.rows for cause in told.problems} == {
        "bad-leaf-user-id": (8, 9),
        "placeholder-value": (10, 11),
        "conflicting-rows": (15, 16),
        "shared-token": (17, 18),
        "missing-refreshToken": (6,),
        "missing-leafUserId": (7,),
        "formula-error": (13,),
        "control-character": (19,),
        "ragged-row": (20,),
    }
    assert {cause.code: cause.rows for cause in told.warnings} == {
        "spaces-removed": (3, 5),
        "quotes-removed": (4,),
    }
    assert told.counts["duplicate"] == 1


def test_messy_xlsx_has_numbers_and_formula_errors() -> None:
    told = found("messy.xlsx")
    assert {cause.code: cause.rows for cause in told.problems} == {
        "numeric-cell": (6, 7, 9),
        "formula-error": (8,),
        "missing-refreshToken": (10,),
        "placeholder-value": (13,),
        "conflicting-rows": (15, 16),
        "shared-token": (17, 18),
        "control-character": (19,),
        "bad-leaf-user-id": (20,),
    }
    assert told.counts["duplicate"] == 1
