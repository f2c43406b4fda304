"""What is true of a ledger in a file alone."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_onboard.errors import LedgerError, UsageError
from bulk_onboard.ledger import Ledger
from tests.ledger.support import begin, g, intent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as opened:
        yield opened


def test_the_files_of_the_ledger_are_private(path: Path, ledger: Ledger) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [intent(2, g(1))], [])
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes) == {path.name, f"{path.name}-wal", f"{path.name}-shm"}
    assert set(modes.values()) == {0o600}


def test_commits_are_synchronous(path: Path, ledger: Ledger) -> None:
    with ledger.reading() as db:
        assert db.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert db.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL


def test_a_folder_is_not_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        Ledger(tmp_path)


def test_another_file_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "growers.csv"
    path.write_bytes(b"leafUserId,refreshToken\n" * 100)
    with pytest.raises(LedgerError, match=r"growers\.csv cannot be opened"):
        Ledger(path)
    assert path.read_bytes() == b"leafUserId,refreshToken\n" * 100
