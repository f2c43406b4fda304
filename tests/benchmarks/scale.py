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
from tests.benchmarks.known import write_known_growers
from tests.benchmarks.pacing import POST_ONLY
from tests.benchmarks.server import ROOT, Server
from tests.benchmarks.table import Line, at_most

NEW = 50
NIGHTS = 6
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
    write_known_growers(file, server.url, place)
    server.begin()
    ran, bare = _paired(lambda: run(file, server.url, place, "--no-events"), file)
    told = f"{ran.seconds:.1f} s for {rows:,} rows, bare read {bare:.1f} s, {ran.peak:.0f} MiB"
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


def validation(_server: Server, folder: Path, *, quick: bool) -> Iterator[Line]:
    """All checks of `validate`, against the bare read."""
    rows = 200_000 if quick else 1_000_000
    file = write_csv(folder / "validate.csv", rows)
    ran, bare = _paired(lambda: _validated(file, folder), file)
    told = f"{ran.seconds:.1f} s for {rows:,} rows, bare read {bare:.1f} s"
    yield at_most("validate: wall time ÷ pandas.read_csv", ran.seconds / bare, 2.5, told=told)


def _validated(file: Path, folder: Path) -> Ran:
    return command("validate", str(file), "--output", str(folder / "validated"))


def memory(server: Server, folder: Path, *, quick: bool) -> Iterator[Line]:
    """Peak resident memory does not grow with the file."""
    small, large = 50_000, 200_000 if quick else 1_000_000
    for kind, write in (("csv", write_csv), ("parquet", write_parquet)):
        peaks: dict[str, list[float]] = {"all new": [], "all done": [], "validate": []}
        for rows in (small, large):
            file, place = write(folder / f"memory-{rows}.{kind}", rows), folder / f"memory-{kind}-{rows}"
            server.begin()
            peaks["all new"].append(run(file, server.url, place, *FLAT_OUT).peak)
            peaks["all done"].append(run(file, server.url, place, "--no-events").peak)
            peaks["validate"].append(_validated(file, place).peak)
        for what, (least, most) in peaks.items():
            told = f"{least:.0f} MiB for {small:,} rows, {most:.0f} MiB for {large:,}"
            yield at_most(
                f"{kind}, {what}: peak memory ÷ that of {small:,} rows", most / least, 1.3, told=told
            )
            yield at_most(f"{kind}, {what}: peak memory", most, 350, " MiB")


def growth(server: Server, folder: Path, *, quick: bool) -> Iterator[Line]:
    """What each row costs beyond those of the smallest file, which start-up is taken off with."""
    sizes = (10_000, 50_000, 200_000) if quick else (10_000, 100_000, 1_000_000)
    unit = write_csv(folder / "unit.csv", 200_000)
    costs: dict[str, list[float]] = {"fresh run": [], "night run": []}
    for rows in sizes:
        file, place = write_csv(folder / f"growth-{rows}.csv", rows), folder / f"growth-{rows}"
        server.begin()
        ours = partial(run, file, server.url, place)
        costs["fresh run"].append(_in_units(partial(ours, *FLAT_OUT), unit))
        # A night of few rows is start-up and what the machine makes of it.
        night = (_in_units(partial(ours, "--no-events"), unit) for _ in range(NIGHTS))
        costs["night run"].append(min(night))
    second = min(bare_read(unit) for _ in range(3))
    few = sizes[0]
    for what, (start, *found) in costs.items():
        each = [
            1e6 * second * (cost - start) / (rows - few) for cost, rows in zip(found, sizes[1:], strict=True)
        ]
        told = ", ".join(f"{cost:.1f} µs of {rows:,}" for cost, rows in zip(each, sizes[1:], strict=True))
        title = f"{what}: cost per row beyond {few:,}, of {sizes[2]:,} rows ÷ of {sizes[1]:,}"
        yield at_most(title, each[1] / each[0], 1.15, told=told)


def _in_units(work: Callable[[], Ran], unit: Path) -> float:
    """How often the unit could be read meanwhile: a machine may be half as fast a minute later."""
    before = min(bare_read(unit) for _ in range(2))
    seconds = work().seconds
    return seconds / ((before + min(bare_read(unit) for _ in range(2))) / 2)


def start_up(_server: Server, _folder: Path, *, quick: bool) -> Iterator[Line]:
    """Start-up, against importing click alone."""
    del quick
    click = min(_timed("-c", "import click") for _ in range(10))
    for option in ("--version", "--help"):
        ours = min(_timed("-m", "bulk_onboard", option) for _ in range(10))
        told = f"{ours * 1000:.0f} ms, import click {click * 1000:.0f} ms"
        yield at_most(f"bulk-onboard {option} ÷ python -c 'import click'", ours / click, 2, told=told)


def _timed(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began
