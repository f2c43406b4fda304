"""One run at a time on one ledger, and a lock that dies with its owner."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bulk_onboard.errors import ExitCode, LedgerBusy, LedgerError
from bulk_onboard.ledger import Ledger, hold, lock
from bulk_onboard.ledger.postgres import Postgres
from bulk_onboard.settings import LedgerPlace, PostgresUrl
from tests.ledger.support import address, begin
from tests.support.postgres import Server

HOLDER = """
import sys, time
from bulk_onboard.settings import parse
from bulk_onboard.ledger import hold
with hold(parse.ledger(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_refused_and_told_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.sqlite3"
    with hold(path), Ledger(path) as ledger:
        begin(ledger)
        with pytest.raises(LedgerBusy, match="process 1 on here since 2026-11-23") as busy, hold(path):
            pytest.fail("held twice")
    assert busy.value.exit_code is ExitCode.BUSY


def test_the_holder_on_a_server_is_known_before_its_run_begins(postgres: Server) -> None:
    place = postgres.place()
    held = rf"held by process {os.getpid()} on {socket.gethostname()[:20]}.* since 20\d\d-\d\d-\d\dT"
    with hold(place), pytest.raises(LedgerBusy, match=held) as busy, hold(place):
        pytest.fail("held twice")
    assert busy.value.exit_code is ExitCode.BUSY


def test_a_lock_ends_with_its_block(place: LedgerPlace) -> None:
    with pytest.raises(ZeroDivisionError), hold(place):
        raise ZeroDivisionError
    with hold(place):
        pass


def test_ledgers_have_separate_locks(places: Callable[[], LedgerPlace]) -> None:
    with hold(places()), hold(places()):
        pass


def test_two_names_of_one_ledger_have_one_lock(tmp_path: Path) -> None:
    path, link = tmp_path / "ledger.sqlite3", tmp_path / "elsewhere" / "link.sqlite3"
    with Ledger(path):
        pass
    link.parent.mkdir()
    link.symlink_to(path)
    with hold(path), pytest.raises(LedgerBusy), hold(link):
        pytest.fail("held twice")


def test_the_lock_file_is_private(tmp_path: Path) -> None:
    with hold(tmp_path / "ledger.sqlite3"):
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_a_ledger_may_be_read_while_it_is_held(place: LedgerPlace) -> None:
    with hold(place), Ledger(place) as mine, Ledger(place) as other:
        begin(mine)
        assert other.find("r-1")


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be locked"), hold(tmp_path / "file" / "ledger.sqlite3"):
        pass


def test_the_lock_of_a_killed_process_ends_with_it(place: LedgerPlace) -> None:
    command = [sys.executable, "-c", HOLDER, address(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LedgerBusy), hold(place):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        _soon_free(place)


def _soon_free(place: LedgerPlace) -> None:
    until = time.monotonic() + 5
    while True:
        try:
            with hold(place):
                return
        except LedgerBusy:  # the server has not noticed yet
            assert time.monotonic() < until
            time.sleep(0.02)


# --- a connection that is lost ------------------------------------------------------------------------


def test_a_lost_session_frees_the_lock(postgres: Server) -> None:
    place = postgres.place()
    with hold(place) as mine:
        assert mine.is_sure()
        _cut(postgres, place)
        with hold(place) as theirs:
            _until(lambda: mine.lost is not None)
            with pytest.raises(LedgerError, match=r"the lock of the ledger is lost.*same command") as lost:
                mine.is_sure()
            assert lost.value.exit_code is ExitCode.STOPPED
            assert theirs.is_sure()


def test_without_recent_contact_a_lock_is_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(lock, "clock", lambda: now)
    held, over, answers = lock.Lock(now), threading.Event(), iter([None, None])

    def answer() -> None:
        nonlocal now
        now += 1.0
        next(answers)
        over.set()

    now += lock.SURE + 0.1
    assert not held.is_sure()
    held.beat(answer, over)
    assert held.is_sure()  # as of the moment of the question
    now += lock.SURE - 0.9
    assert not held.is_sure()


def test_the_lock_of_a_file_is_certain_while_the_file_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SEEN", -1.0)
    held = lock.Lock()
    assert held.is_sure()
    held.missing = lambda: LedgerError("deleted")
    with pytest.raises(LedgerError, match="deleted"):
        held.is_sure()


def _sessions(server: Server, place: PostgresUrl) -> list[int]:
    """Those that hold the lock of a ledger; its key is in two halves."""
    key = Postgres(place).key("run") & 0xFFFFFFFFFFFFFFFF
    told = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s"
    return [pid for (pid,) in server.sql(told, key >> 32, key & 0xFFFFFFFF)]


def _cut(server: Server, place: PostgresUrl) -> None:
    """And wait until the lock has gone."""
    (pid,) = _sessions(server, place)
    server.sql("SELECT pg_terminate_backend(%s)", pid)
    _until(lambda: not server.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid))


def _until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
