"""The real command in a process of its own: what it wrote, how it ended, how large it grew."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.support import forked

LINUX = sys.platform == "linux"


@dataclass(frozen=True)
class Ended:
    """A process that is over. ``peak``: the most memory it held, in bytes; 0 where that cannot be seen."""

    code: int
    out: bytes
    err: bytes
    peak: int
    seconds: float
    cmdlines: frozenset[bytes] = frozenset()

    @property
    def told(self) -> str:
        return self.err.decode(errors="backslashreplace")


_executed = partial(subprocess.Popen, stdin=subprocess.DEVNULL)


class Started:
    """A process under way. Its output goes to files beside ``cwd``, so that no pipe can fill up."""

    def __init__(
        self,
        argv: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        begin: Callable[..., Any] = _executed,
    ) -> None:
        self._outputs = [cwd / f".{name}.{time.monotonic_ns()}" for name in ("out", "err")]
        self._began = time.monotonic()
        self.peak, self.cmdlines = 0, set[bytes]()
        with self._outputs[0].open("wb") as out, self._outputs[1].open("wb") as err:
            self.process = begin(argv, cwd=cwd, env=env, stdout=out, stderr=err)

    def is_running(self) -> bool:
        """Whether it is; also looks how large it is and what a process list shows of it."""
        self._look()
        return self.process.poll() is None

    def err(self) -> bytes:
        """What it has told so far."""
        return self._outputs[1].read_bytes()

    def wait(self, seconds: float = 40.0) -> Ended:
        """Until it has ended; kills it when that takes too long."""
        until = time.monotonic() + seconds
        while self.is_running() and time.monotonic() < until:
            time.sleep(0.01)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still running after {seconds} s: {self.err().decode()[-2000:]}")
        return self.end()

    def kill(self) -> Ended:
        """SIGKILL."""
        self._look()
        self.process.kill()
        self.process.wait()
        return self.end()

    def end(self) -> Ended:
        out, err = (path.read_bytes() for path in self._outputs)
        for path in self._outputs:
            path.unlink()
        seconds = time.monotonic() - self._began
        return Ended(self.process.returncode, out, err, self.peak, seconds, frozenset(self.cmdlines))

    def _look(self) -> None:
        if not LINUX:
            return
        try:
            here = Path(f"/proc/{self.process.pid}")
            self.cmdlines.add((here / "cmdline").read_bytes())
            status = (here / "status").read_text()
        except OSError:
            return
        peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        self.peak = max(self.peak, *(int(peak) * 1024 for peak in peaks), 0)


def environment(url: str, **more: str) -> dict[str, str]:
    """Ours, with a login for the Leaf at ``url``."""
    planted = {
        "LEAF_BASE_URL": url,
        "LEAF_TOKEN": "planted-bearer",
        "RAVEN_CLIENT_ID": "planted-client-id",
        "RAVEN_CLIENT_SECRET": "planted-client-secret",
    }
    return {**os.environ, **planted, **more}


def start(*options: str, cwd: Path, env: Mapping[str, str], afresh: bool = False) -> Started:
    """``bulk-onboard`` with these options; ``afresh``: in a Python of its own, from the very beginning."""
    if afresh:
        return Started([sys.executable, "-m", "bulk_onboard", *options], cwd, env)
    return Started(["bulk_onboard", *options], cwd, env, forked.start)


def grower(number: int) -> str:
    """The leafUserId of a made-up grower."""
    return str(UUID(int=(0xA << 124) | (0x4 << 76) | (0x8 << 62) | number))


def write_growers(path: Path, count: int, first: int = 0) -> list[str]:
    """A file of so many growers, each with a planted token; their ids."""
    ids = [grower(first + n) for n in range(count)]
    lines = [f"{each},planted-token-{first + n}-x" for n, each in enumerate(ids)]
    path.write_text("\n".join(["leafUserId,refreshToken", *lines, ""]))
    return ids
