"""A million rows: the night, validation, memory, and what a row costs as files grow."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

from tests.benchmarks.cohort import Ran, command, run, write_csv, write_parquet
from tests.benchmarks.pacing import POST_ONLY
from tests.benchmarks.server import ROOT, Server
from tests.benchmarks.table import Line, at_most

NEW = 50
FLAT_OUT = ("--rate", "0", *POST_ONLY)
# The yardstick: what a user of pandas would do to see the same cells as text.
_BARE_READ = """
import sys, time, pandas
began = time.perf_counter()
pandas.read_csv(sys.argv[1], dtype=str, keep_default_na=False)
print(time.perf_counter() - began)
"""


def bare_read(file: Path) -> float:
    """Wall seconds of pandas.read_csv alone, without Python's start and pandas' import."""
    found = subprocess.run(
        [sys.executable, "-c", _BARE_READ, str(file)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return float(found.stdout)


def night(server: Server, folder: Path, *, quick: bool) -> Iterator[Line]:
    """The night: a file whose rows are all done but for none or fifty."""
    rows = 200_000 if quick else 1_000_000
    file, place = write_csv(folder / "night.csv", rows), folder / "night"
    server.begin()
    run(file, server.url, place, *FLAT_OUT)
    server.begin()
    ran, bare = _paired(lambda: run(file, server.url, place, "--no-events"), file)
    told = f"{ran.seconds:.1f} s for {rows:,} rows, bare read {bare:.1f} s"
    yield at_most("nothing new: wall time ÷ pandas.read_csv", ran.seconds / bare, 4, told=told)
    # Every run contacts Leaf once, also with nothing to do; there were three runs.
    yield at_most("nothing new: requests of three runs", len(server.seen()), 3)
    server.begin()
    changed = _with_new(file)
    some, bare = _paired(lambda: run(changed, server.url, place, "--rate", "100", "--no-events"), file, 1)
    told = f"{some.seconds:.1f} s, of which {NEW * 2 / 100:.1f} s are those requests at that rate"
    most = 4 + NEW * 2 / 100 / bare
    yield at_most(f"{NEW} new: wall time ÷ pandas.read_csv", some.seconds / bare, most, told=told)
    yield at_most(f"{NEW} new: requests", len(server.seen()), 2 * NEW + 1)


def _paired(ours: Callable[[], Ran], file: Path, times: int = 3) -> tuple[Ran, float]:
    """A run and the bare read right before it, seconds: of several such pairs the one in the middle.

    For a machine may be half as fast a minute later.
    """
    pairs = [(bare_read(file), ours()) for _ in range(times)]
    bare, ran = sorted(pairs, key=lambda pair: pair[1].seconds / pair[0])[times // 2]
    return ran, bare


def _with_new(file: Path) -> Path:
    """The same growers in another order, and some new ones among them."""
    header, *lines = file.read_text().splitlines(keepends=True)
    lines += write_csv(file.with_name("more.csv"), NEW, seed=2).read_text().splitlines(keepends=True)[1:]
    Random(5).shuffle(lines)
    changed = file.with_name("changed.csv")
    changed.write_text(header + "".join(lines))
    return changed
