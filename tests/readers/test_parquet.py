"""Parquet: what is text, what is refused, and what can only be kept."""

from __future__ import annotations

import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.engine.checked_file import CheckedFile, Reading
from bulk_onboard.errors import InputError
from bulk_onboard.readers.inputs import open_source

IDS = [str(uuid.UUID(int=number + 10**30)) for number in range(3)]
TOKENS = ["planted-a", "planted-b", "planted-c"]


def checked_file(path: Path, table: pa.Table, *, keep: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """The rows of a file of this table as they come out of the checks."""
    pq.write_table(table, path)
    with open_source(path) as source:
        found = CheckedFile(source, Reading([PROVIDERS["raven"]], {}, {}, keep=keep), b"key")
        return [row for checked in found.chunks() for row in checked.frame.astype(str).to_dict("records")]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"leafUserId": [1, 2, 3]}, "leafUserId is int64, but text is expected"),
        ({"refreshToken": [1.0, 2.0, 3.0]}, "refreshToken is double, but text is expected"),
        ({"refreshToken": [["a"], ["b"], ["c"]]}, "refreshToken is list<"),
        ({"refreshToken": [True, False, None]}, "refreshToken is bool"),
        ({"clientId": [7, 8, 9]}, "clientId is int64"),
        ({"leafUserId": [1, 2, 3], "refreshToken": [1, 2, 3]}, "leafUserId is int64, refreshToken is int64"),
    ],
)
def test_a_needed_column_of_another_type_is_refused_at_once(
    tmp_path: Path, wrong: dict[str, list[object]], message: str
) -> None:
    table = pa.table({"leafUserId": IDS, "refreshToken": TOKENS} | wrong)
    with pytest.raises(InputError) as caught:
        checked_file(tmp_path / "growers.parquet", table)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_kept_column_may_be_of_any_plain_type(tmp_path: Path) -> None:
    table = pa.table({"leafUserId": IDS, "refreshToken": TOKENS, "acres": [1, 2, None], "ok": [True] * 3})
    rows = checked_file(tmp_path / "growers.parquet", table, keep=("acres", "ok"))
    assert [(row["keep.acres"], row["keep.ok"], row["code"]) for row in rows] == [
        ("1", "TRUE", ""),
        ("2", "TRUE", ""),
        ("", "TRUE", ""),
    ]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(IDS, pa.large_string()),
        pa.array(IDS, pa.string_view()),
        pa.array(IDS).dictionary_encode(),
        pa.array([one.encode() for one in IDS], pa.binary()),
        pa.array([uuid.UUID(one).bytes for one in IDS], pa.binary(16)),
    ],
    ids=lambda column: str(column.type).split("<")[0],
)
def test_text_of_any_parquet_type_is_read(tmp_path: Path, column: pa.Array) -> None:
    table = pa.table({"leafUserId": column, "refreshToken": TOKENS})
    rows = checked_file(tmp_path / "growers.parquet", table)
    assert [(row["row"], row["leafUserId"], row["code"]) for row in rows] == [
        (str(number), one, "") for number, one in enumerate(IDS, 2)
    ]


SIXTEEN = [b"sixteenbytestok1", b"sixteenbytestok2", None]


@pytest.mark.parametrize("kind", [pa.binary(16), pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_sixteen_bytes_are_a_uuid_in_the_column_of_ids_only(tmp_path: Path, kind: pa.DataType) -> None:
    ids = pa.array([uuid.UUID(one).bytes for one in IDS], kind)
    tokens = pa.array(SIXTEEN, kind)
    table = pa.table({"Kunde": ids, "refreshToken": tokens, "clientId": tokens})
    pq.write_table(table, tmp_path / "growers.parquet")
    options = ReadOptions(mapped=("Kunde",), id_column="Kunde")
    with open_source(tmp_path / "growers.parquet", options) as source:
        source.require_text([0, 1, 2])
        (chunk,) = source.chunks([0, 1, 2])
    assert chunk.cells[0].tolist() == IDS
    assert chunk.cells[1].tolist() == chunk.cells[2].tolist() == ["sixteenbytestok1", "sixteenbytestok2", ""]


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    for column in (pa.array([b"\xff" * 16] * 3, pa.binary(16)), pa.array([b"\xff", b"a", b"b"])):
        table = pa.table({"leafUserId": IDS, "refreshToken": column})
        with pytest.raises(
            InputError, match=r"column refreshToken .* holds bytes that are not text; export it"
        ):
            checked_file(tmp_path / "growers.parquet", table)
    table = pa.table({"leafUserId": pa.array([b"\xff" * 15] * 3), "refreshToken": TOKENS})
    with pytest.raises(InputError, match=r"column leafUserId .* holds bytes that are not text"):
        checked_file(tmp_path / "growers.parquet", table)


def test_a_column_of_the_uuid_type_is_uuids(tmp_path: Path) -> None:
    ids = pa.array([uuid.UUID(one).bytes for one in IDS], pa.uuid())
    rows = checked_file(tmp_path / "growers.parquet", pa.table({"leafUserId": ids, "refreshToken": TOKENS}))
    assert [row["leafUserId"] for row in rows] == IDS
