"""The disk as an enemy: a clear line, the right exit code, nothing lost and nothing sent twice."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bulk_onboard.domain.run_events import RunInfo
from bulk_onboard.errors import LedgerError
from bulk_onboard.ledger import Ledger, hold
from bulk_onboard.ledger.schema import VERSION
from bulk_onboard.sandbox import Behaviour
from tests.support.cli import Desk, Leaf, Ran, Server, grower, growers, write
from tests.support.command import environment
from tests.support.command import start as start_here

ROWS = 60
ON_DISK = "--output=disk/reports"
INFO = RunInfo(
    run_id="r",
    provider="raven",
    input="growers.csv",
    leaf="http://localhost",
    owner="me",
    started_at=datetime(2026, 11, 24, tzinfo=UTC),
    ceiling=10.0,
)
SIZE = 4 << 20


@dataclass(frozen=True)
class Disk:
    """A tmpfs."""

    path: Path

    def fill(self) -> None:
        """Not a byte is left."""
        with (self.path / "filler").open("ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass

    def empty(self) -> None:
        """There is room again."""
        (self.path / "filler").unlink()

    def protect(self) -> None:
        """Nothing can be written, not even by root."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Skips where mounting is not allowed."""
    path = tmp_path / "disk"
    path.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(path)]
    try:
        subprocess.run(["mount", *options], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a disk of its own: mounting is not allowed here")
    yield Disk(path)
    subprocess.run(["umount", "-l", str(path)], check=True, capture_output=True)


def assert_told_in_a_line(ran: Ran, code: int, *words: str) -> None:
    """One line that says what is wrong, no traceback, nothing about a bug."""
    errors = [line for line in ran.err.splitlines() if line.startswith("bulk-onboard: error:")]
    assert len(errors) == 1, ran.err
    assert all(word in errors[0] for word in words), errors
    assert ran.code == code, ran.err


def counts(ran: Ran) -> dict[str, int]:
    return {name: n for name, n in json.loads(ran.out)["counts"].items() if n}


def posted(server: Server) -> list[str]:
    """The growers that were posted, each POST once."""
    return sorted(str(each["leafUserId"]) for each in server.seen("POST"))


IDS = sorted(grower(n) for n in range(ROWS))


def run(desk: Desk, *options: str) -> Ran:
    return desk.run(write(growers(ROWS)), "--no-events", "--timeout", "2", "--json", *options)


# --- full -------------------------------------------------------------------------------------------


def test_a_ledger_on_a_full_disk_ends_the_run_before_anything_is_sent(
    desk: Desk, leaf: Leaf, disk: Disk
) -> None:
    desk.at(server := leaf())
    disk.fill()
    assert_told_in_a_line(run(desk, ON_DISK), 5, "ledger")
    assert posted(server) == []
    disk.empty()
    ran = run(desk, ON_DISK)
    assert (ran.code, counts(ran)) == (0, {"created": ROWS}), ran.err
    assert posted(server) == IDS


def test_a_disk_that_fills_up_stops_the_run_and_the_next_one_sends_nothing_twice(
    desk: Desk, leaf: Leaf, disk: Disk
) -> None:
    desk.at(server := leaf(Behaviour(event_delay=0, latency=0.02)))

    def fill() -> None:
        while server.posts < ROWS // 4:
            time.sleep(0.005)
        disk.fill()

    filling = threading.Thread(target=fill)
    filling.start()
    ran = run(desk, ON_DISK, "--max-in-flight=4")
    filling.join()
    assert_told_in_a_line(ran, 5, "full")
    assert ROWS // 4 <= server.posts < ROWS
    disk.empty()
    ran = run(desk, ON_DISK)
    assert ran.code == 0, ran.err
    assert counts(ran).keys() <= {"created", "existing"}
    assert sum(counts(ran).values()) == ROWS
    assert posted(server) == IDS


def test_reports_on_a_full_disk_are_written_later_and_nothing_is_sent_again(
    desk: Desk, leaf: Leaf, disk: Disk
) -> None:
    desk.at(server := leaf())
    disk.fill()
    places = ON_DISK, "--ledger=ledger.db"
    assert_told_in_a_line(run(desk, *places), 5, "cannot be written", "bulk-onboard report")
    sent = server.posts
    disk.empty()
    assert desk("report", *places).code in {0, 1, 5}
    ran = run(desk, *places)
    assert ran.code == 0, ran.err
    assert posted(server) == IDS
    assert sent in {0, ROWS}
    assert not list((disk.path / "reports").rglob("*.part"))


@pytest.mark.parametrize("option", ["--annotate=disk/out.xlsx", "--fix=disk/out.csv"])
def test_a_full_disk_leaves_no_partial_corrected_file(desk: Desk, disk: Disk, option: str) -> None:
    lines = [f"{grower(n)},{secrets.token_urlsafe(60)}" for n in range(6_000)]
    Path("growers.csv").write_text("\n".join(["leafUserId,refreshToken", *lines]))
    disk.fill()
    # Some of it finds room, so that the disk is full in the midst of a sheet.
    os.truncate(disk.path / "filler", (disk.path / "filler").stat().st_size - 200_000)
    ran = desk("validate", "growers.csv", option)
    assert_told_in_a_line(ran, 5, option.partition("=")[2], "No space left on device")
    assert [path.name for path in disk.path.iterdir()] == ["filler"]


# --- not to be written ------------------------------------------------------------------------------


def test_a_read_only_output_folder_is_one_line(desk: Desk, leaf: Leaf, disk: Disk) -> None:
    desk.at(server := leaf())
    disk.protect()
    assert_told_in_a_line(run(desk, "--output=disk/r", "--ledger=ledger.db"), 5, "Read-only")
    assert run(desk, "--ledger=ledger.db").code == 0
    assert posted(server) == IDS


def test_a_ledger_that_becomes_read_only_ends_the_run(desk: Desk, leaf: Leaf, disk: Disk) -> None:
    desk.at(server := leaf())
    run(desk, ON_DISK, "--limit=5")
    disk.protect()
    assert_told_in_a_line(run(desk, ON_DISK), 5, "ledger")
    assert server.posts == 5


@pytest.mark.soak(5)
def test_an_interrupt_leaves_no_partial_workbook(here: Path) -> None:
    write(growers(25_000))
    started = start_here("validate", "growers.csv", "--annotate=new/out.xlsx", cwd=here, env=environment(""))
    while b"writing new/out.xlsx" not in started.err() or not list((here / "new").glob(".*.part")):
        assert started.is_running(), started.err()
        time.sleep(0.01)
    started.process.send_signal(signal.SIGINT)
    ended = started.wait()
    assert ended.code == 130, ended.told
    assert "Traceback" not in ended.told
    assert list((here / "new").iterdir()) == []


# --- the ledger is not what it should be ------------------------------------------------------------


def is_text(path: Path) -> None:
    path.write_text("leafUserId,refreshToken\n" * 300)


def is_cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 5)


def is_cut_to_its_head(path: Path) -> None:
    os.truncate(path, 100)


def is_overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200:] = b"\xa5" * (len(data) - 200)
    path.write_bytes(data)


def is_newer(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (VERSION + "1",))
    db.close()


def has_a_strange_key(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = 'zz' WHERE key = 'fingerprint_key'")
    db.close()


DAMAGES = [
    is_text,
    is_cut_off,
    is_cut_to_its_head,
    is_overwritten,
    is_newer,
    has_a_strange_key,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_an_unusable_ledger_is_refused_and_left_unchanged(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).__exit__()
    damage(path)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"ledger\.db") as raised, hold(path), Ledger(path) as ledger:
        ledger.begin(INFO, ledger.scope(INFO.leaf, INFO.owner, INFO.provider), "me")
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == before


def test_nothing_is_sent_with_an_unusable_ledger(desk: Desk, leaf: Leaf, tmp_path: Path) -> None:
    desk.at(server := leaf())
    Ledger(tmp_path / "ledger.db").__exit__()
    is_newer(tmp_path / "ledger.db")
    assert_told_in_a_line(run(desk, "--ledger=ledger.db"), 5, "ledger.db")
    (tmp_path / "folder").mkdir()
    assert_told_in_a_line(run(desk, "--ledger=folder"), 2, "folder")
    assert server.posts == 0


def test_a_change_of_the_fingerprint_algorithm_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.require_same_fingerprints()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'fingerprint_vector'", ("00" * 16,))
    db.close()
    with Ledger(path) as ledger, pytest.raises(LedgerError, match="computes other fingerprints"):
        ledger.require_same_fingerprints()
