"""What validation gives back is whole or absent, on a disk that is full and when it is interrupted."""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path

import pytest

from tests.journeys.disk.conftest import Disk
from tests.journeys.disk.test_disk import assert_told_in_a_line
from tests.support.command import environment, grower, start

ROWS = 12_000


def write_rows(folder: Path, rows: int = ROWS) -> None:
    lines = [f"{grower(n)},{secrets.token_urlsafe(60)}" for n in range(rows)]
    (folder / "growers.csv").write_text("\n".join(["leafUserId,refreshToken", *lines]))


@pytest.mark.parametrize("option", ["--annotate=disk/out.xlsx", "--fix=disk/out.csv"])
def test_a_full_disk_is_told_in_a_line_and_nothing_stays_on_it(
    tmp_path: Path, disk: Disk, option: str
) -> None:
    write_rows(tmp_path)
    disk.fill()
    # Some of it finds room, so that the disk is full in the midst of a sheet.
    os.truncate(disk.path / "filler", (disk.path / "filler").stat().st_size - 300_000)
    ended = start("validate", "growers.csv", option, cwd=tmp_path, env=environment("")).wait()
    assert_told_in_a_line(ended, 5, option.partition("=")[2], "No space left on device")
    assert [path.name for path in disk.path.iterdir()] == ["filler"]


def test_an_interrupt_leaves_no_half_of_a_workbook(tmp_path: Path) -> None:
    write_rows(tmp_path, 25_000)
    started = start("validate", "growers.csv", "--annotate=new/out.xlsx", cwd=tmp_path, env=environment(""))
    while b"writing new/out.xlsx" not in started.err() or not list((tmp_path / "new").glob(".*.part")):
        assert started.is_running(), started.err()
        time.sleep(0.01)
    started.process.send_signal(signal.SIGINT)
    ended = started.wait()
    assert ended.code == 130, ended.told
    assert "Traceback" not in ended.told
    assert list((tmp_path / "new").iterdir()) == []
