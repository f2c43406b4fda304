"""No ceiling, and a server that answers at once: what the safety costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.cohort import run, write_csv
from tests.benchmarks.pacing import POST_ONLY
from tests.benchmarks.server import Server
from tests.benchmarks.table import Line, at_least
from tests.benchmarks.yardsticks import timed

CONNECTIONS = 128


def flat_out(server: Server, folder: Path, *, quick: bool) -> Iterator[Line]:
    """Flat out: --rate 0 with ledger, journal and report, against bare loops doing the same POSTs."""
    rows = 20_000 if quick else 100_000
    file = write_csv(folder / "flat-out.csv", rows)
    seconds: dict[str, list[float]] = {"bare": [], "gather": [], "ours": []}
    sending = []
    for turn in range(3):
        for name in ("bare", "gather"):
            server.begin()
            seconds[name].append(timed(name, file, server.url, CONNECTIONS))
        server.begin()
        ran = run(file, server.url, folder / f"flat-out-{turn}", "--rate", "0", *POST_ONLY)
        seen = server.seen()
        seconds["ours"].append(ran.seconds)
        sending.append(len(seen) / (seen[-1].at - seen[0].at))
    best = {name: rows / min(found) for name, found in seconds.items()}
    told = f"{best['ours']:,.0f} against {best['bare']:,.0f} rows per second, files and start-up included"
    yield at_least("rows per second ÷ bare aiohttp loop", best["ours"] / best["bare"], 0.8, told=told)
    told = f"{max(sending):,.0f} POSTs per second while sending"
    yield Line(
        "rows per second ÷ naive gather with a semaphore", f"{best['ours'] / best['gather']:.2f} ({told})"
    )
