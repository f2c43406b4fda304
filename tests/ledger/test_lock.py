"""One run at a time on one ledger, and a lock that dies with its owner."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bulk_onboard.errors import ExitCode, LedgerBusy, LedgerError
from bulk_onboard.ledger import Ledger, hold
from ledger.support import begin

HOLDER = """
import sys, time
from pathlib import Path
from bulk_onboard.ledger import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_who_comes_second_is_refused_at_once_and_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.sqlite3"
    with hold(path), Ledger(path) as ledger:
        begin(ledger)
        with pytest.raises(LedgerBusy, match="process 1 on here since 2026-11-23") as busy, hold(path):
            pytest.fail("held twice")
    assert busy.value.exit_code is ExitCode.BUSY


def test_a_ledger_is_free_again_when_its_holder_is_done_or_fails(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with pytest.raises(ZeroDivisionError), hold(path):
        raise ZeroDivisionError
    with hold(path):
        pass


def test_two_ledgers_in_one_folder_do_not_hold_each_other(tmp_path: Path) -> None:
    with hold(tmp_path / "a.sqlite3"), hold(tmp_path / "b.sqlite3"):
        pass


def test_the_lock_s_file_is_for_the_owner_alone(tmp_path: Path) -> None:
    with hold(tmp_path / "ledger.sqlite3"):
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_a_ledger_may_be_read_while_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with hold(path), Ledger(path) as mine, Ledger(path) as other:
        begin(mine)
        assert other.find("r-1")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be locked"), hold(tmp_path / "file" / "ledger.sqlite3"):
        pass


def test_the_lock_of_a_killed_process_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LedgerBusy), hold(path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with hold(path):
            pass
