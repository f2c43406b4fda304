"""Broken Parquet files."""

from __future__ import annotations

import datetime
import io
import uuid
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.readers.bad_input.case import IDS, Case, data, faulty, fine, refused, token

TOKENS = [token(n) for n in range(3)]
MANY = [token(n) for n in range(len(IDS))]
NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
BYTES = [uuid.UUID(one).bytes for one in IDS[:3]]


def parquet(ids: Any = None, tokens: Any = None, rows_per_group: int | None = None, **more: Any) -> bytes:
    """Three growers, some columns of whom may be of another kind."""
    columns = {
        "leafUserId": pa.array(IDS[:3]) if ids is None else ids,
        "refreshToken": pa.array(TOKENS) if tokens is None else tokens,
    }
    return written(pa.table(columns | more), row_group_size=rows_per_group)


def written(table: pa.Table, **how: Any) -> bytes:
    """The table as a file."""
    file = io.BytesIO()
    pq.write_table(table, file, **how)
    return file.getvalue()


def doubled() -> bytes:
    """Two columns of one name, which pyarrow can write."""
    arrays = [pa.array(IDS[:3]), pa.array(TOKENS), pa.array(TOKENS)]
    return written(pa.Table.from_arrays(arrays, ["leafUserId", "refreshToken", "refreshToken"]))


def doubled_beside() -> bytes:
    """Two columns of one name that are not used."""
    arrays = [pa.array(IDS[:3]), pa.array(TOKENS), pa.array([1, 2, 3]), pa.array([1, 2, 3])]
    return written(pa.Table.from_arrays(arrays, ["leafUserId", "refreshToken", "n", "n"]))


def many_groups() -> bytes:
    """A row group for every grower."""
    ids = [str(uuid.UUID(int=n + 10**30)) for n in range(300)] + ["bad"]
    return parquet(pa.array(ids), pa.array([f"t{n}" for n in range(301)]), rows_per_group=1)


def flipped() -> bytes:
    """A page in the middle was overwritten; the end is whole."""
    content = bytearray(parquet(rows_per_group=1))
    content[8:60] = b"\xff" * 52
    return bytes(content)


def swapped() -> bytes:
    """The data of the file is text, its end is of another length."""
    whole = parquet()
    return whole[:-8] + (10**6).to_bytes(4, "little") + b"PAR1"


CASES: list[Case] = [
    fine("growers.parquet", data(parquet)),
    fine("parquet.csv", data(parquet), note="Parquet named .csv"),
    fine("dictionary.parquet", data(lambda: parquet(pa.array(IDS[:3]).dictionary_encode()))),
    fine("binary.parquet", data(lambda: parquet(tokens=pa.array([t.encode() for t in TOKENS])))),
    fine("uuid.parquet", data(lambda: parquet(pa.array(BYTES, pa.uuid())))),
    fine("uuid-bytes.parquet", data(lambda: parquet(pa.array(BYTES, pa.binary(16))))),
    fine("nested-beside.parquet", data(lambda: parquet(fields=pa.array([[{"a": 1}], [], None])))),
    fine("doubled-beside.parquet", data(doubled_beside)),
    fine(
        "compressed.parquet",
        data(
            lambda: written(
                pa.table({"leafUserId": IDS, "refreshToken": [token(n) for n in range(40)]}),
                compression="zstd",
            )
        ),
        rows=40,
    ),
    refused(
        "integers.parquet",
        data(lambda: parquet(pa.array([1, 2, 3]))),
        "leafUserId is int64",
        "text is expected",
    ),
    refused(
        "floats.parquet", data(lambda: parquet(tokens=pa.array([1.5, 2.0, None]))), "refreshToken is double"
    ),
    refused("times.parquet", data(lambda: parquet(tokens=pa.array([NOW] * 3))), "refreshToken is timestamp["),
    refused(
        "nested.parquet", data(lambda: parquet(tokens=pa.array([{"a": "b"}] * 3))), "refreshToken is struct<"
    ),
    refused(
        "integer-dictionary.parquet",
        data(lambda: parquet(pa.array([1, 2, 1]).dictionary_encode())),
        "leafUserId is int64",
    ),
    refused("decimal.parquet", data(lambda: parquet(pa.array([1, 2, 3]).cast(pa.decimal128(30)))), "decimal"),
    refused(
        "no-text.parquet",
        data(lambda: parquet(tokens=pa.array([b"\xff\xfe", b"a", b"b"]))),
        "column refreshToken (binary) holds bytes that are not text",
    ),
    refused(
        "nested-kept.parquet",
        data(lambda: parquet(n=pa.array([[1]] * 3))),
        "column n (list<",
        options=("--keep", "n"),
    ),
    faulty(
        "nulls.parquet", data(lambda: parquet(tokens=pa.array(["a", None, ""]))), missing_refreshToken=[3, 4]
    ),
    faulty("all-null.parquet", data(lambda: parquet(tokens=pa.nulls(3))), missing_refreshToken=[2, 3, 4]),
    faulty("many-groups.parquet", data(many_groups), bad_leaf_user_id=[302], rows=301),
    refused(
        "no-rows.parquet",
        data(
            lambda: written(
                pa.table({"leafUserId": pa.array([], pa.string()), "refreshToken": pa.array([], pa.string())})
            )
        ),
        "header but no rows",
    ),
    refused("no-columns.parquet", data(lambda: written(pa.table({}))), "has no columns"),
    refused(
        "missing.parquet", data(lambda: written(pa.table({"leafUserId": IDS}))), "refreshToken is missing"
    ),
    refused("doubled.parquet", data(doubled), "both refreshToken"),
    refused("cut.parquet", data(lambda: parquet()[:-100]), "damaged or cut off"),
    refused("begun.parquet", data(b"PAR1"), "damaged or cut off"),
    refused("nothing-in.parquet", data(b"PAR1PAR1"), "damaged or cut off"),
    refused("flipped.parquet", data(flipped), "damaged or cut off"),
    refused("swapped.parquet", data(swapped), "damaged or cut off"),
    refused("locked.parquet", data(b"PARE" + bytes(99) + b"PARE"), "encrypted", "decrypt it first"),
    refused("table.arrow", data(b"ARROW1\0\0" + bytes(99)), "an Arrow file", "save it as Parquet"),
    refused("cut-head.parquet", data(lambda: parquet()[4:]), "is not text"),
]
