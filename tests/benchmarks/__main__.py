"""`python -m tests.benchmarks [NAME ...] [--quick]`: measure, print, and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import flat_out, pacing, scale, together
from tests.benchmarks.server import ROOT, Server, served
from tests.benchmarks.table import Line, markdown

Benchmark = Callable[..., Iterator[Line]]

BENCHMARKS: dict[str, Benchmark] = {
    "ceiling": pacing.ceiling,
    "latencies": pacing.latencies,
    "unknown-limit": pacing.unknown_limit,
    "flat-out": flat_out.flat_out,
    "cluster": together.cluster,
    "night": scale.night,
    "validation": scale.validation,
    "memory": scale.memory,
    "growth": scale.growth,
    "start-up": scale.start_up,
}
PAGE = ROOT / "docs" / "benchmarks.md"
PACKAGES = ("bulk-onboard", "aiohttp", "aiolimiter", "pandas", "pyarrow", "uvloop", "sqlalchemy")


def main() -> int:
    """Run what was asked for; 1 if an aim was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="minutes instead of half an hour")
    asked = parser.parse_args()
    if unknown := [name for name in asked.names if name not in BENCHMARKS]:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    missed = 0
    with served() as server:
        for name in asked.names or BENCHMARKS:
            lines = list(_measured(name, server, quick=asked.quick))
            missed += sum(line.met is False for line in lines)
            _write(name, lines, quick=asked.quick)
    print(f"\nWritten: {PAGE}; aims missed: {missed}")
    return int(missed > 0)


def _write(name: str, lines: list[Line], *, quick: bool) -> None:
    """Put a benchmark's figures into its section of the page."""
    title = (BENCHMARKS[name].__doc__ or name).strip().splitlines()[0].rstrip(".")
    section = f"## {name}\n\n{title}.\n\n{_about(quick=quick)}\n{markdown(lines)}"
    begin, end = f"<!-- benchmark: {name} -->\n", "<!-- end -->"
    before, rest = PAGE.read_text(encoding="utf-8").split(begin)
    PAGE.write_text(f"{before}{begin}{section}{rest[rest.index(end) :]}", encoding="utf-8")


def _measured(name: str, server: Server, *, quick: bool) -> Iterator[Line]:
    print(f"\n{name}", flush=True)
    with TemporaryDirectory() as folder:
        for line in BENCHMARKS[name](server, Path(folder), quick=quick):
            mark = {None: " ", True: "+", False: "-"}[line.met]
            print(f"  {mark} {line.what}: {line.figure}  {line.aim}", flush=True)
            yield line


def _about(*, quick: bool) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    how = "with `--quick` " if quick else ""
    return (
        f"Measured {how}on {datetime.now(UTC):%Y-%m-%d}: {platform.system()} {platform.machine()},"
        f" {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, Python {platform.python_version()},"
        f" {packages}.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
