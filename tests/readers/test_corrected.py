"""A source with corrections: both readings see them, and the file does not."""

from __future__ import annotations

from uuid import UUID

import pandas as pd
import pytest

from bulk_onboard.api import validate
from bulk_onboard.domain.chunk import CellKind
from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.errors import InputError
from bulk_onboard.readers.header_row import lettered
from bulk_onboard.readers.in_memory import LEFT_OUT, Corrected
from bulk_onboard.readers.input_file import InputFile
from bulk_onboard.readers.inputs import first_rows, open_source

IDS = [str(UUID(int=number, version=4)) for number in range(1, 5)]
ROWS = [f"{grower},rt-{grower[:4]}8s9fk2{n}x,N{n}\n" for n, grower in enumerate(IDS)]
TEXT = "leafUserId,refreshToken,name\n" + "".join(ROWS)


def csv_file(text: str = TEXT) -> InputFile:
    return InputFile("growers.csv", text.encode())


def test_a_correction_replaces_a_cell_and_its_kind() -> None:
    table = pd.DataFrame({"leafUserId": IDS[:2], "refreshToken": [12345678901234, "rt-8s9fk2x77"]})
    source = Corrected(open_source(table), {(2, 1): "rt-typed-again-77"})
    (chunk,) = source.chunks([1, 0])
    assert chunk.cells[0].tolist() == ["rt-typed-again-77", "rt-8s9fk2x77"]
    assert chunk.kinds[0, 0] == CellKind.TEXT
    assert validate(source).counts["valid"] == 2


def test_an_excluded_row_is_a_skipped_line() -> None:
    source = Corrected(open_source(csv_file()), {}, [3])
    found = validate(source)
    assert found.rows == 3
    assert [(line.row, line.reason) for line in found.description.skipped_lines] == [(3, LEFT_OUT)]


def test_a_comment_becomes_a_row_when_its_cells_are_filled_in() -> None:
    source = open_source(csv_file(TEXT + "Total,,4\n"))
    assert validate(source).rows == 4
    filled = Corrected(source, {(6, 0): str(UUID(int=9, version=4)), (6, 1): "rt-9s9fk2x77"})
    assert validate(filled).counts == {"valid": 5, "invalid": 0, "duplicate": 0}


@pytest.mark.parametrize("asked", [2, 4])
def test_the_chosen_header_row_is_used(asked: int) -> None:
    file = csv_file(f"Growers,x,y\nleafUserId,refreshToken,a\n\nleafUserId,refreshToken,b\n{TEXT}")
    with open_source(file, ReadOptions(header_row=asked)) as source:
        assert source.description.header_row == asked
        assert source.header[2] == {2: "a", 4: "b"}[asked]


@pytest.mark.parametrize("asked", [3, 900])
def test_a_header_row_without_names_is_refused(asked: int) -> None:
    with pytest.raises(InputError, match=f"row {asked}, which --header-row names"):
        open_source(csv_file(f"a,b\nleafUserId,refreshToken,a\n\n{TEXT}"), ReadOptions(header_row=asked))


def test_first_rows_of_each_sheet_come_with_the_likely_header() -> None:
    sheets = first_rows("samples/messy.xlsx")
    assert [(sheet.sheet, sheet.is_visible, sheet.header_row) for sheet in sheets] == [
        ("Growers", True, 3),
        ("Notes", True, 1),
        ("old", False, 1),
    ]
    assert sheets[0].lines[0].texts[0] == "Growers to connect, spring 2027"
    (only,) = first_rows(csv_file("Growers of 2027\n\n" + TEXT.replace(",", ";")))
    assert (only.header_row, only.lines[1].number, len(only.lines[1].texts)) == (3, 3, 3)
    assert first_rows("samples/growers.parquet") == []


def test_a_file_without_a_header_has_columns_with_letters() -> None:
    rows = "".join(ROWS)
    for text in (rows, f"sep=,\n{rows}"):
        with open_source(csv_file(text), ReadOptions(header_row=0)) as source:
            assert source.header == ("column A", "column B", "column C")
            found = validate(source, map={"leafUserId": "column A", "refreshToken": "column B"})
            assert (found.rows, found.valid) == (4, 4)
            assert [n for chunk in source.chunks([0]) for n in chunk.numbers.tolist()] == [1, 2, 3, 4]
    with open_source("samples/messy.xlsx", ReadOptions(header_row=0)) as source:
        assert source.header == ("column A", "column B", "column C", "column D")
        assert next(source.chunks([0])).numbers[:3].tolist() == [1, 3, 4]
    assert [lettered(at) for at in (0, 25, 26, 701, 702)] == [
        "column A", "column Z", "column AA", "column ZZ", "column AAA"
    ]  # fmt: skip


def test_a_workbook_can_be_read_from_another_header_row() -> None:
    with open_source("samples/messy.xlsx", ReadOptions(header_row=4)) as source:
        assert source.description.header_row == 4
    with pytest.raises(InputError, match="row 2, which --header-row names"):
        open_source("samples/messy.xlsx", ReadOptions(header_row=2))
