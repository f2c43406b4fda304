"""A ledger on a server: from any machine, one run at a time, through kills, cuts and restarts."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_onboard.ledger import Ledger
from bulk_onboard.sandbox import Behaviour
from tests.support.cli import Desk, Leaf, Process, Server, end, grower, growers, start, wait_for_posts, write
from tests.support.postgres import Server as Postgres
from tests.support.postgres import served

# Slow enough that there is always something in flight.
BUSY = Behaviour(event_delay=0, latency=0.05)
COUNT = 40
QUICK = ("--no-events", "--timeout", "1")


@pytest.fixture
def url(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a new ledger, for all that run here."""
    found = postgres.url()
    monkeypatch.setenv("BULK_ONBOARD_LEDGER", found)
    return found


def started(server: Server, *argv: str) -> Process:
    """A run in a process of its own, which takes some seconds."""
    return start("run", write(growers(COUNT)), "--rate", "30", *QUICK, *argv, env=server.environment)


def test_machines_share_a_ledger_on_a_server(
    desk: Desk, leaf: Leaf, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = desk.at(leaf()).run(write([*growers(3), *growers(1, "refused-", start=3)]))
    run = first.summary["runId"]
    assert not Path("reports/ledger.sqlite3").exists()
    for name in ("elsewhere", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert [each["runId"] for each in json.loads(desk("runs", "--json").out)] == [run]
    assert desk("status", grower(0)).code == 0
    again = desk("report", run)
    assert (again.code, again.statuses) == (1, first.statuses)
    assert desk("events", run).code == 1
    repeated = desk.run(write(growers(3)))
    assert (repeated.code, repeated.statuses) == (0, {"existing": 3})
    assert desk("rollback", run, "--yes").code == 0
    assert desk.run("growers.csv").statuses == {"created": 3}


def test_commands_that_read_create_no_schema(desk: Desk, url: str, postgres: Postgres) -> None:
    for argv in (
        ["runs"],
        ["status", grower(0)],
        ["report"],
        ["rollback", "20261123T154500Z-x", "--yes", "--sandbox"],
    ):
        ran = desk(*argv)
        assert (ran.code, "no ledger at postgresql://" in ran.err) == (2, True), ran.err
    schema = url.rpartition("=")[2]
    assert not postgres.sql("SELECT 1 FROM pg_namespace WHERE nspname = %s", schema)


@pytest.mark.soak(5)
def test_after_a_kill_the_next_run_completes_the_file(desk: Desk, leaf: Leaf, url: str) -> None:
    server = leaf(BUSY)
    process = started(server)
    wait_for_posts(server, process)
    process.kill()
    end(process, 40)
    again = desk.at(server).run("growers.csv", *QUICK)
    assert again.code == 0
    assert sum(again.statuses.values()) == COUNT
    server.assert_stored_once(COUNT)


# --- the server's own troubles ------------------------------------------------------------------------


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A server to be ill-treated, with a ledger."""
    with served() as server:
        monkeypatch.setenv("BULK_ONBOARD_LEDGER", server.url("mine"))
        yield server


def cut_all(postgres: Postgres) -> None:
    """Every connection but our own."""
    postgres.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid != pg_backend_pid() AND backend_type = 'client backend'"
    )


@pytest.mark.soak(8)
def test_a_run_that_loses_its_lock_stops(desk: Desk, leaf: Leaf, own: Postgres) -> None:
    server = leaf(BUSY)
    process = started(server)
    wait_for_posts(server, process)
    cut_all(own)
    ran = end(process, 40)
    assert (ran.code, "the lock of the ledger is lost" in ran.err) == (5, True), ran.err
    assert len(server.held) < COUNT
    again = desk.at(server).run("growers.csv", *QUICK)
    assert again.code == 0, again.err
    server.assert_stored_once(COUNT)


@pytest.mark.soak(8)
def test_a_run_stops_when_the_server_stays_away(desk: Desk, leaf: Leaf, own: Postgres) -> None:
    server = leaf(BUSY)
    process = started(server, "--timeout", "1")
    wait_for_posts(server, process)
    own.stop()
    ran = end(process, 40)
    own.start()
    assert (ran.code, "run the same command again" in ran.err) == (5, True), ran.err
    again = desk.at(server).run("growers.csv", *QUICK)
    assert again.code == 0, again.err
    server.assert_stored_once(COUNT)


@pytest.mark.soak(16)
def test_a_suspended_run_sends_nothing_after_another_run_took_over(
    desk: Desk, leaf: Leaf, own: Postgres
) -> None:
    """Also not what it had written down before: the other run has asked for that, and sent it."""
    server = leaf(Behaviour(event_delay=0))
    process = started(server)
    wait_for_posts(server, process)
    process.send_signal(signal.SIGSTOP)
    cut_all(own)
    again = desk.at(server).run("growers.csv", *QUICK)
    assert again.code == 0, again.err
    posts = server.posts
    process.send_signal(signal.SIGCONT)
    ran = end(process, 40)
    assert ran.code == 5
    assert "the lock of the ledger is lost" in ran.err
    assert server.posts == posts
    server.assert_stored_once(COUNT)
    with Ledger(own.place("mine")) as ledger:
        found = ledger.find(None)
    assert found
    assert found[1].run_id == again.summary["runId"]


@pytest.mark.soak(8)
def test_a_suspended_run_writes_no_intent_while_another_run_works(
    desk: Desk, leaf: Leaf, own: Postgres
) -> None:
    server = leaf(BUSY)
    first = started(server)
    wait_for_posts(server, first)
    first.send_signal(signal.SIGSTOP)
    cut_all(own)
    second = started(server)
    until = time.monotonic() + 30
    while not _begun_again(own):
        assert time.monotonic() < until
        time.sleep(0.05)
    first.send_signal(signal.SIGCONT)
    assert end(first, 40).code == 5
    assert end(second, 40).code == 0
    server.assert_stored_once(COUNT)


def _begun_again(own: Postgres) -> bool:
    return own.sql("SELECT count(*) FROM run", schema="mine") == [(2,)]
