"""Several files are read as if they stood below each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.domain.run_events import ignore
from bulk_onboard.engine.checked_file import CheckedFile, Reading
from bulk_onboard.engine.first_pass import read_rows
from bulk_onboard.errors import InputError, NoRows
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.workspace import Workspace
from tests.support.tables import as_csv, as_rows, as_xlsx

HEADER = ("leafUserId", "refreshToken")
IDS = [f"{n:08x}-1111-4222-8333-444444444444" for n in range(20)]


def put(folder: Path, **files: bytes) -> str:
    """A folder of these files; ``a_csv`` is a.csv."""
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return str(folder)


def rows(where: str, columns: Sequence[int] = (0, 1)) -> list[tuple[int, tuple[str, ...]]]:
    """All rows."""
    with open_source(where) as source:
        return as_rows(list(source.chunks(columns, 2)))


def test_row_numbers_continue_across_files(tmp_path: Path) -> None:
    where = put(
        tmp_path,
        # A title and a blank line among the rows count, a blank line below them does not.
        a_csv=b"Growers\n\nleafUserId,refreshToken\n1,a\n\n2,b\n\n",
        b_csv=as_csv([HEADER, ("3", "c")], encoding="utf-16"),
        c_xlsx=as_xlsx([("Growers",), HEADER, ("4", "d"), ("", ""), ("5", "e")]),
        d_csv=as_csv([HEADER, ("6", "f")], end="\r"),
        e_csv=as_csv([HEADER, ("7", "g"), ("8", "h"), ("9", "i")]),
    )
    with (tmp_path / "f.parquet").open("wb") as file:
        pq.write_table(pa.table({"leafUserId": ["10", "11"], "refreshToken": ["j", "k"]}), file)
    assert [(number, row[0]) for number, row in rows(where)] == [
        (4, "1"), (6, "2"), (7, "3"), (8, "4"), (10, "5"), (11, "6"), (12, "7"), (13, "8"), (14, "9"),
        (15, "10"), (16, "11"),
    ]  # fmt: skip


def test_the_description_names_the_first_row_of_each_file(tmp_path: Path) -> None:
    where = put(
        tmp_path,
        a_csv=as_csv([("Growers",), HEADER, ("1", "a"), ("2", "b")]),
        b_csv=as_csv([("Growers",), (), HEADER, ("3", "c"), ("4", "d")]),
        c_csv=as_csv([HEADER, ("5", "e")]),
    )
    with open_source(where) as source:
        ranges = "a.csv from row 3, b.csv from row 5, c.csv from row 7"
        assert source.row_ranges() == f"Rows are numbered across 3 files: {ranges}"
    assert [number for number, _ in rows(where)] == [3, 4, 5, 6, 7]


def test_each_cell_comes_from_the_column_of_its_name(tmp_path: Path) -> None:
    where = put(
        tmp_path,
        a_csv=as_csv([("leafUserId", "refreshToken", "Acres"), ("1", "a", "x")]),
        b_csv=as_csv([("Farm", "Refresh Token", "leaf_user_id"), ("y", "b", "2")]),
    )
    with open_source(where) as source:
        assert source.header == ("leafUserId", "refreshToken", "Acres", "Farm")
        assert source.description.files == 2
    assert [row for _, row in rows(where, [3, 1, 0, 2])] == [("", "a", "1", "x"), ("y", "b", "2", "")]


def test_the_column_with_the_same_spelling_is_used(tmp_path: Path) -> None:
    where = put(
        tmp_path,
        a_csv=as_csv([("leafUserId", "refreshToken", "Refresh Token"), ("1", "a", "x")]),
        b_csv=as_csv([("leafUserId", "Refresh Token", "refreshToken"), ("2", "y", "b")]),
    )
    assert [row for _, row in rows(where, [1, 2])] == [("a", "x"), ("b", "y")]


def test_a_needed_column_must_be_in_every_file(tmp_path: Path) -> None:
    where = put(
        tmp_path,
        a_csv=as_csv([HEADER, ("1", "a")]),
        b_csv=as_csv([("leafUserId", "token"), ("2", "b")]),
    )
    with pytest.raises(InputError, match=r"^b\.csv has no column refreshToken, but a\.csv has"):
        open_source(where)
    put(tmp_path, b_csv=as_csv([HEADER, ("2", "b")]), a_csv=as_csv([("leafUserId", "token"), ("1", "a")]))
    with pytest.raises(InputError, match=r"^a\.csv has no column refreshToken, but b\.csv has"):
        open_source(where)
    put(tmp_path, a_csv=as_csv([(IDS[0], "planted-1"), (IDS[1], "planted-2")]))
    with pytest.raises(InputError, match=r"^a\.csv has no header"):
        open_source(where)


def test_a_column_without_text_is_refused_with_its_file(tmp_path: Path) -> None:
    for name, ids in {"a": ["1"], "b": [1]}.items():
        pq.write_table(pa.table({"leafUserId": ids, "refreshToken": ["t"]}), tmp_path / f"{name}.parquet")
    message = r"^b\.parquet: leafUserId is int64"
    with open_source(str(tmp_path)) as source, pytest.raises(InputError, match=message):
        source.require_text([0, 1])


def test_files_without_rows_are_skipped_unless_all_are_empty(tmp_path: Path) -> None:
    where = put(tmp_path, b_csv=as_csv([HEADER]), c_csv=as_csv([HEADER, ("1", "a")]))
    assert rows(where) == [(2, ("1", "a"))]
    put(tmp_path, c_csv=as_csv([HEADER]))
    with pytest.raises(NoRows, match="none of its files has rows"):
        open_source(where)


def test_a_message_names_the_file_and_its_own_row(tmp_path: Path) -> None:
    where = put(tmp_path, a_csv=as_csv([HEADER, ("1", "a")]), b_csv=b'leafUserId,refreshToken\n2,b\n3,"c"d\n')
    with pytest.raises(InputError, match=r"^b\.csv, row 3: a cell continues after its closing quote"):
        open_source(where)


def test_a_file_that_was_changed_or_replaced_is_refused(tmp_path: Path) -> None:
    where = put(tmp_path, a_csv=as_csv([HEADER, ("1", "a")]), b_csv=as_csv([HEADER, ("2", "b")]))
    with open_source(where) as source:
        assert not source.changed()
        put(tmp_path, b_csv=as_csv([HEADER, ("2", "bb")]))
        assert source.changed()
        with pytest.raises(InputError, match=r"^b\.csv was changed while it was being read"):
            list(source.chunks([0]))


def test_a_grower_in_two_files_is_a_repeat(tmp_path: Path) -> None:
    where = put(
        tmp_path,
        a_csv=as_csv([HEADER, (IDS[0], "planted-1"), (IDS[1], "planted-2")]),
        b_csv=as_csv([HEADER[::-1], ("planted-3", IDS[2]), ("planted-1", IDS[0]), ("planted-4", IDS[1])]),
    )
    with open_source(where) as source:
        checked_file = CheckedFile(source, Reading([PROVIDERS["raven"]], {}, {}), b"key")
        with Workspace() as workspace:
            read_rows(checked_file, workspace, ignore, lambda: False)
            workspace.mark_repeats(allow_shared_tokens=False)
            found = workspace.findings()
    statuses = dict(zip(found["row"], found["status"], strict=True))
    assert statuses == {5: "duplicate", 3: "invalid", 6: "invalid"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"leafUserId,other\n1,a\n", "south/growers.csv has no column refreshToken, but north/growers.csv"),
        (b"%PDF-1.7", "south/growers.csv is a PDF"),
    ],
)
def test_files_of_the_same_name_are_told_apart(tmp_path: Path, content: bytes, message: str) -> None:
    for folder, text in {"north": as_csv([HEADER, ("1", "a")]), "south": content}.items():
        (tmp_path / folder).mkdir()
        put(tmp_path / folder, growers_csv=text)
    with pytest.raises(InputError) as caught:
        open_source(str(tmp_path / "*" / "growers.csv"))
    assert str(caught.value).startswith(message)
