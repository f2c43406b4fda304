"""Several workers: what a second process gains flat out, and what three make of one ceiling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def _flat_out(server: Server, folder: Path, rows: int) -> Iterator[Line]:
    file = write_csv(folder / "cluster.csv", rows)
    whole: dict[str, list[float]] = {"alone": [], "together": []}
    sending: dict[str, list[float]] = {"alone": [], "together": []}
    busy = []
    for turn in range(3):
        for name, more in (("alone", ()), ("together", ("--cluster", "local:2"))):
            server.begin()
            before = server.cpu()
            ran = run(file, server.url, folder / f"{name}-{turn}", "--rate", "0", *more, *POST_ONLY)
            whole[name].append(rows / ran.seconds)
            times = _times(server.seen())
            sending[name].append(len(times) / (times[-1] - times[0]))
            if name == "together":
                busy.append((server.cpu() - before) / (times[-1] - times[0]))
    told = f"{max(sending['together']):,.0f} against {max(sending['alone']):,.0f} per second"
    gained = max(sending["together"]) / max(sending["alone"])
    yield at_least("local:2 ÷ one process, POSTs per second while sending", gained, 1.5, told=told)
    told = f"{max(whole['together']):,.0f} against {max(whole['alone']):,.0f} rows per second"
    gained = max(whole["together"]) / max(whole["alone"])
    yield Line("the same, files and start-up included", f"{gained:.2f} ({told})")
    yield Line("the server's own share of a core meanwhile", f"{max(busy):.2f}")


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
