"""A process that is forked from one that has imported everything is like one that is executed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import forked

PROGRAM = """
import atexit, os, sys, threading, time
atexit.register(print, "bye")
print(sys.stdin.read(), os.getcwd(), os.environ["ONE"], len(os.environ), sys.argv[1:], __name__)
print(threading.active_count(), sorted(os.listdir("/proc/self/fd"))[:3], file=sys.stderr)
match sys.argv[1]:
    case "leave": sys.exit(7)
    case "words": sys.exit("words")
    case "break": raise ValueError("broken")
    case "wait":
        print("ready", flush=True)
        time.sleep(30)
"""
pytestmark = pytest.mark.skipif(not forked.LINUX, reason="it is executed where it is not forked")


def both(folder: Path, *argv: str) -> list[tuple[int, str, str]]:
    """How it ends and what it says, executed and forked."""
    (folder / "program.py").write_text(PROGRAM)
    env = {"ONE": "1", "PYTHONPATH": str(folder), "LC_CTYPE": "C.UTF-8", "LANG": "C.UTF-8"}
    command = [sys.executable, "-m", "program", *argv]
    executed = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    ran = forked.heard(["program", *argv], env=env, cwd=folder)
    return [
        (executed.returncode, executed.stdout, executed.stderr.rpartition("\n  File")[2]),
        (ran.wait(10), *(each.rpartition("\n  File")[2] for each in ran.communicate())),
    ]


@pytest.mark.parametrize("end", ["leave", "words", "break", "simply"])
def test_it_gets_and_says_the_same_and_ends_alike(tmp_path: Path, end: str) -> None:
    executed, forked = both(tmp_path, end)
    assert forked == executed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_it_is_known_which(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    with (tmp_path / "out").open("wb") as out:
        process = forked.start(["program", "wait"], env={"ONE": "1"}, cwd=tmp_path, stdout=out)
    while "ready" not in (tmp_path / "out").read_text():
        assert process.poll() is None
    assert os.getpgid(process.pid) == os.getpgid(0)
    process.send_signal(number)
    assert process.wait(10) == process.returncode == -number
    process.kill()  # which is of no concern to anybody
