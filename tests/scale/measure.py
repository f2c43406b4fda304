"""The constants, measured: `python -m tests.scale.measure` prints them, for `constants.py`.

Differences between two lengths of file, so that what a run costs once does not count. CPU is user and system
time of all processes of a run but Leaf's. Takes some minutes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from bulk_onboard.ledger import Ledger
from bulk_onboard.orders import Report
from bulk_onboard.pace import Leader
from tests.benchmarks.cohort import Ran, run, write_csv
from tests.benchmarks.server import ROOT, Server, free_port, served
from tests.postgres import DATABASE, ROLE
from tests.postgres import served as postgres
from tests.soak.commits import commits
from tests.soak.commits import rows as journalled

SHORT, LONG, TURNS = 5_000, 20_000, 3
LISTED = 1_000
_SIZE = """SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = 'r'"""
MODES = {
    "post": ("--if-exists", "overwrite", "--no-events"),
    "post and events": ("--if-exists", "overwrite"),
    "ask, post and events": (),
}


def measured() -> Iterator[tuple[str, float]]:
    """Every constant by name; see `constants.py` for what they are."""
    with TemporaryDirectory() as name, served() as server:
        folder = Path(name)
        for mode, options in MODES.items():
            short, long = (_best(server, folder, mode, rows, options) for rows in (SHORT, LONG))
            yield f"requests per row: {mode}", _slope(_requests(short), _requests(long))
            yield f"cpu per row: {mode}", _slope(short.cpu, long.cpu)
        sizes = [_sizes(folder / f"{mode}-{rows}-0") for rows in (SHORT, LONG)]
        for what in sizes[0]:
            yield f"bytes per row: {what}", _slope(sizes[0][what], sizes[1][what])
        yield "bytes per row: ledger, postgresql", _in_postgres(server, folder)
        yield f"requests per row: pages, post and events, of {LISTED:,}", _with_pages(folder)
        yield "commits per second: sqlite", commits(folder, "FULL")
        yield "journal, rows per second: sqlite", journalled(folder, "FULL", 256)
    for workers in (16, 256):
        yield f"cpu per tick: {workers} workers", _tick(workers)


def _slope(short: float, long: float) -> float:
    return (long - short) / (LONG - SHORT)


def _ran(
    server: Server, folder: Path, mode: str, rows: int, options: tuple[str, ...], *, turn: int = 0
) -> Ran:
    server.begin()
    file = write_csv(folder / f"growers-{rows}.csv", rows)
    return run(file, server.url, folder / f"{mode}-{rows}-{turn}", "--rate", "0", *options)


def _best(server: Server, folder: Path, mode: str, rows: int, options: tuple[str, ...]) -> Ran:
    """The run that took the least CPU, of `TURNS`, each with a ledger of its own."""
    runs = [_ran(server, folder, mode, rows, options, turn=turn) for turn in range(TURNS)]
    return min(runs, key=lambda ran: ran.cpu)


def _requests(ran: Ran) -> int:
    return int(ran.summary["requests"]["total"])


def _sizes(place: Path) -> dict[str, float]:
    with Ledger(place / "ledger.sqlite3"):
        pass  # closing it writes the log back into the file
    results = next(place.glob("*/results.csv"))
    return {
        "ledger, sqlite": sum(each.stat().st_size for each in place.glob("ledger.sqlite3*")),
        "results": results.stat().st_size,
    }


def _in_postgres(leaf: Server, folder: Path) -> float:
    """Bytes per row of tables, indexes and what they keep apart."""
    sizes = []
    with postgres() as server:
        for rows in (SHORT, LONG):
            more = ("--ledger", server.url(f"rows_{rows}"))
            _ran(leaf, folder, "postgres", rows, more)
            with psycopg.connect(host=str(server.folder), user=ROLE, dbname=DATABASE) as asking:
                found = asking.execute(_SIZE, (f"rows_{rows}",)).fetchone()
            sizes.append(int(found[0]) if found else 0)
    return _slope(*sizes)


def _with_pages(folder: Path) -> float:
    """Every row is a user of Leaf's list, as where a cohort is connected for the first time."""
    file = write_csv(folder / "listed.csv", LISTED)
    with _sandbox(file) as url:
        ran = run(file, url, folder / "listed", "--rate", "0", token="practice")
    return _requests(ran) / LISTED


@contextmanager
def _sandbox(users: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "bulk_onboard", "sandbox", "--port", str(port), "--users", str(users)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        process.stderr.readline()  # it says so when it is ready
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _tick(workers: int) -> float:
    """CPU seconds of the leader for one look at the table, with a report of everybody."""
    leader, rounds = Leader(1000.0), 50
    began = time.process_time()
    for number in range(1, rounds + 1):
        for worker in range(workers):
            leader.hear(Report(f"w{worker}", number, obeys=number, sent=number), number / 2)
        leader.orders(number / 2)
    return (time.process_time() - began) / rounds


def main() -> None:
    """Print them."""
    for name, found in measured():
        print(f"{name}: {found:.3g}", flush=True)


if __name__ == "__main__":
    main()
