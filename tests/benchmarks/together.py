"""Several workers: what a second process gains flat out, and what three make of one ceiling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.benchmarks.cohort import run, write_csv
from tests.benchmarks.pacing import POST_ONLY, fullest_second
from tests.benchmarks.server import Seen, Server
from tests.benchmarks.table import Line, at_least, at_most

LATENCY = 0.03
# Shares are found in the first seconds, and in the last one there is no work for everybody any more.
FOUND, LEFT = 2.0, 1.0


def cluster(server: Server, folder: Path, *, quick: bool) -> Iterator[Line]:
    """Several workers on this machine: flat out against one process, and one ceiling for three of them."""
    yield from _flat_out(server, folder, 20_000 if quick else 100_000)
    for rate in (50, 300):
        yield from _ceiling(server, folder, rate, 15 if quick else 30)


# What is compared: the options, and how many cores there are for it.
_WAYS: dict[str, tuple[tuple[str, ...], int | None]] = {
    "one process on one core": ((), 1),
    "local:2": (("--cluster", "local:2"), None),
}


def _flat_out(server: Server, folder: Path, rows: int) -> Iterator[Line]:
    file = write_csv(folder / "cluster.csv", rows)
    whole: dict[str, list[float]] = {name: [] for name in _WAYS}
    sending: dict[str, list[float]] = {name: [] for name in _WAYS}
    busy = []
    for turn in range(3):
        for name, (more, cores) in _WAYS.items():
            server.begin()
            before, place = server.cpu(), folder / f"{name}-{turn}"
            ran = run(file, server.url, place, "--rate", "0", *more, *POST_ONLY, cores=cores)
            whole[name].append(rows / ran.seconds)
            times = _times(server.seen())
            sending[name].append(len(times) / (times[-1] - times[0]))
            busy.append((server.cpu() - before) / (times[-1] - times[0]))
    alone, together = _WAYS
    yield _gained(sending, together, alone, "POSTs per second while sending", aim=1.5)
    yield _gained(whole, together, alone, "rows per second, files and start-up included")
    yield Line("the server's own share of a core meanwhile", f"{max(busy):.2f}")


def _gained(
    found: Mapping[str, Sequence[float]], more: str, less: str, what: str, aim: float | None = None
) -> Line:
    best, other = max(found[more]), max(found[less])
    told = f"{best:,.0f} against {other:,.0f}"
    title = f"{more} ÷ {less}: {what}"
    if aim is None:
        return Line(title, f"{best / other:.2f} ({told})")
    return at_least(title, best / other, aim, told=told)


def _ceiling(server: Server, folder: Path, rate: int, seconds: int) -> Iterator[Line]:
    file = write_csv(folder / f"together-{rate}.csv", rate * seconds)
    server.begin(latency=LATENCY)
    more = ("--rate", str(rate), "--cluster", "local:3", *POST_ONLY)
    run(file, server.url, folder / f"together-{rate}", *more)
    times = _times(server.seen())
    most = rate + max(1, rate * 5 // 100)
    yield at_most(f"local:3, --rate {rate}: requests in the fullest second", fullest_second(times), most)
    steady = [at for at in times if times[0] + FOUND <= at <= times[-1] - LEFT]
    reached = (len(steady) - 1) / (steady[-1] - steady[0]) / rate
    yield at_least(f"local:3, --rate {rate}: share of the rate that was reached", reached, 0.97)


def _times(seen: Sequence[Seen]) -> list[float]:
    return sorted(one.at for one in seen)
