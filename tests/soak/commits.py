"""`python -m tests.soak.commits [FOLDER] [--ledger URL]`: what commits cost on a disk, and on a server.

On the disk of the folder, with `synchronous=FULL` and with `NORMAL`; beside them a database on PostgreSQL, of
which a schema is used, and dropped, that is named after the time.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import event
from sqlalchemy.pool import Pool

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.run_events import RunInfo
from bulk_onboard.domain.timestamps import utc_now
from bulk_onboard.ledger import Journal, Ledger
from bulk_onboard.settings import parse

MODES = ("FULL", "NORMAL")
# A server's commits are as safe as those of FULL.
SERVER = "SERVER"
SECONDS = 2.0
WORKERS = (1, 10, 256)


@dataclass(frozen=True)
class Where:
    """A folder, and a server if there is one to compare it with."""

    folder: Path
    url: str | None = None

    @property
    def modes(self) -> tuple[str, ...]:
        return (*MODES, SERVER) if self.url else MODES


@contextmanager
def _ledger(where: Where, mode: str) -> Iterator[tuple[Ledger, int, int]]:
    """A new ledger whose connections commit this way, with a run begun on it."""
    name = f"commits_{time.monotonic_ns()}"
    if mode == SERVER:
        with Ledger(
            parse.ledger(f"{where.url}{'&' if '?' in str(where.url) else '?'}schema={name}")
        ) as ledger:
            yield _begun(ledger)
            with ledger.writing() as db:
                db.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
        return

    def prepare(connection: sqlite3.Connection, *_more: object) -> None:
        connection.execute(f"PRAGMA synchronous={mode}")

    event.listen(Pool, "checkout", prepare)
    try:
        with Ledger(where.folder / f"{name}.sqlite3") as ledger:
            yield _begun(ledger)
    finally:
        event.remove(Pool, "checkout", prepare)


def _begun(ledger: Ledger) -> tuple[Ledger, int, int]:
    scope = ledger.scope("http://localhost", "me", "raven")
    info = RunInfo("run", "raven", "file", "http://localhost", "me", utc_now(), ceiling=0.0)
    return ledger, ledger.begin(info, scope, "me"), scope


def commits(where: Where, mode: str) -> float:
    """Commits of one intent each, one after the other, per second."""
    with _ledger(where, mode) as (ledger, run_no, scope):
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            ledger.write(run_no, scope, [_entry(done)], [])
            done += 1
        return done / (time.perf_counter() - began)


def rows(where: Where, mode: str, workers: int) -> float:
    """Rows through the journal per second, intent awaited and outcome handed in, with no Leaf to wait for."""

    done = count()

    async def work(journal: Journal, ends: float) -> None:
        while time.perf_counter() < ends:
            row = next(done)
            await journal.intend(_entry(row))
            journal.settle(_entry(row)._replace(status="created"))

    async def through() -> float:
        with _ledger(where, mode) as (ledger, run_no, scope):
            began = time.perf_counter()
            async with Journal(ledger, run_no, scope) as journal:
                await asyncio.gather(*(work(journal, began + SECONDS) for _ in range(workers)))
            return next(done) / (time.perf_counter() - began)

    return asyncio.run(through())


def _entry(row: int) -> Entry:
    return Entry(row=row, status=None, leaf_user_id=f"grower-{row}", intended_at="2026-01-01T00:00:00Z")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.commits", description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="on the disk to measure; the temporary one if none"
    )
    parser.add_argument("--ledger", metavar="URL", help="postgresql+psycopg://USER@HOST/DATABASE")
    told = parser.parse_args()
    with TemporaryDirectory(dir=told.folder) as name:
        where = Where(Path(name), told.ledger)
        _line(where, "commits per second", lambda mode: commits(where, mode))
        for workers in WORKERS:
            _line(
                where, f"rows per second, {workers} at a time", lambda mode, n=workers: rows(where, mode, n)
            )


def _line(where: Where, what: str, measure: Callable[[str], float]) -> None:
    print(f"{what:32}", *(f"{mode} {measure(mode):8,.0f}" for mode in where.modes), flush=True)


if __name__ == "__main__":
    main()
