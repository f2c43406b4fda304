"""The ceiling as the server sees it, and the rate that nobody knows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.cohort import run, write_csv
from tests.benchmarks.server import Seen, Server
from tests.benchmarks.table import Line, at_least, at_most

LATENCY = 0.2
# Events are left out and rows are posted at once, so that the number of requests is known beforehand.
POST_ONLY = ("--if-exists", "overwrite", "--no-events")


def fullest_second(times: Sequence[float]) -> int:
    """The most requests in any half-open second."""
    return max(i - bisect_left(times, t - 1.0 + 1e-9) + 1 for i, t in enumerate(times))


def ceiling(server: Server, folder: Path, *, quick: bool) -> Iterator[Line]:
    """Kept in every sliding second from the first on, and reached on average; answers take 200 ms."""
    for rate in (5, 50, 500, 2000):
        seconds = 6 if quick else 20
        file = write_csv(folder / f"ceiling-{rate}.csv", rate * seconds)
        server.begin(latency=LATENCY)
        run(file, server.url, folder / f"ceiling-{rate}", "--rate", str(rate), *POST_ONLY)
        times = sorted(one.at for one in server.seen())
        reached = (len(times) - 1) / (times[-1] - times[0]) / rate
        most = rate + max(1, rate * 5 // 100)
        yield at_most(f"--rate {rate}: requests in the fullest second", fullest_second(times), most)
        yield at_least(
            f"--rate {rate}: share of the rate that was reached", reached, 0.95 if rate >= 2000 else 0.99
        )
