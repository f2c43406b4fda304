"""Processes of the real command that need not import first what it needs, which is most of a second each.

``start([module, …])`` is ``python -m module …``, but forked from a process that has imported all of it. It is
a process like any other: it has its own number, environment, folder and files, can be sent every signal, and
ends as Python does. Only what happens while Python starts, what a process list shows and how much memory is
taken wants one that is executed.
As a program this file is the process that the others are forked from; it ends when who started it has ended.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
LINUX = sys.platform == "linux"
# What modules of ours import once they need it.
_LATER = ("keyring.backends", "openpyxl", "pandas.io.parquet", "uvloop", "xlrd", "xml.sax")
_LONGEST = 1 << 18  # bytes of arguments and environment


class Forked:
    """What tests need of ``subprocess.Popen``. ``returncode``: as there, of a signal its negative number.

    ``communicate`` is for one whose output nobody else gets.
    """

    def __init__(self, reports: socket.socket, *outputs: IO[bytes]) -> None:
        self._reports, self._outputs = reports, outputs
        self.pid = int(reports.recv(32))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        try:
            return self.wait(0.0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._reports.settimeout(timeout)
            try:
                self.returncode = int(self._reports.recv(32))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0) from None
            self._reports.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, ...]:
        """What it has written to either, once it has ended; as text."""
        self.wait(timeout)
        texts = []
        for each in self._outputs:
            with each:  # closed here: in a cycle, the collector may finalize the file before `__del__`
                each.seek(0)
                texts.append(each.read().decode())
        return tuple(texts)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __del__(self) -> None:
        for each in (self._reports, *self._outputs):
            each.close()


def heard(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None
) -> Forked | subprocess.Popen[str]:
    """``python -m`` with these arguments, and what it says is for ``communicate``."""
    if not LINUX:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-m", *argv], env=env, cwd=cwd, **pipes)
    outputs = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    with Path(os.devnull).open("rb") as nothing:
        return Forked(_forked(argv, cwd, env, nothing, *outputs), *outputs)


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
) -> Forked | subprocess.Popen[bytes]:
    """``python -m`` with these arguments; what is not given is ``os.devnull``."""
    with Path(os.devnull).open("r+b", buffering=0) as nothing:
        files = [each or nothing for each in (stdin, stdout, stderr)]
        if LINUX:
            return Forked(_forked(argv, cwd, env, *files))
        command = [sys.executable, "-m", *argv]
        return subprocess.Popen(command, cwd=cwd, env=env, stdin=files[0], stdout=files[1], stderr=files[2])


def _forked(
    argv: Sequence[str], cwd: Path | None, env: Mapping[str, str], *files: IO[bytes]
) -> socket.socket:
    """Where a process that was just begun is reported on: its number, and then its end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    told = json.dumps([argv, str(cwd or Path.cwd()), dict(env)]).encode()
    with theirs:
        socket.send_fds(_origin(os.getpid()), [told], [each.fileno() for each in (*files, theirs)])
    return ours


@cache
def _origin(_user: int) -> socket.socket:
    """Where the process that the others are forked from is asked; it is started by who asks first."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST)
    quiet = {"OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "default", "PYTHONUTF8": "1"}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", __file__], stdin=theirs, stdout=subprocess.DEVNULL, cwd=ROOT,
            env={**os.environ, **quiet},
        )  # fmt: skip

    def end() -> None:
        ours.close()
        process.wait(10)

    atexit.register(end)
    return ours


# --- the process that others are forked from --------------------------------------------------------------


def _serve(control: socket.socket) -> None:
    """Returns in every process that was forked, with all set for what it is to run."""
    while True:
        told, files, _, _ = socket.recv_fds(control, _LONGEST, 4)
        if not told:
            os._exit(0)
        if not os.fork():
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _keep(*files)
            _become(*json.loads(told))
            return
        for each in files:
            os.close(each)


def _keep(stdin: int, stdout: int, stderr: int, reports: int) -> None:
    """Fork once more, and tell how that ends. Returns in the process that is to do something."""
    if pid := os.fork():
        for each in (stdin, stdout, stderr):
            os.close(each)
        with socket.socket(fileno=reports) as told:
            told.send(str(pid).encode())
            _, status = os.waitpid(pid, 0)
            told.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    os.close(reports)
    for number, each in enumerate((stdin, stdout, stderr)):
        os.dup2(each, number)
        os.close(each)


def _become(argv: Sequence[str], cwd: str, env: Mapping[str, str]) -> None:
    """All that Python takes from the outside when it starts."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    tempfile.tempdir = None
    sys.path[:0] = [cwd, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = list(argv)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def _import_all() -> None:
    import bulk_onboard

    for module in pkgutil.walk_packages(bulk_onboard.__path__, "bulk_onboard."):
        if not module.name.endswith("__main__"):
            with suppress(ModuleNotFoundError):  # of an extra that is not installed
                importlib.import_module(module.name)
    for name in _LATER:
        importlib.import_module(name)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # The only other thread is one of Arrow's memory, which is prepared for that.
    warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
    sys.path.insert(0, str(ROOT))
    _import_all()
    del sys.path[0]
    with socket.socket(fileno=os.dup(0)) as asked:
        _serve(asked)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
