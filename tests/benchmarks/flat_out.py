"""No ceiling, and a server that answers at once: what the safety costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.cohort import run, write_csv
from tests.benchmarks.pacing import POST_ONLY
from tests.benchmarks.server import Server
from tests.benchmarks.table import Line, at_least, at_most
from tests.benchmarks.yardsticks import Spent, bulk_post, newman, timed

CONNECTIONS = 128
# Too slow for the whole file; what they send in a second does not depend on its length.
FEW, FEWER = 2_000, 300


def flat_out(server: Server, folder: Path, *, quick: bool) -> Iterator[Line]:
    """Flat out: --rate 0 with ledger, journal and report, against bare loops doing the same POSTs."""
    rows = 20_000 if quick else 100_000
    file = write_csv(folder / "flat-out.csv", rows)
    spent: defaultdict[str, list[Spent]] = defaultdict(list)
    sending, busy = [], []
    for turn in range(3):
        for name in ("bare", "gather"):
            server.begin()
            before = server.cpu()
            spent[name].append(timed(name, file, server.url, CONNECTIONS))
            busy.append((server.cpu() - before) / spent[name][-1].seconds)
        server.begin()
        before = server.cpu()
        ran = run(file, server.url, folder / f"flat-out-{turn}", "--rate", "0", *POST_ONLY)
        busy.append((server.cpu() - before) / ran.seconds)
        seen = server.seen()
        spent["ours"].append(Spent(ran.seconds, ran.cpu))
        sending.append(len(seen) / (seen[-1].at - seen[0].at))
    best = {name: rows / min(one.seconds for one in found) for name, found in spent.items()}
    cpu = {name: 1e6 * min(one.cpu for one in found) / rows for name, found in spent.items()}
    told = f"{best['ours']:,.0f} against {best['bare']:,.0f} rows per second, files and start-up included"
    yield at_least("rows per second ÷ bare aiohttp loop", best["ours"] / best["bare"], 0.45, told=told)
    told = f"{max(sending):,.0f} POSTs per second while sending"
    yield Line(
        "rows per second ÷ naive gather with a semaphore", f"{best['ours'] / best['gather']:.2f} ({told})"
    )
    told = f"{cpu['ours']:.0f} µs, against {cpu['bare']:.0f} µs"
    yield Line("CPU per row ÷ bare aiohttp loop", f"{cpu['ours'] / cpu['bare']:.2f} ({told})")
    yield at_most("the server's own share of a core, at its busiest", max(busy), 0.5)
    yield from _tools(server, folder, best["ours"])


def _tools(server: Server, folder: Path, ours: float) -> Iterator[Line]:
    """What a user would take instead, where it is installed."""
    few, fewer = write_csv(folder / "few.csv", FEW), write_csv(folder / "fewer.csv", FEWER)
    server.begin()
    yield _tool("bulk-post, 128 threads", bulk_post(few, server.url, CONNECTIONS), FEW, ours)
    server.begin()
    yield _tool("newman", newman(fewer, server.url), FEWER, ours)


def _tool(name: str, spent: Spent | None, rows: int, ours: float) -> Line:
    if spent is None:
        return Line(f"rows per second ÷ {name}", "skipped: it is not installed")
    theirs = rows / spent.seconds
    return Line(f"rows per second ÷ {name}", f"{ours / theirs:.0f} ({theirs:,.0f} rows per second)")
