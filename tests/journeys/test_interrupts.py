"""Ctrl-C, SIGTERM and worse, in a process of its own: the files are written, and nothing is sent twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bulk_onboard.sandbox import Behaviour, Fault, Faults
from tests.support.cli import (
    COMMAND,
    Desk,
    Leaf,
    Ran,
    Server,
    end,
    environment,
    growers,
    open_intents,
    start,
    wait_for_posts,
    write,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")

# Slow enough that there is always something in flight, and an end far away.
BUSY = Behaviour(event_delay=0, latency=0.1)
COUNT = 60


def assert_results_equal_leaf(ran: Ran, server: Server) -> None:
    """The rows that the results call created are those that Leaf holds, and nobody is in doubt."""
    assert sum(ran.statuses.values()) == COUNT
    assert ran.statuses["not_attempted"] > 0
    created = {row["leafUserId"] for row in ran.rows if row["status"] == "created"}
    assert created == server.connected


def test_the_first_signal_lets_rows_in_flight_finish(desk: Desk, leaf: Leaf) -> None:
    server = leaf(BUSY)
    process = start("run", write(growers(COUNT)), "--rate", "60", env=server.environment)
    wait_for_posts(server, process, 3)
    process.send_signal(signal.SIGTERM)
    ran = end(process)
    assert ran.code == ran.summary["exitCode"] == 130
    assert ran.summary["stopReason"] == "interrupted"
    assert set(ran.statuses) == {"created", "not_attempted"}
    assert "Interrupted:" in ran.err
    assert "run the same command again" in ran.err
    assert not open_intents()
    assert_results_equal_leaf(ran, server)
    assert desk.at(server).run("growers.csv", "--no-events").code == 0
    server.assert_stored_once(COUNT)


@pytest.mark.soak(5)
def test_the_second_signal_ends_at_once_and_the_next_run_verifies(desk: Desk, leaf: Leaf) -> None:
    # Every fifth POST is stored and never answered: only a second signal ends this soon.
    faults = Faults({Fault.HANG_AFTER: 0.2}, methods=frozenset({"POST"}))
    server = leaf(Behaviour(event_delay=0, faults=faults, seed=1))
    process = start("run", write(growers(60)), "--rate", "60", env=server.environment)
    wait_for_posts(server, process, 10)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None, "rows in flight are waited for"
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    ran = end(process)
    assert time.monotonic() - begun < 5
    assert ran.code == ran.summary["exitCode"] == 130
    assert ran.statuses["unresolved"] >= 1
    assert not open_intents()
    unknown = {row["leafUserId"] for row in ran.rows if row["status"] == "unresolved"}
    again = desk.at(server).run("growers.csv", "--no-events", "--timeout", "0.5")
    assert again.code == 0
    settled = {row["leafUserId"] for row in again.rows if row["code"] == "settled-by-asking"}
    assert unknown <= settled
    assert all(each["posts"] == 1 for each in server.held.values()), "somebody was posted twice"


def test_after_a_kill_the_next_run_verifies_open_intents(desk: Desk, leaf: Leaf) -> None:
    server = leaf(BUSY)
    process = start("run", write(growers(COUNT)), "--rate", "60", env=server.environment)
    wait_for_posts(server, process, 3)
    process.kill()
    end(process)
    assert open_intents(), "rows were in flight"
    desk.at(server)
    told = desk("report")
    assert told.statuses["unresolved"] == len(open_intents())
    again = desk.run("growers.csv", "--no-events", "--timeout", "1")
    assert again.code == 0
    server.assert_stored_once(COUNT)


# --- in a real terminal -----------------------------------------------------------------------------


@contextmanager
def terminal(
    *argv: str, env: dict[str, str], columns: int
) -> Iterator[tuple[subprocess.Popen[bytes], bytearray, int]]:
    """The command on a terminal of its own, as the foreground job; what it shows, and where to type."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def in_the_foreground() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [*COMMAND, *argv], env=environment(env), stdin=theirs, stdout=theirs, stderr=theirs,
        preexec_fn=in_the_foreground,  # noqa: PLW1509
    )  # fmt: skip
    os.close(theirs)
    shown = bytearray()

    def listen() -> None:
        try:
            while got := os.read(ours, 4096):
                shown.extend(got)
        except OSError:
            return  # the terminal is closed once its last user has left

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield process, shown, ours
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        listener.join(2)
        os.close(ours)


@pytest.mark.soak(5)
def test_ctrl_c_in_a_terminal(leaf: Leaf) -> None:
    columns = 60
    server = leaf(BUSY)
    file = write(growers(COUNT))
    with terminal("run", file, "--rate", "60", env=server.environment, columns=columns) as (
        process,
        shown,
        keys,
    ):
        wait_for_posts(server, process, 3)
        time.sleep(0.3)
        os.write(keys, b"\x03")
        assert process.wait(20) == 130
    told = shown.decode()
    assert "Traceback" not in told
    assert "planted-" not in told
    assert f"/{COUNT}" in told
    assert "Stopping: interrupted" in told
    assert "Interrupted:" in told
    bars = [part for part in told.replace("\n", "\r").split("\r") if f"/{COUNT}" in part]
    assert bars
    assert all(len(bar.replace("\x1b[A", "")) <= columns for bar in bars), "a bar that wraps leaves rubbish"
    last_words = told[told.index("Interrupted:") :].splitlines()
    assert max(len(line) for line in last_words if "reports/" not in line) <= min(80, columns)
    assert not open_intents()
