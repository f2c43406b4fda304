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


def latencies(server: Server, folder: Path, *, quick: bool) -> Iterator[Line]:
    """In-flight requests follow rate x latency without an option."""
    rate, seconds = 200, 5 if quick else 15
    for latency in (0.01, 3.0):
        file = write_csv(folder / f"latency-{latency}.csv", rate * seconds)
        server.begin(latency=latency)
        run(file, server.url, folder / f"latency-{latency}", "--rate", str(rate), *POST_ONLY)
        times = sorted(one.at for one in server.seen())
        reached = (len(times) - 1) / (times[-1] - times[0]) / rate
        yield at_least(f"answers after {latency:g} s: share of --rate {rate} reached", reached, 0.99)


def unknown_limit(server: Server, folder: Path, *, quick: bool) -> Iterator[Line]:
    """A server that allows L requests in any second, and a --rate five times too high."""
    for limit in (20, 100, 400):
        for retry_after in (0.0, 1.0):
            yield from _unknown(server, folder, limit, retry_after, 20 if quick else 60)
    yield from _risen(server, folder)


def _unknown(server: Server, folder: Path, limit: int, retry_after: float, seconds: int) -> Iterator[Line]:
    file = write_csv(folder / f"limit-{limit}.csv", limit * seconds)
    server.begin(latency=0.05, limit=limit, retry_after=retry_after)
    place = folder / f"limit-{limit}-{retry_after:g}"
    run(file, server.url, place, "--rate", str(limit * 5), *POST_ONLY)
    seen = server.seen()
    took, throttled = _span(seen), sum(one.throttled for one in seen)
    told = f"limit {limit} per second, {f'Retry-After: {retry_after:g}' if retry_after else 'a bare 429'}"
    yield at_most(f"{told}: time over rows ÷ limit", took / seconds, 1.15)
    yield at_most(f"{told}: throttled requests", 100 * throttled / len(seen), 3, " %")


def _risen(server: Server, folder: Path) -> Iterator[Line]:
    """From 50 to 200 after twenty seconds; the share of the new limit used ten seconds later."""
    file = write_csv(folder / "risen.csv", 50 * 20 + 200 * 30)
    server.begin(latency=0.05, limit=50, later=20.0, later_limit=200)
    run(file, server.url, folder / "risen", "--rate", "500", *POST_ONLY)
    passed = [one.at for one in server.seen() if not one.throttled]
    since = [at for at in passed if at >= passed[0] + 30]
    reached = len(since) / (since[-1] - since[0]) / 200 if len(since) > 1 else 0.0
    yield at_least("limit raised from 50 to 200: share of it used from 10 s later on", reached, 0.85)


def _span(seen: Sequence[Seen]) -> float:
    times = [one.at for one in seen]
    return max(times) - min(times)
