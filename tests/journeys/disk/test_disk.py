"""The disk as an enemy: a clear line, the right exit code, nothing lost and nothing sent twice."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bulk_onboard.domain.run_events import RunInfo
from bulk_onboard.errors import LedgerError
from bulk_onboard.ledger import Ledger, hold
from bulk_onboard.ledger.schema import VERSION
from tests.journeys.disk.conftest import Disk, Leaf
from tests.support.command import Ended, Started, environment, start, write_growers
from tests.support.raw_server import Request, http, serving

OPTIONS = "growers.csv", "--rate=0", "--events-wait=0", "--timeout=2", "--json"
ROWS = 60
INFO = RunInfo(
    run_id="r",
    provider="raven",
    input="growers.csv",
    leaf="http://localhost",
    owner="me",
    started_at=datetime(2026, 11, 24, tzinfo=UTC),
    ceiling=10.0,
)


def begin(folder: Path, url: str, *options: str, **env: str) -> Started:
    return start(
        "run", *OPTIONS, *options, cwd=folder, env=environment(url, **{"LEAF_TOKEN": "practice", **env})
    )


async def run(folder: Path, url: str, *options: str) -> Ended:
    return await asyncio.to_thread(begin(folder, url, *options).wait)


def assert_told_in_a_line(ended: Ended, code: int, *words: str) -> None:
    """One line that says what is wrong, no traceback, nothing about a bug."""
    errors = [line for line in ended.told.splitlines() if line.startswith("bulk-onboard: error:")]
    assert len(errors) == 1, ended.told
    assert all(word in errors[0] for word in words), errors
    assert "Traceback" not in ended.told
    assert ended.code == code, ended.told


def counts(ended: Ended) -> dict[str, int]:
    return {name: n for name, n in json.loads(ended.out)["counts"].items() if n}


# --- full -------------------------------------------------------------------------------------------


async def test_a_ledger_on_a_full_disk_ends_the_run_before_anything_is_sent(
    tmp_path: Path, disk: Disk, leaf: Leaf
) -> None:
    ids = write_growers(tmp_path / "growers.csv", ROWS)
    disk.fill()
    ended = await run(tmp_path, leaf.url, "--output=disk/reports")
    assert_told_in_a_line(ended, 5, "ledger")
    assert leaf.posts() == []
    disk.empty()
    ended = await run(tmp_path, leaf.url, "--output=disk/reports")
    assert (ended.code, counts(ended)) == (0, {"created": ROWS}), ended.told
    assert sorted(leaf.posts()) == sorted(ids)


async def test_a_disk_that_fills_up_stops_the_run_and_the_next_one_sends_nothing_twice(
    tmp_path: Path, disk: Disk, leaf: Leaf
) -> None:
    ids = write_growers(tmp_path / "growers.csv", ROWS)
    started = begin(tmp_path, leaf.url, "--output=disk/reports", "--max-in-flight=4")
    while len(leaf.posts()) < ROWS // 4:
        assert started.is_running(), started.err()
        await asyncio.sleep(0.005)
    disk.fill()
    ended = await asyncio.to_thread(started.wait)
    assert_told_in_a_line(ended, 5, "full")
    before = leaf.posts()
    assert ROWS // 4 <= len(before) < ROWS
    disk.empty()
    ended = await run(tmp_path, leaf.url, "--output=disk/reports")
    assert ended.code == 0, ended.told
    told = counts(ended)
    assert told.keys() <= {"created", "existing"}
    assert sum(told.values()) == ROWS
    assert sorted(leaf.posts()) == sorted(ids)


async def test_reports_on_a_full_disk_are_written_later_and_nothing_is_sent_again(
    tmp_path: Path, disk: Disk, leaf: Leaf
) -> None:
    write_growers(tmp_path / "growers.csv", ROWS)
    disk.fill()
    places = "--output=disk/reports", "--ledger=ledger.db"
    ended = await run(tmp_path, leaf.url, *places)
    assert_told_in_a_line(ended, 5, "cannot be written", "bulk-onboard report")
    sent = len(leaf.posts())
    disk.empty()
    env = environment(leaf.url, LEAF_TOKEN="practice")
    again = await asyncio.to_thread(start("report", *places, cwd=tmp_path, env=env).wait)
    assert again.code in {0, 1, 5}, again.told
    ended = await run(tmp_path, leaf.url, *places)
    assert ended.code == 0, ended.told
    assert len(set(leaf.posts())) == len(leaf.posts()) == ROWS
    assert sent in {0, ROWS}
    assert not list((disk.path / "reports").rglob("*.part"))


# --- not to be written ------------------------------------------------------------------------------


async def test_a_folder_that_cannot_be_written_to_is_told_in_a_line(
    tmp_path: Path, disk: Disk, leaf: Leaf
) -> None:
    ids = write_growers(tmp_path / "growers.csv", ROWS)
    disk.protect()
    ended = await run(tmp_path, leaf.url, "--output=disk/r", "--ledger=ledger.db")
    assert_told_in_a_line(ended, 5, "Read-only")
    ended = await run(tmp_path, leaf.url, "--ledger=ledger.db")
    assert ended.code == 0, ended.told
    assert sorted(leaf.posts()) == sorted(ids)


async def test_a_ledger_that_cannot_be_written_to_any_more_ends_the_run(
    tmp_path: Path, disk: Disk, leaf: Leaf
) -> None:
    write_growers(tmp_path / "growers.csv", ROWS)
    await run(tmp_path, leaf.url, "--output=disk/reports", "--limit=5")
    disk.protect()
    ended = await run(tmp_path, leaf.url, "--output=disk/reports")
    assert_told_in_a_line(ended, 5, "ledger")
    assert len(leaf.posts()) == 5


async def test_an_output_folder_that_is_a_file_is_told_before_anything_is_sent(
    tmp_path: Path, leaf: Leaf
) -> None:
    write_growers(tmp_path / "growers.csv", 5)
    (tmp_path / "out").write_text("mine")
    ended = await run(tmp_path, leaf.url, "--output=out")
    assert_told_in_a_line(ended, 5, "out")
    assert leaf.posts() == []
    assert (tmp_path / "out").read_text() == "mine"


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


def is_of_another_program(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE run (colour TEXT)")
        db.execute("CREATE TABLE entry (shape TEXT)")
    db.close()


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
def test_a_ledger_that_cannot_be_used_is_refused_untouched(
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


def test_a_database_of_another_program_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    is_of_another_program(path)
    with pytest.raises(LedgerError), Ledger(path) as ledger:
        ledger.begin(INFO, ledger.scope(INFO.leaf, INFO.owner, INFO.provider), "me")


@pytest.mark.parametrize("damage", [is_overwritten, is_newer], ids=lambda damage: damage.__name__)
async def test_nothing_is_sent_with_a_ledger_that_cannot_be_used(
    tmp_path: Path, leaf: Leaf, damage: Callable[[Path], None]
) -> None:
    write_growers(tmp_path / "growers.csv", 5)
    path = tmp_path / "ledger.db"
    Ledger(path).__exit__()
    damage(path)
    ended = await run(tmp_path, leaf.url, "--ledger=ledger.db")
    assert_told_in_a_line(ended, 5, "ledger.db")
    assert leaf.posts() == []


async def test_a_ledger_that_is_a_folder_is_wrong_usage(tmp_path: Path, leaf: Leaf) -> None:
    write_growers(tmp_path / "growers.csv", 5)
    (tmp_path / "ledger").mkdir()
    ended = await run(tmp_path, leaf.url, "--ledger=ledger")
    assert_told_in_a_line(ended, 2, "folder")
    assert leaf.posts() == []


# --- the input changes under the run ----------------------------------------------------------------


def replaced(path: Path) -> None:
    other = path.with_suffix(".new")
    write_growers(other, ROWS, first=500)
    other.replace(path)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def given_other_tokens(path: Path) -> None:
    text = path.read_text().replace("planted-token", "planted-other")
    with path.open("r+") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("change", "code"),
    [(replaced, 0), (truncated, 5), (given_other_tokens, 5)],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_of_a_file_that_changes_under_the_run_nothing_is_sent_that_was_not_checked(
    tmp_path: Path, change: Callable[[Path], None], code: int
) -> None:
    path = tmp_path / "growers.csv"
    ids = write_growers(path, ROWS)
    asked_to_log_in, changed = asyncio.Event(), asyncio.Event()

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/api/authenticate":  # after the file was checked, before it is read again
            asked_to_log_in.set()
            await changed.wait()
            writer.write(http(200, {"id_token": "t"}))
        elif request.path.endswith("events"):
            writer.write(http(200, [{"statusCode": 200}]))
        elif request.method == "POST" or server.count("POST", request.path):
            writer.write(http(201 if request.method == "POST" else 200, {"id": "c-1", "status": "OK"}))
        else:
            writer.write(http(404))

    async with serving(answer) as server:
        login = {"LEAF_TOKEN": "", "LEAF_USERNAME": "me", "LEAF_PASSWORD": "planted-password"}
        started = begin(tmp_path, server.url, **login)
        await asyncio.wait_for(asked_to_log_in.wait(), 20)
        change(path)
        changed.set()
        ended = await asyncio.to_thread(started.wait)
        posted = [
            request for request in server.requests if "raven" in request.path and request.method == "POST"
        ]
    assert ended.code == code, ended.told
    assert "Traceback" not in ended.told
    if code:
        assert "changed while it was being read" in ended.told
        assert posted == []
        assert counts(ended) == {"not_attempted": ROWS}
    else:
        assert sorted(request.path.split("/")[5] for request in posted) == sorted(ids)


# --- two runs on one ledger -------------------------------------------------------------------------


def test_fingerprints_computed_differently_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.require_same_fingerprints()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'fingerprint_vector'", ("00" * 16,))
    db.close()
    with Ledger(path) as ledger, pytest.raises(LedgerError, match="computes other fingerprints"):
        ledger.require_same_fingerprints()
