"""Parts of files from elsewhere, fetched by ranges: from a store that speaks S3, and from a web server."""

from __future__ import annotations

import http.server
import os
import pickle
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bulk_onboard.errors import InputError, UsageError
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.readers.part import Whole
from bulk_onboard.readers.parts import Part, Parts, Size, open_part, parts_of
from tests.readers import s3
from tests.readers.tables import HEADER, as_csv, as_rows

SAMPLES = Path(__file__).parents[2] / "samples"
SMALL = Size(rows=30, bytes=10**9)
NAMES = ["growers.csv", "growers.parquet", "growers.xlsx"]

Rows = list[tuple[int, tuple[str, ...]]]


def rows_of(parts: Parts) -> Rows:
    """All rows, read part by part as another process would."""
    return list(chain.from_iterable(map(part_rows, parts.parts)))


def part_rows(part: Part) -> Rows:
    with open_part(pickle.loads(pickle.dumps(part))) as source:
        return as_rows(list(source.chunks(range(len(source.header)))))


def here(name: str) -> Rows:
    with open_source(SAMPLES / name) as source:
        return as_rows(list(source.chunks(range(len(source.header)))))


# --- S3 ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store() -> Iterator[Any]:
    """A bucket on this machine, and the settings by which s3:// leads there."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with s3.served() as address, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", "planted-key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        files = fsspec.filesystem("s3", skip_instance_cache=True)
        files.mkdir("exports")
        yield files
    # It would be used again, and wait for an answer.
    type(files).clear_instance_cache()


def test_what_lies_in_s3_is_read_in_parts_and_whole(store: Any) -> None:
    for name in NAMES:
        store.pipe(f"exports/2026-11-01/{name}", (SAMPLES / name).read_bytes())
        address = f"s3://exports/2026-11-01/{name}"
        assert rows_of(parts_of(address, size=SMALL)) == here(name)
        with open_source(address) as source:
            assert as_rows(list(source.chunks(range(len(source.header))))) == here(name)
    assert len(parts_of("s3://exports/2026-11-01/growers.csv", size=SMALL).parts) == 7


def test_folders_and_patterns_of_s3_are_read_in_name_order(store: Any) -> None:
    for day, first in (("02", "c"), ("01", "a"), ("03", "e")):
        store.pipe(f"exports/days/day=2026-11-{day}/part-1.csv", as_csv([HEADER, (first, "x", "")]))
    store.pipe("exports/days/day=2026-11-01/_SUCCESS", b"")
    found = parts_of("s3://exports/days/day=2026-11-*/*.csv")
    assert [(number, row[0], row[-1]) for number, row in rows_of(found)] == [
        (2, "a", "2026-11-01"), (3, "c", "2026-11-02"), (4, "e", "2026-11-03")
    ]  # fmt: skip
    store.pipe("exports/lake/_delta_log/0.json", b"{}")
    store.pipe("exports/lake/part-1.csv", as_csv([HEADER, ("a", "x", "")]))
    for where in ("s3://exports/lake/", "s3://exports/lake/*.csv", "s3://exports/lake/part-1.csv"):
        with pytest.raises(InputError, match="lake is a Delta table"):
            open_source(where)
    assert found.place(3)[0].where == "s3://exports/days/day=2026-11-02/part-1.csv"
    folder = parts_of("s3://exports/days/day=2026-11-01/")
    assert [(number, row[0]) for number, row in rows_of(folder)] == [(2, "a")]
    with pytest.raises(InputError, match="no file matches this pattern"):
        parts_of("s3://exports/none/*.csv")


def test_an_object_of_s3_that_was_replaced_is_not_read_on(store: Any) -> None:
    store.pipe("exports/growers.csv", (SAMPLES / "growers.csv").read_bytes())
    first, second, *_ = parts_of("s3://exports/growers.csv", size=SMALL).parts
    with open_part(first) as source:
        store.pipe("exports/growers.csv", (SAMPLES / "growers.csv").read_bytes()[:-1] + b" ")
        with pytest.raises(InputError, match=r"growers\.csv was changed while it was being read"):
            list(source.chunks([0]))
        assert source.changed()
    with pytest.raises(InputError, match=r"growers\.csv was changed while it was being read"):
        open_part(second)
    with pytest.raises(InputError, match=r"absent\.csv: there is no such file"):
        parts_of("s3://exports/absent.csv")


# --- the web ----------------------------------------------------------------------------------------


@contextmanager
def web(content: bytes, *, ranges: bool = True) -> Iterator[tuple[str, list[int]]]:
    """A web server of one file, and how many bytes it has given for each request."""
    given: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(200, len(content))

        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            start, end = (int(asked[1]), int(asked[2]) + 1) if asked and ranges else (0, len(content))
            self._answer(206 if asked and ranges else 200, len(content[start:end]))
            self.wfile.write(content[start:end])
            given.append(len(content[start:end]))

        def _answer(self, status: int, length: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.send_header("ETag", f'"{hash(content)}"')
            if ranges:
                self.send_header("Accept-Ranges", "bytes")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", given
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_of_a_csv_only_the_header_and_the_block_are_fetched() -> None:
    rows = [(f"a{i:06}", "x" * 400, "") for i in range(20_000)]
    with web(as_csv([HEADER, *rows])) as (address, given):
        parts = parts_of(f"{address}/growers.csv", size=Size(rows=2_000)).parts
        assert len(parts) == 10
        given.clear()
        assert [row[0] for _, row in part_rows(parts[5])] == [f"a{i:06}" for i in range(10_000, 12_000)]
        # The look at the header takes as much as is read at once.
        assert sum(given) < 2_000 * 420 + 2 * (1 << 20)


def test_of_parquet_only_the_row_groups_and_the_columns_asked_for_are_fetched() -> None:
    table = pa.table({name: [f"{name}{i}" * 20 for i in range(10_000)] for name in HEADER})
    file = pa.BufferOutputStream()
    pq.write_table(table, file, row_group_size=1_000, use_dictionary=False, compression="none")
    content = file.getvalue().to_pybytes()
    with web(content) as (address, given):
        parts = parts_of(f"{address}/growers.parquet", size=Size(rows=1_000)).parts
        assert len(parts) == 10
        given.clear()
        with open_part(parts[5]) as source:
            (chunk,) = source.chunks([0])
        assert chunk.numbers.tolist() == list(range(5_002, 6_002))
        assert sum(given) < len(content) / 10


@pytest.mark.parametrize("name", NAMES)
def test_a_web_server_without_ranges_gives_one_part(name: str) -> None:
    with web((SAMPLES / name).read_bytes(), ranges=False) as (address, _):
        found = parts_of(f"{address}/{name}", size=SMALL)
        assert [part.range for part in found.parts] == [Whole()]
        assert rows_of(found) == here(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_web_server_with_ranges_gives_all(name: str) -> None:
    with web((SAMPLES / name).read_bytes()) as (address, _):
        assert rows_of(parts_of(f"{address}/{name}", size=SMALL)) == here(name)


def test_what_goes_wrong_while_a_part_is_read_is_said_in_one_line() -> None:
    with web((SAMPLES / "growers.csv").read_bytes()) as (address, _):
        part = parts_of(f"{address}/growers.csv").parts[0]
        source = open_part(part)
    with (
        source,
        pytest.raises(InputError, match=r"^growers\.csv cannot be fetched from that http:// address"),
    ):
        list(source.chunks([0]))


# --- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "https://host/growers.csv?X-Amz-Signature=planted-1",
        "https://host/growers.csv#planted-1",
        "https://planted-1@host/growers.csv",
        "https://user:planted-1@host/growers.csv",
        "s3://key:planted-1@bucket/growers.csv",
        "az://container/growers.csv?sv=2024&sig=planted-1",
        "https://[planted-1/growers.csv",
    ],
)
def test_an_address_with_a_secret_in_it_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="use s3://, gs:// or az://, which use the store's own cred") as told:
        parts_of(address)
    assert "planted" not in str(told.value)


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_a_store_is_read_like_its_files(memory: Any, name: str) -> None:
    memory.pipe(f"/cohorts/{name}", (SAMPLES / name).read_bytes())
    assert rows_of(parts_of("memory://cohorts", size=SMALL)) == here(name)
    with open_source("memory://cohorts/") as source:
        assert as_rows(list(source.chunks(range(len(source.header))))) == here(name)
    memory.pipe("/cohorts/notes.pdf", b"%PDF")
    with pytest.raises(InputError, match=r"contains notes\.pdf, which cannot be read"):
        parts_of("memory://cohorts")


def test_an_object_that_was_replaced_is_not_read(memory: Any) -> None:
    memory.pipe("/cohorts/growers.csv", (SAMPLES / "growers.csv").read_bytes())
    (part,) = parts_of("memory://cohorts/growers.csv").parts
    memory.pipe("/cohorts/growers.csv", (SAMPLES / "growers.csv").read_bytes())
    with pytest.raises(InputError, match="was changed"):
        open_part(part)
