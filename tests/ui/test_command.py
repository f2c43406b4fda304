"""`bulk-onboard ui` as a process: what it says, what others see of it, and how it ends."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_onboard.cli.ui import _Ending
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import ExitCode
from bulk_onboard.ui.live_run import LiveRun
from bulk_onboard.ui.server import Server
from bulk_onboard.ui.session import Session
from tests.ui.support import SAMPLES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of files")


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The process, with a browser that notes what it is asked to open, and the file of the notes."""
    browser, notes = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {notes}.part && mv {notes}.part {notes}\n')
    browser.chmod(0o700)
    command = [sys.executable, "-m", "bulk_onboard", "ui", str(SAMPLES / "messy.xlsx")]
    environment = {**os.environ, "BROWSER": f"{browser} %s"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process, notes
        process.kill()


def test_the_command_opens_a_browser_without_showing_the_token(
    started: tuple[subprocess.Popen[str], Path],
) -> None:
    process, notes = started
    assert process.stderr is not None
    said = process.stderr.readline()
    address = said.partition("http")[1] + said.partition("http")[2].strip()
    assert address.startswith("http://127.0.0.1:")
    end = time.monotonic() + 20
    while not notes.exists() and time.monotonic() < end:
        time.sleep(0.02)
    opened = Path(notes.read_text().removeprefix("file://"))
    token = address.partition("token=")[2]
    assert len(token) > 20
    assert token not in str(opened)
    assert token in opened.read_text()
    assert stat.S_IMODE(opened.stat().st_mode) == 0o600
    assert "Continue" in urllib.request.urlopen(address, timeout=10).read().decode()
    assert not opened.exists()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(address, timeout=10)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    assert "To open the page in another browser: http://127.0.0.1:" in err
    assert token not in err
    assert "demo-rt" not in err


async def test_ctrl_c_during_a_run_says_what_it_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    ending = _Ending()
    ending.server = Server(Session())
    ending.drain("interrupted", ExitCode.INTERRUPTED)
    assert capsys.readouterr().err == ""
    ending.server.session.run = LiveRun(StopSignal(), dry=False)
    ending.drain("interrupted", ExitCode.INTERRUPTED)
    assert "Ctrl-C again stops at once" in capsys.readouterr().err
