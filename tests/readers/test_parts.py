"""A file in parts is the same file: every row once, with its number, and every fault where it is."""

from __future__ import annotations

import csv
import os
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.errors import InputError, UsageError
from bulk_onboard.readers import decode, delimited
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.readers.part import Lines, RowGroups, Whole
from bulk_onboard.readers.parts import Part, Size, count, open_part, parts_of
from tests.readers.tables import COMPRESSED, HEADER, as_csv, as_rows, as_xlsx, tables

SAMPLES = Path(__file__).parents[2] / "samples"

# Everything that has to do with where a record ends, and little else.
RAW = st.text(st.sampled_from('"",;\n\n\r aé'), max_size=60)
HEADS = ["leafUserId,refreshToken,Gr\n", "leafUserId;refreshToken;Gr\r\n", '"leafUserId","refreshToken",Gr\n']
HEADS += ['sep=;\nleafUserId;refreshToken;"Gr\nx"\n', "Growers of 2026\n\nleafUserId,refreshToken,Gr\n"]
HEADS += ["leafUserId,refreshToken,Gr\r", "leafUserId,refreshToken,Gr\n"]
SIZES = st.builds(Size, rows=st.integers(1, 5), bytes=st.sampled_from([1, 10, 50, 10**9]))

Told = list[tuple[object, ...]]


def rows_of(source: Source, size: int = 3) -> Told:
    """Everything that is known of the rows of a source, which is closed then."""
    with source:
        chunks = list(source.chunks([1, 0, 2], size))
    ragged = chain.from_iterable(chunk.ragged.tolist() for chunk in chunks)
    other = chain.from_iterable(chunk.kinds.tolist() for chunk in chunks)
    return [(*row, *more) for row, *more in zip(as_rows(chunks), ragged, other, strict=True)]


def check_headers(path: Path, parts: tuple[Part, ...]) -> None:
    """Every part has the header of the file."""
    with open_source(path) as source:
        header = source.header
    for part in parts:
        with open_part(part) as source:
            assert source.header == header


def whole(path: Path) -> Told | str:
    """The rows of a file, or why it is refused."""
    try:
        return rows_of(open_source(path))
    except InputError as error:
        return str(error)


def joined(path: Path, size: Size) -> Told | str:
    """The same, read in parts."""
    try:
        parts = parts_of(str(path), size=size).parts
        check_numbers(parts)
        check_headers(path, parts)
        return list(chain.from_iterable(rows_of(open_part(sent(part))) for part in parts))
    except InputError as error:
        return str(error)


def sent(part: Part) -> Part:
    """A part as it arrives in another process."""
    found: Part = pickle.loads(pickle.dumps(part))
    assert found == part
    return found


def check_numbers(parts: tuple[Part, ...]) -> None:
    """Each part begins where the one before it ends."""
    for part, after in pairwise(parts):
        assert part.rows is not None
        assert part.before + part.rows == after.before


@contextmanager
def file(content: bytes, name: str = "growers.csv") -> Iterator[Path]:
    """A file of these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        yield path


@given(
    head=st.sampled_from(HEADS),
    body=RAW,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
    size=SIZES,
    block=st.sampled_from([5, 64, 1 << 20]),
    sample=st.sampled_from([5, 200]),
)
@settings(max_examples=60)
@example(head=HEADS[0], body='a"b,c\n"d\ne",f\n', encoding="utf-8", size=Size(1), block=64, sample=5)
@example(head=HEADS[0], body='a,"b"c\nd,e\n', encoding="utf-8", size=Size(1), block=64, sample=5)
@example(head=HEADS[0], body='a,b\n"c,d\ne,f\n', encoding="utf-8", size=Size(1), block=64, sample=5)
@example(
    head=HEADS[0], body='a,b\n\ufeffc,d\n"\ufeff",f\n', encoding="utf-8-sig", size=Size(1), block=64, sample=5
)
def test_whatever_is_in_a_csv_its_parts_are_the_whole(
    *, head: str, body: str, encoding: str, size: Size, block: int, sample: int
) -> None:
    content = (head + body).encode(encoding, "replace")
    with file(content) as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "BLOCK", block)
        # What is below the sample is not known when a file is taken apart.
        patch.setattr(delimited, "_SAMPLE_ROWS", sample)
        assert joined(path, size) == whole(path)


@given(
    rows=tables(most=30),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    size=SIZES,
)
@settings(max_examples=60)
def test_a_csv_as_programs_write_it_is_taken_apart(
    rows: list[tuple[str, ...]], delimiter: str, end: str, quoting: int, size: Size
) -> None:
    content = as_csv([HEADER, *rows], delimiter=delimiter, end=end, quoting=quoting)
    with file(content) as path:
        assert joined(path, size) == whole(path)
        assert sum(count(part) for part in parts_of(str(path), size=size).parts) == len(rows)


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_block_ends_with_the_record_that_makes_it_full(quoting: int) -> None:
    rows = [(f"a{i}", "b\nb", "é") for i in range(100)]
    with file(as_csv([HEADER, *rows], quoting=quoting)) as path:
        by_rows = parts_of(str(path), size=Size(rows=30)).parts
        assert [(part.before, part.rows) for part in by_rows] == [(1, 30), (31, 30), (61, 30), (91, 10)]
        by_bytes = parts_of(str(path), size=Size(bytes=500)).parts
        ends = [part.range.end - part.range.start for part in by_bytes if isinstance(part.range, Lines)]
        assert all(500 <= length < 530 for length in ends[:-1])
        assert len(ends) > 2


def test_a_quote_in_the_midst_of_a_cell_does_not_keep_a_file_whole() -> None:
    lines = "".join(f'"a{i}",5" pipe,"""x\ny"", z"\n' for i in range(20))
    with file(f'{",".join(HEADER)}\n{lines}"end",5" pipe'.encode()) as path:
        assert len(parts_of(str(path), size=Size(rows=5)).parts) == 5
        assert joined(path, Size(rows=5)) == whole(path)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("fault", ['x,"y"z,\n', 'x,"never closed\n'])
def test_a_fault_is_told_before_anything_is_read_and_as_of_the_whole(size: int, fault: str) -> None:
    lines = "".join(f"a{i},b,c\n" for i in range(20))
    with file(f"{','.join(HEADER)}\n{lines}{fault}{lines}".encode()) as path:
        with pytest.raises(InputError, match="row 22: ") as told:
            parts_of(str(path), size=Size(rows=size))
        assert str(told.value) == whole(path)


@pytest.mark.parametrize("quoted", [False, True])
def test_a_line_that_is_too_long_has_its_number_in_the_part_as_well(quoted: bool) -> None:
    lines = "".join(f'a{i},"b\nb",c\n' if quoted else f"a{i},b,c\n" for i in range(300))
    content = f"{','.join(HEADER)}\n{lines}{'x' * 3000}\n{lines}".encode()
    with file(content) as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "LONGEST_LINE", 1000)
        patch.setattr(decode, "BLOCK", 900)
        assert f"line {602 if quoted else 302}: more than" in str(whole(path))
        assert len(parts_of(str(path), size=Size(rows=7)).parts) > 40
        assert joined(path, Size(rows=7)) == whole(path)


@pytest.mark.parametrize("packed", COMPRESSED)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_csv_is_taken_apart_unless_it_is_compressed_or_has_wide_characters(
    packed: str, encoding: str
) -> None:
    rows = [(f"a{i}", "b\nb", "é") for i in range(10)]
    content = COMPRESSED[packed](as_csv([HEADER, *rows, ("", "", "")], encoding=encoding))
    with file(content, f"growers.csv.{packed}".rstrip(".")) as path:
        parts = parts_of(str(path), size=Size(rows=4)).parts
        kept_whole = bool(packed) or encoding == "utf-16"
        assert [type(part.range) for part in parts] == ([Whole] if kept_whole else [Lines] * 3)
        assert sum(part.rows or 0 for part in parts) == 11
        assert joined(path, Size(rows=4)) == whole(path)


def test_a_csv_of_lone_returns_and_a_workbook_are_one_part() -> None:
    rows = [HEADER, *[(f"a{i}", "b", "c") for i in range(10)]]
    for name, content in {"a.csv": as_csv(rows, end="\r"), "a.xlsx": as_xlsx(rows)}.items():
        with file(content, name) as path:
            (part,) = parts_of(str(path), size=Size(1, 1)).parts
            assert (part.range, part.before, part.rows, count(part)) == (Whole(), 1, None, 10)
            assert joined(path, Size(1, 1)) == whole(path)


def test_the_sheet_and_the_names_asked_for_are_those_of_the_parts() -> None:
    rows = [("notes", "x"), ("mine", "token"), ("a", "b")]
    with file(as_csv(rows)) as path:
        (part,) = parts_of(str(path), ReadOptions(mapped=("mine",))).parts
        with open_part(sent(part)) as source:
            assert source.header == ("mine", "token")
            assert as_rows(list(source.chunks([0, 1]))) == [(3, ("a", "b"))]
        with pytest.raises(InputError, match="has no sheets"):
            parts_of(str(path), ReadOptions(sheets=("Growers",)))
    with file(as_xlsx([HEADER, ("a", "b", "c")]), "a.xlsx") as path:
        (part,) = parts_of(str(path), ReadOptions(sheets=("sheet",))).parts
        with open_part(sent(part)) as source:
            assert source.description.sheets == ("Sheet",)


# --- Parquet ----------------------------------------------------------------------------------------


@given(rows=tables(most=40), group=st.integers(1, 12), size=SIZES)
def test_whatever_is_in_a_parquet_file_its_parts_are_the_whole(
    rows: list[tuple[str, ...]], group: int, size: Size
) -> None:
    columns = {name: [row[i] for row in rows] for i, name in enumerate(HEADER)}
    with file(b"", "growers.parquet") as path:
        pq.write_table(pa.table(columns | {HEADER[2]: range(len(rows))}), path, row_group_size=group)
        assert joined(path, size) == whole(path)


def test_row_groups_stay_together_until_there_are_enough_rows_or_bytes(tmp_path: Path) -> None:
    path = tmp_path / "growers.parquet"
    table = pa.table({name: [f"{name}{i}" for i in range(100)] for name in HEADER})
    pq.write_table(table, path, row_group_size=10)
    told = [(part.range, part.before, part.rows) for part in parts_of(str(path), size=Size(rows=35)).parts]
    assert told == [(RowGroups(0, 4), 1, 40), (RowGroups(4, 8), 41, 40), (RowGroups(8, 10), 81, 20)]
    assert len(parts_of(str(path), size=Size(bytes=1)).parts) == 10
    assert len(parts_of(str(path)).parts) == 1


# --- what may not happen ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["growers.csv", "growers.parquet", "growers.xlsx"])
def test_a_file_that_was_changed_is_not_read_as_the_one_that_was_taken_apart(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes((SAMPLES / name).read_bytes())
    parts = parts_of(str(path), size=Size(rows=50)).parts
    os.utime(path, ns=(1, 1))
    for part in parts:
        with pytest.raises(InputError, match=r"growers\.\w+ was changed while it was being read"):
            open_part(part)


def test_a_part_can_be_read_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "growers.csv").write_bytes(as_csv([HEADER, ("a", "b", "c")]))
    monkeypatch.chdir(tmp_path)
    (part,) = parts_of("growers.csv").parts
    monkeypatch.chdir("/")
    assert len(rows_of(open_part(part))) == 1


def test_standard_input_has_no_parts() -> None:
    with pytest.raises(UsageError, match="standard input can be read by one process only"):
        parts_of("-")


def test_a_part_holds_nothing_of_what_the_file_holds() -> None:
    """Not even a first row that was taken for a header."""
    with file(b"planted-1,planted-2\nplanted-3,planted-4\n") as path:
        parts = parts_of(str(path)).parts
        assert b"planted" not in pickle.dumps(parts)
        assert "planted" not in repr(parts)
