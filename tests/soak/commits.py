"""`python -m tests.soak.commits [FOLDER]`: what `synchronous=FULL` costs on the disk of a folder."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import event
from sqlalchemy.pool import Pool

from bulk_onboard.engine.onboard import utc_now
from bulk_onboard.entry import Entry
from bulk_onboard.facts import RunInfo
from bulk_onboard.ledger import Journal, Ledger

MODES = ("FULL", "NORMAL")
SECONDS = 2.0
WORKERS = (1, 10, 256)


@contextmanager
def _ledger(folder: Path, mode: str) -> Iterator[tuple[Ledger, int, int]]:
    """A ledger whose connections commit this way, with a run begun on it."""

    def prepare(connection: sqlite3.Connection, *_more: object) -> None:
        connection.execute(f"PRAGMA synchronous={mode}")

    event.listen(Pool, "checkout", prepare)
    try:
        with Ledger(folder / f"{mode}-{time.monotonic_ns()}.sqlite3") as ledger:
            scope = ledger.scope("http://localhost", "raven")
            info = RunInfo("run", "raven", "file", "http://localhost", "me", utc_now(), ceiling=0.0)
            yield ledger, ledger.begin(info, scope, "me"), scope
    finally:
        event.remove(Pool, "checkout", prepare)


def commits(folder: Path, mode: str) -> float:
    """Commits of one intent each, one after the other, per second."""
    with _ledger(folder, mode) as (ledger, run_no, scope):
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            ledger.write(run_no, scope, [_entry(done)], [])
            done += 1
        return done / (time.perf_counter() - began)


def rows(folder: Path, mode: str, workers: int) -> float:
    """Rows through the journal per second, intent awaited and outcome handed in, with no Leaf to wait for."""

    done = count()

    async def work(journal: Journal, ends: float) -> None:
        while time.perf_counter() < ends:
            row = next(done)
            await journal.intend(_entry(row))
            journal.settle(_entry(row)._replace(status="created"))

    async def through() -> float:
        with _ledger(folder, mode) as (ledger, run_no, scope):
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
    with TemporaryDirectory(dir=parser.parse_args().folder) as name:
        folder = Path(name)
        _line("commits per second", lambda mode: commits(folder, mode))
        for workers in WORKERS:
            _line(f"rows per second, {workers} at a time", lambda mode, n=workers: rows(folder, mode, n))


def _line(what: str, measure: Callable[[str], float]) -> None:
    print(f"{what:32}", *(f"{mode} {measure(mode):8,.0f}" for mode in MODES), flush=True)


if __name__ == "__main__":
    main()
