"""Growers from elsewhere: an address, a decrypting program, secrets in files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.support.cli import PLANTED, Desk, Leaf, Server, as_csv, growers

COMMAND = f"{sys.executable} -m bulk_onboard run - --rate 0 --no-events"
gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="needs gpg: apt-get install gnupg")


@pytest.fixture
def stored() -> Iterator[str]:
    files = fsspec.filesystem("memory")
    files.pipe("/cohorts/growers.csv", as_csv(growers(3)).encode())
    yield "memory://cohorts/growers.csv"
    files.store.clear()


def test_a_run_of_an_address_is_named_after_its_file(desk: Desk, leaf: Leaf, stored: str) -> None:
    first = desk.at(leaf()).run(stored)
    assert (first.code, first.statuses, first.summary["input"]["name"]) == (0, {"created": 3}, "growers.csv")
    assert first.folder.name.endswith("Z-growers")
    assert desk.run(stored).statuses == {"existing": 3}
    assert desk("events", stored, "--rate", "0").code == 0


# --- a decrypting program -----------------------------------------------------------------------------


@pytest.fixture
def encrypted(here: Path) -> Iterator[dict[str, str]]:
    """growers.csv.gpg, and the environment in which gpg finds its way. Sockets need a short path."""
    home = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))
    environment = {**os.environ, "GNUPGHOME": str(home)}
    Path("right").write_text("passphrase")
    Path("wrong").write_text("another")
    gpg_ = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase-file", "right"]
    subprocess.run(
        [*gpg_, "--symmetric", "--output", "growers.csv.gpg"],
        input=as_csv(growers(3)).encode(), env=environment, check=True,
    )  # fmt: skip
    try:
        yield environment
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


def _piped(passphrase: str, environment: dict[str, str], server: Server) -> subprocess.CompletedProcess[str]:
    decrypt = (
        f"gpg --batch --quiet --pinentry-mode loopback --passphrase-file {passphrase} -d growers.csv.gpg"
    )
    return subprocess.run(
        ["bash", "-c", f"{decrypt} | {COMMAND}"],
        env=environment | server.environment, capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip


@gpg
@pytest.mark.soak(4)
def test_piped_decrypted_rows_never_touch_the_disk(here: Path, leaf: Leaf, encrypted: dict[str, str]) -> None:
    server = leaf()
    ran = _piped("right", encrypted, server)
    assert (ran.returncode, server.posts) == (0, 3), ran.stderr
    assert PLANTED not in ran.stdout + ran.stderr
    for path in here.rglob("*"):
        assert not path.is_file() or PLANTED.encode() not in path.read_bytes(), path


# --- several files ------------------------------------------------------------------------------------


@pytest.fixture
def exports(here: Path) -> Path:
    """Two files of three growers each, and a note of the program that wrote them."""
    folder = here / "exports"
    folder.mkdir()
    both = growers(6)
    (folder / "b.csv").write_text(as_csv(both[3:]))
    (folder / "a.csv").write_text(as_csv(both[:3]))
    (folder / "_SUCCESS").touch()
    return folder


def test_a_folder_is_one_run_and_so_is_a_pattern(desk: Desk, leaf: Leaf, exports: Path) -> None:
    first = desk.at(leaf()).run("exports")
    assert (first.code, first.statuses, first.summary["input"]["name"]) == (0, {"created": 6}, "exports")
    assert [row["row"] for row in first.rows] == ["2", "3", "4", "5", "6", "7"]
    assert "Rows are numbered across 2 files: a.csv from row 2, b.csv from row 5" in first.err
    again = desk.run("exports/*.csv")
    assert (again.statuses, again.summary["input"]["name"]) == ({"existing": 6}, "exports/*.csv")
    assert again.folder.name.endswith(("Z-exports", "Z-exports-2"))  # the second one in a second
    assert desk("events", "exports/*.csv", "--rate", "0").code == 0


def test_validate_of_a_pattern_never_overwrites_its_files(desk: Desk, exports: Path) -> None:
    (exports / "b.csv").write_text(as_csv(growers(6)[3:]) + "no-uuid,planted-x\n")
    told = desk("validate", "exports/*.csv")
    assert told.code == 1
    assert "row 8" in told.out
    assert "a.csv from row 2, b.csv from row 5" in " ".join(told.err.split())
    assert Path("reports/validate-exports/problems.csv").is_file()
    refused = desk("validate", "exports", "--fix", "exports/b.csv")
    assert refused.code == 2
    assert "never overwritten" in refused.err
