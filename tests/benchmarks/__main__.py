"""`python -m tests.benchmarks [NAME ...] [--quick]`: measure, print, and write reports/benchmarks.md."""

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
PACKAGES = ("bulk-onboard", "aiohttp", "aiolimiter", "pandas", "pyarrow", "uvloop", "sqlalchemy")


def main() -> int:
    """Run what was asked for; 1 if an aim was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="minutes instead of half an hour")
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "benchmarks.md")
    asked = parser.parse_args()
    if unknown := [name for name in asked.names if name not in BENCHMARKS]:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    sections, missed = [_about(quick=asked.quick)], 0
    with served() as server:
        for name in asked.names or BENCHMARKS:
            lines = list(_measured(name, server, quick=asked.quick))
            missed += sum(line.met is False for line in lines)
            sections.append(markdown((BENCHMARKS[name].__doc__ or name).strip().rstrip("."), lines))
            asked.output.parent.mkdir(exist_ok=True)
            asked.output.write_text("\n".join(sections))  # of one that is ended early there is a part
    print(f"\nWritten: {asked.output}; aims missed: {missed}")
    return int(missed > 0)


def _measured(name: str, server: Server, *, quick: bool) -> Iterator[Line]:
    print(f"\n{name}", flush=True)
    with TemporaryDirectory() as folder:
        for line in BENCHMARKS[name](server, Path(folder), quick=quick):
            mark = {None: " ", True: "+", False: "-"}[line.met]
            print(f"  {mark} {line.what}: {line.figure}  {line.aim}", flush=True)
            yield line


def _about(*, quick: bool) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    command = f"python -m tests.benchmarks{' --quick' if quick else ''}"
    return (
        f"# Benchmarks\n\n`{command}` on {datetime.now(UTC):%Y-%m-%d}: {platform.system()}"
        f" {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
