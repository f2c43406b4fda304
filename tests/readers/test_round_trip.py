"""What was written as text is read as the same text, in whatever form, cell for cell and row for row."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk_onboard.readers import decode
from bulk_onboard.readers.inputs import open_source
from tests.support.properties import scaled
from tests.support.tables import (
    COMPRESSED,
    HEADER,
    TREACHEROUS,
    Rows,
    Writer,
    as_csv,
    as_ods,
    as_parquet,
    as_rows,
    as_xls,
    as_xlsx,
    cells,
    filled,
    numbered,
    opened,
    read,
    tables,
)

ALL_TREACHEROUS = [(f"row {i}", one, "") for i, one in enumerate(TREACHEROUS)]
PLAIN = st.characters(codec="ascii", exclude_categories=("Cc",), include_characters="\n\t")
LATIN = st.characters(codec="cp1252", exclude_categories=("Cc",), include_characters="\n\t")
ENCODINGS = {
    "utf-8": cells(),
    "utf-8-sig": cells(),
    "utf-16": cells(),
    "utf-32": cells(),
    "utf-16-le": st.text(PLAIN, max_size=12),
    "utf-16-be": st.text(PLAIN, max_size=12),
    "cp1252": st.text(LATIN, max_size=12),
}


# csv leaves a line break alone that is not its own line's end, so that only quoting everything is safe.
LINES = [
    ("\n", csv.QUOTE_MINIMAL),
    ("\n", csv.QUOTE_ALL),
    ("\r\n", csv.QUOTE_MINIMAL),
    ("\r\n", csv.QUOTE_ALL),
]
LINES += [("\r", csv.QUOTE_ALL)]


@given(
    data=st.data(),
    encoding=st.sampled_from(list(ENCODINGS)),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    lines=st.sampled_from(LINES),
    packed=st.sampled_from(list(COMPRESSED)),
)
@settings(max_examples=scaled(70))
def test_csv_round_trip(
    data: st.DataObject, encoding: str, delimiter: str, lines: tuple[str, int], packed: str
) -> None:
    rows, size = data.draw(tables(ENCODINGS[encoding])), data.draw(st.integers(1, 9))
    end, quoting = lines
    content = as_csv([HEADER, *rows], delimiter=delimiter, end=end, encoding=encoding, quoting=quoting)
    chunks = read(COMPRESSED[packed](content), size=size)
    assert as_rows(chunks) == numbered(rows)
    assert all(len(chunk.numbers) <= size for chunk in chunks)
    assert not any(chunk.kinds.any() or chunk.ragged.any() for chunk in chunks)


@given(
    rows=tables(st.text(st.sampled_from('a\r\n",'), max_size=6)), end=st.sampled_from(["\n", "\r\n", "\r"])
)
@settings(max_examples=scaled(50))
def test_quoted_line_breaks_are_kept(rows: Rows, end: str) -> None:
    content = as_csv([HEADER, *rows], end=end, quoting=csv.QUOTE_ALL)
    assert as_rows(read(content)) == numbered(rows)


def trimmed(rows: list[tuple[int, tuple[str, ...]]]) -> list[tuple[int, tuple[str, ...]]]:
    """Rows in which cells of spaces only are empty: some workbooks do not keep the spaces."""
    return [(n, tuple("" if cell.isspace() else cell for cell in row)) for n, row in rows]


FORMS = {"parquet": as_parquet, "xlsx": as_xlsx, "xls": as_xls, "ods": as_ods}


@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)
@given(data=st.data(), size=st.integers(1, 9))
@settings(max_examples=scaled(20))
def test_round_trip_of_other_formats(write: Writer, data: st.DataObject, size: int) -> None:
    rows = data.draw(tables())
    chunks = read(write([HEADER, *rows]), size=size)
    expected = list(enumerate(rows, 2)) if write is as_parquet else numbered(rows)
    assert trimmed(as_rows(chunks)) == trimmed(expected)
    assert not any(chunk.kinds.any() or chunk.ragged.any() for chunk in chunks)


@pytest.mark.parametrize("write", [as_csv, *FORMS.values()], ids=["csv", *FORMS])
def test_texts_are_never_converted(write: Writer) -> None:
    assert as_rows(read(write([HEADER, *ALL_TREACHEROUS]))) == numbered(ALL_TREACHEROUS)


@given(rows=tables(), block=st.integers(64, 200), encoding=st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))
@settings(max_examples=scaled(50))
def test_block_boundaries_do_not_matter(rows: Rows, block: int, encoding: str) -> None:
    content = as_csv([HEADER, *rows], encoding=encoding, end="\r\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "BLOCK", block)
        assert as_rows(read(content)) == numbered(rows)


@given(
    rows=tables(most=30),
    first=st.integers(1, 40),
    second=st.integers(1, 40),
    columns=st.permutations([0, 1, 2]).flatmap(
        lambda order: st.integers(1, 3).map(lambda count: order[:count])
    ),
)
def test_chunk_size_and_column_order_do_not_matter(
    rows: Rows, first: int, second: int, columns: list[int]
) -> None:
    content = as_csv([HEADER, *rows])
    one, other = as_rows(read(content, columns, first)), as_rows(read(content, columns, second))
    assert one == other == [(n, tuple(row[i] for i in columns)) for n, row in numbered(rows)]


@given(rows=tables())
def test_a_source_can_be_read_again_and_twice_at_once(rows: Rows) -> None:
    with opened(as_csv([HEADER, *rows])) as source:
        one, other = source.chunks([0], 1), source.chunks([0], 1)
        for left, right in zip(one, other, strict=True):
            assert left.cells.equals(right.cells)
        assert as_rows(list(source.chunks([0, 1, 2]))) == numbered(rows)


@given(
    rows=st.lists(st.lists(cells(), max_size=6), min_size=1, max_size=8).filter(
        lambda rows: any(map(filled, rows))
    )
)
def test_short_rows_are_padded_and_long_rows_marked(rows: list[list[str]]) -> None:
    (chunk,) = read(as_csv([HEADER, *rows]))
    expected = [(n, row) for n, row in enumerate(rows, 2) if filled(row)]
    assert chunk.numbers.tolist() == [n for n, _ in expected]
    assert chunk.cells.to_numpy().tolist() == [[*row, "", "", ""][:3] for _, row in expected]
    assert chunk.ragged.tolist() == [filled(row[3:]) for _, row in expected]


@given(rows=tables())
@example(rows=[("\ud800", "x", "y")])
def test_a_data_frame_is_read_like_a_file(rows: Rows) -> None:
    frame = pd.DataFrame(rows, columns=list(HEADER), dtype=object)
    with open_source(frame) as source:
        chunks = list(source.chunks([0, 1, 2], 3))
    whole = [tuple(cell.replace("\ud800", "\ufffd") for cell in row) for row in rows]
    assert as_rows(chunks) == list(enumerate(whole, 2))


def test_gaps_in_a_data_frame_are_empty_and_numbers_are_values() -> None:
    frame = pd.DataFrame(
        {"leafUserId": [1, 2], "refreshToken": [None, np.nan], "n": [1.5, pd.NA]}, dtype=object
    )
    with open_source(frame) as source:
        (chunk,) = source.chunks([0, 1, 2])
    assert chunk.cells.to_numpy().tolist() == [["1", "", "1.5"], ["2", "", ""]]
    assert chunk.kinds.tolist() == [[True, False, True], [True, False, False]]
