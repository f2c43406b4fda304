"""A file of growers, a Leaf in a thread, and the command: in this process, or in one of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulk_onboard.ledger import Ledger
from tests.support import forked
from tests.support.sandbox import APP, CLIENT_SECRET, PLANTED, Server, held, serving

__all__ = ["APP", "CLIENT_SECRET", "PLANTED", "Server", "held", "serving"]

COMMAND = (sys.executable, "-m", "bulk_onboard")
Rows = Sequence[tuple[str, str]]
# Starts a sandbox for the test; the argument is its behaviour.
Leaf = Callable[..., Server]


def grower(number: int) -> str:
    """The leafUserId of the so-manyth grower."""
    return str(uuid.UUID(int=(0xABCD << 112) + (4 << 76) + (8 << 60) + number))


def growers(count: int, kind: str = "", start: int = 0) -> list[tuple[str, str]]:
    """So many good rows; ``kind`` begins their tokens, which tells the sandbox what is to become of them."""
    return [(grower(n), f"{kind}{PLANTED}{n}") for n in range(start, start + count)]


def as_csv(rows: Rows) -> str:
    return "leafUserId,refreshToken,region\n" + "".join(f"{i},{t},R{n}\n" for n, (i, t) in enumerate(rows))


def write(rows: Rows, name: str = "growers.csv") -> str:
    Path(name).write_text(as_csv(rows), encoding="utf-8")
    return name


# --- the command ------------------------------------------------------------------------------------


@dataclass
class Ran:
    """How a command ended, and the ``folder`` that was written last when it had."""

    code: int
    out: str
    err: str
    folder: Path = Path()

    def __post_init__(self) -> None:
        assert PLANTED not in self.out + self.err, "a secret is shown"
        assert "Traceback" not in self.err, self.err
        self.folder = newest()

    @property
    def rows(self) -> list[dict[str, str]]:
        """results.csv."""
        with (self.folder / "results.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @property
    def statuses(self) -> dict[str, int]:
        return dict(Counter(row["status"] for row in self.rows))

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return found


def newest(output: str = "reports") -> Path:
    """The folder of the run whose files were written last."""
    found = list(Path(output).glob("*/summary.json"))
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent if found else Path()


class Desk:
    """Where a user sits: the environment, and the command in this process."""

    def __init__(self, patch: Any, capture: Any) -> None:
        self._patch, self._capture = patch, capture

    def at(self, server: Server) -> Desk:
        """The same desk, with the settings for that server."""
        for name, value in server.environment.items():
            self.set(name, value)
        return self

    def set(self, name: str, value: str | None) -> None:
        if value is None:
            self._patch.delenv(name, raising=False)
        else:
            self._patch.setenv(name, value)

    def __call__(self, *argv: str, stdin: bytes | None = None) -> Ran:
        from bulk_onboard.cli.main import main

        self._capture.readouterr()
        if stdin is not None:
            self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(list(argv))
        out, err = self._capture.readouterr()
        return Ran(code, out, err)

    def run(self, file: str, *argv: str, stdin: bytes | None = None) -> Ran:
        """``run`` as fast as this machine allows; without a page, unless a format is asked for."""
        chosen = "--format" in argv or "--config" in argv or Path("bulk-onboard.toml").exists()
        quick = () if chosen else ("--format", "csv")
        return self("run", file, "--rate", "0", *argv, *quick, stdin=stdin)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONWARNINGS": "default", **more}


Process = forked.Forked | subprocess.Popen[str]


def start(*argv: str, env: Mapping[str, str]) -> Process:
    """The command in a process of its own; its output is read by `end`."""
    return forked.heard(["bulk_onboard", *argv], env=environment(env))


def end(process: Process, seconds: float = 20) -> Ran:
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ran(process.returncode, out, err)


def wait_for_posts(server: Server, process: Process, count: int = 5, seconds: float = 30) -> None:
    """Wait until the sandbox has received ``count`` POSTs from a running process."""
    deadline = time.monotonic() + seconds
    while server.posts < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- the ledger -------------------------------------------------------------------------------------


def open_intents(ledger: str = "reports/ledger.sqlite3") -> list[int]:
    """Rows of the latest run whose POST has no outcome."""
    with Ledger(Path(ledger)) as opened:
        found = opened.find(None)
        assert found
        return [entry.row for entry in opened.entries(found[0]) if entry.status is None]
