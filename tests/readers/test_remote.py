"""Files from elsewhere: fsspec's own memory, and a real web server on this machine."""

from __future__ import annotations

import functools
import gzip
import http.server
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest

from bulk_onboard.errors import InputError, NoRows, UsageError
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.readers.remote import open_address
from tests.conftest import INSTALL
from tests.readers import s3
from tests.support.tables import HEADER, as_csv, as_rows

SAMPLES = Path(__file__).parents[2] / "samples"


@contextmanager
def served(folder: Path, redirect: str = "") -> Iterator[str]:
    """A web server of a folder; ``redirect`` is where it sends everybody instead."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if not redirect:
                return super().do_GET()
            self.send_response(302)
            self.send_header("Location", redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def cells(where: str) -> list[list[str]]:
    with open_source(where) as source:
        at = [source.header.index(name) for name in ("leafUserId", "refreshToken")]
        return [row for chunk in source.chunks(at) for row in chunk.cells.to_numpy().tolist()]


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


@pytest.fixture(scope="module")
def s3_store() -> Iterator[Any]:
    """A bucket on this machine, and the settings by which s3:// leads there."""
    pytest.importorskip("s3fs", reason=f"needs s3fs: {INSTALL}")
    pytest.importorskip("moto", reason=f"needs moto: {INSTALL}")
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


@pytest.mark.parametrize("name", ["growers.csv", "growers.parquet", "growers.xlsx"])
def test_a_file_in_s3_is_read_like_the_same_file_on_disk(s3_store: Any, name: str) -> None:
    s3_store.pipe(f"exports/2026-11-01/{name}", (SAMPLES / name).read_bytes())
    assert cells(f"s3://exports/2026-11-01/{name}") == cells(str(SAMPLES / name))
    with pytest.raises(InputError, match=r"absent\.csv: there is no such file"):
        open_source("s3://exports/absent.csv")


def test_folders_and_patterns_of_s3_are_read_in_name_order(s3_store: Any) -> None:
    for day, first in (("02", "c"), ("01", "a"), ("03", "e")):
        s3_store.pipe(f"exports/days/day=2026-11-{day}/part-1.csv", as_csv([HEADER, (first, "x", "")]))
    s3_store.pipe("exports/days/day=2026-11-01/_SUCCESS", b"")
    with open_source("s3://exports/days/day=2026-11-*/*.csv") as source:
        rows = as_rows(list(source.chunks([0, source.header.index("day")])))
        assert rows == [(2, ("a", "2026-11-01")), (3, ("c", "2026-11-02")), (4, ("e", "2026-11-03"))]
        s3_store.pipe("exports/days/day=2026-11-03/part-1.csv", as_csv([HEADER, ("f", "x", "")]))
        assert source.changed()
    assert cells("s3://exports/days/day=2026-11-01/") == [["a", "x"]]
    with pytest.raises(InputError, match="no file matches this pattern"):
        open_source("s3://exports/none/*.csv")


def test_a_table_in_s3_is_refused(s3_store: Any) -> None:
    s3_store.pipe("exports/lake/_delta_log/0.json", b"{}")
    s3_store.pipe("exports/lake/part-1.csv", as_csv([HEADER, ("a", "x", "")]))
    for where in ("s3://exports/lake/", "s3://exports/lake/*.csv", "s3://exports/lake/part-1.csv"):
        with pytest.raises(InputError, match="lake is a Delta table"):
            open_source(where)


def test_a_folder_of_a_store_with_another_file_is_refused(memory: Any) -> None:
    memory.pipe("/cohorts/growers.csv", (SAMPLES / "growers.csv").read_bytes())
    assert cells("memory://cohorts") == cells(str(SAMPLES / "growers.csv"))
    memory.pipe("/cohorts/notes.pdf", b"%PDF")
    with pytest.raises(InputError, match=r"contains notes\.pdf, which cannot be read"):
        open_source("memory://cohorts")


@pytest.mark.parametrize("name", ["growers.csv", "growers.parquet", "growers.xlsx"])
def test_a_file_in_a_store_is_read_like_the_same_file_on_disk(memory: Any, name: str) -> None:
    memory.pipe(f"/cohorts/{name}", (SAMPLES / name).read_bytes())
    assert cells(f"memory://cohorts/{name}") == cells(str(SAMPLES / name))


def test_a_compressed_file_in_a_store_is_unpacked(memory: Any) -> None:
    memory.pipe("/cohorts/growers.csv.gz", gzip.compress((SAMPLES / "growers.csv").read_bytes()))
    assert cells("memory://cohorts/growers.csv.gz") == cells(str(SAMPLES / "growers.csv"))


@pytest.mark.parametrize("name", ["growers.csv", "growers.parquet"])
def test_a_file_on_the_web_is_read_like_the_same_file_on_disk(name: str) -> None:
    with served(SAMPLES) as address:
        assert cells(f"{address}/{name}?signature=planted-1") == cells(str(SAMPLES / name))


def test_a_file_that_is_replaced_after_it_was_opened_is_still_the_one_that_was_opened(memory: Any) -> None:
    memory.pipe("/cohorts/growers.csv", (SAMPLES / "growers.csv").read_bytes())
    with open_source("memory://cohorts/growers.csv") as source:
        memory.pipe("/cohorts/growers.csv", b"something else")
        assert sum(len(chunk.numbers) for chunk in source.chunks([0])) == 200
        assert not source.changed()


def test_a_missing_file_is_reported_without_the_address(memory: Any) -> None:
    with pytest.raises(InputError, match="no such file") as error:
        open_address("memory://nowhere/growers.csv")
    assert "nowhere" not in str(error.value)
    with (
        served(SAMPLES) as address,
        pytest.raises(InputError, match=r"absent\.csv: there is no such") as error,
    ):
        open_address(f"{address}/absent.csv?signature=planted-1")
    assert "planted" not in str(error.value)


def test_a_refused_connection_is_reported_without_the_address() -> None:
    with pytest.raises(InputError, match=r"growers\.csv cannot be fetched") as error:
        open_address("http://127.0.0.1:9/growers.csv?signature=planted-1")
    assert "127" not in str(error.value)


def test_an_empty_file_holds_no_rows(memory: Any) -> None:
    memory.pipe("/cohorts/growers.csv", b"")
    with pytest.raises(NoRows):
        open_address("memory://cohorts/growers.csv")


def test_a_file_that_is_too_large_is_refused(memory: Any) -> None:
    memory.pipe("/cohorts/growers.csv", b"x" * 3_000_000)
    with pytest.raises(InputError, match="larger than 1 MiB"):
        open_address("memory://cohorts/growers.csv", most=1 << 20)


def test_a_redirect_is_not_followed() -> None:
    with (
        served(SAMPLES) as there,
        served(SAMPLES, redirect=f"{there}/growers.csv") as here,
        pytest.raises(InputError, match="redirect"),
    ):
        open_address(f"{here}/growers.csv")


def test_plain_http_to_another_machine_is_refused() -> None:
    with pytest.raises(UsageError, match="use https"):
        open_address("http://example.com/growers.csv")


@pytest.mark.parametrize("address", ["ftp://host/growers.csv", "file:///growers.csv", "sftp://host/a.csv"])
def test_other_kinds_of_addresses_are_refused(address: str) -> None:
    with pytest.raises(UsageError, match="is not supported"):
        open_address(address)


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs")])
def test_without_the_extra_the_message_names_it(
    monkeypatch: pytest.MonkeyPatch, scheme: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    # What was loaded before would be used again.
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    with pytest.raises(UsageError, match=rf"pip install 'bulk-onboard\[{scheme}\]'"):
        open_address(f"{scheme}://bucket/growers.csv")


def test_without_fsspec_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UsageError, match=r"pip install 'bulk-onboard\[https\]'"):
        open_address("https://host/growers.csv")
