"""Names that are not a file, files that change while they are read, and standard input."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bulk_onboard.cli.main import main
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.engine.checked_file import CheckedFile, Reading
from bulk_onboard.errors import InputError
from bulk_onboard.readers.inputs import open_source
from tests.readers.bad_input.case import HEADER, IDS, good, token
from tests.readers.bad_input.parquets import parquet
from tests.readers.bad_input.workbooks import GOOD, xlsx

LINE = "bulk-onboard: error: "


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which a file is refused."""
    assert main(["validate", *arguments]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(LINE)
    assert err.count("\n") == 1
    return err.removeprefix(LINE).strip()


def test_a_missing_file_is_reported_with_its_full_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capsys, "growers.csv")
    assert message == f"growers.csv: there is no such file; expected it at {tmp_path}/growers.csv."


def test_a_folder_without_files_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("growers.csv").mkdir()
    assert refusal(capsys, "growers.csv") == "growers.csv is an empty folder; expected files in it."
    assert "which cannot be read" in refusal(capsys, ".")


def test_a_dangling_link_is_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("growers.csv").symlink_to("gone.csv")
    assert "there is no such file" in refusal(capsys, "growers.csv")


def test_a_link_to_itself_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("growers.csv").symlink_to("growers.csv")
    assert "growers.csv cannot be opened" in refusal(capsys, "growers.csv")


def test_a_link_to_a_file_is_that_file() -> None:
    Path("real.csv").write_text(HEADER + good())
    Path("growers.csv").symlink_to("real.csv")
    assert main(["validate", "growers.csv"]) == 0


@pytest.mark.timeout(20)
def test_a_named_pipe_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("growers.csv")
    message = refusal(capsys, "growers.csv")
    assert (
        message == "growers.csv is not a regular file; pipe CSV into standard input and give - as the file."
    )


def test_a_device_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "null is not a regular file" in refusal(capsys, "/dev/null")
    assert "zero is not a regular file" in refusal(capsys, "/dev/zero")


def test_a_socket_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("growers.csv")
        assert "is not a regular file" in refusal(capsys, "growers.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("growers.csv").write_text(HEADER + good())
    Path("growers.csv").chmod(0)
    assert refusal(capsys, "growers.csv") == "growers.csv cannot be read: permission denied."


@pytest.mark.parametrize("name", ["a" * 300 + ".csv", "a\0b.csv"], ids=["long", "NUL"])
def test_an_invalid_name_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(refusal(capsys, name)) < 500


# --- between the first look and the last row --------------------------------------------------------


CONTENTS = {
    "growers.csv": (HEADER + good()).encode(),
    "growers.parquet": parquet(),
    "growers.xlsx": xlsx(*GOOD),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_replaced_while_reading_is_read_to_its_end(name: str) -> None:
    Path(name).write_bytes(CONTENTS[name])
    with open_source(name) as source:
        Path(name).unlink()
        Path(name).write_text("something else")
        assert not source.changed()
        assert [list(chunk.numbers) for chunk in source.chunks([0, 1])] == [[2, 3, 4]]


def test_a_file_written_while_reading_is_detected() -> None:
    path = Path("growers.csv")
    path.write_text(HEADER + good())
    with open_source(path) as source:
        assert not source.changed()
        with path.open("a") as file:
            file.write(good(1, 5))
        assert source.changed()


def checked_file(where: Path) -> Iterator[CheckedFile]:
    with open_source(where) as source:
        yield CheckedFile(source, Reading([PROVIDERS["raven"]], {}, {}, chunk_rows=2), b"key")


@pytest.mark.parametrize(
    "later",
    [
        HEADER + good(2) + f"{IDS[2]},{token(9)}\n" + good(1, 3),
        HEADER + good(2) + f"{IDS[9]},{token(2)}\n" + good(1, 3),
        HEADER + good(2) + good(1, 3) + good(1, 2),
        HEADER + good(2) + "\n" + good(2, 2),
        HEADER + good(3),
        HEADER + good(2) + '"' + good(2, 2),
        "",
    ],
    ids=["token", "grower", "order", "place", "fewer", "quote", "emptied"],
)
def test_no_row_of_a_changed_part_is_returned(later: str) -> None:
    path = Path("growers.csv")
    path.write_text(HEADER + good(4))
    for one in checked_file(path):
        list(one.chunks())
        with path.open("r+") as file:
            file.truncate()
            file.write(later)
        handed: list[int] = []
        with pytest.raises(InputError) as caught:
            handed.extend(row.number for row in one.rows(np.array([2, 3, 4, 5])))
        assert handed in ([], [2, 3])
        assert "planted-" not in str(caught.value)


def test_appended_rows_wait_for_the_next_run() -> None:
    path = Path("growers.csv")
    path.write_text(HEADER + good(4))
    for one in checked_file(path):
        list(one.chunks())
        with path.open("a") as file:
            file.write(good(2, 5))
        assert [row.number for row in one.rows(np.array([2, 3, 4, 5]))] == [2, 3, 4, 5]


# --- standard input ---------------------------------------------------------------------------------


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], int]:
    """How validation ends with this on standard input."""

    def validate(content: bytes) -> int:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        return main(["validate", "-"])

    return validate


def test_closed_standard_input_is_refused() -> None:
    shell = ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "bulk_onboard", "validate", "-"]
    ran = subprocess.run(shell, capture_output=True, timeout=30, check=False)
    assert ran.returncode == 3
    assert b"standard input is closed" in ran.stderr
    assert ran.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "standard input is empty; expected a header and rows"),
        (b"\x89PNG\r\n\x1a\n", "standard input is a picture"),
        (HEADER.encode(), "standard input has a header but no rows"),
    ],
    ids=["empty", "picture", "header"],
)
def test_unusable_standard_input_is_refused(
    piped: Callable[[bytes], int], capsys: pytest.CaptureFixture[str], content: bytes, words: str
) -> None:
    assert piped(content) == 3
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1


def test_standard_input_may_have_any_encoding_or_format(piped: Callable[[bytes], int]) -> None:
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        assert piped(f"leafUserId,refreshToken,Größe\n{IDS[5]},t-4f1c,5\n".encode(encoding)) == 0
    assert piped(xlsx(*GOOD)) == piped(parquet()) == 0


def test_a_terminal_as_standard_input_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keyboard = SimpleNamespace(isatty=lambda: True, read=lambda: pytest.fail("it waits"))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=keyboard))
    assert "pipe CSV into it, or name a file" in refusal(capsys, "-")
