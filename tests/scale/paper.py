"""reports/scale.md: a run of a hundred million growers, reckoned from what was measured and simulated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import NormalDist

from bulk_onboard.census import PAGE
from bulk_onboard.orders import LEASE, RENEWAL
from bulk_onboard.pace.allot import MARGIN, TURN
from tests.scale.constants import ASSUMED, MEASURED, RATES, value
from tests.scale.scenes import SCENES
from tests.scale.simulation import REPLACED, Scene, Seen

PATH = Path(__file__).parents[2] / "reports" / "scale.md"

MODES = {
    "POST alone (`--if-exists overwrite --no-events`)": "post",
    "POST and events (`--if-exists overwrite`)": "post and events",
    "Leaf's list in pages, POST, events": "pages, post and events",
    "asked one by one, POST, events": "ask, post and events",
}
MONTH = 30 * 86400.0
HOUR = 3600.0
# A worker writes each of its reports; the leader writes the orders of all in one commit.
WRITES = 1 / RENEWAL


def page(seen: dict[Scene, Seen]) -> str:
    """The whole of it, as Markdown."""
    parts = [_ABOUT, *_constants(), *_hundred_million(), *_simulated(seen), *_first(seen)]
    return "\n".join(parts).rstrip() + "\n"


_ABOUT = """# Past one machine: a hundred million growers

On paper and by simulation. Every number below is computed by `python -m tests.scale` from
`tests/scale/constants.py`; nothing here was run at this size. `python -m tests.scale.measure` measures the
constants anew, on whatever machine it is run on.
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _number(number: float) -> str:
    """Three digits of it."""
    if number >= 100:
        return f"{round(number, 2 - math.floor(math.log10(number))):,.0f}"
    return f"{number:.3g}"


def _time(seconds: float) -> str:
    for size, name in ((86400.0, "days"), (HOUR, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {name}"
    return f"{seconds:,.0f} seconds"


# --- constants --------------------------------------------------------------------------------------


def _constants() -> Iterator[str]:
    yield "## Constants\n"
    yield (
        "Measured on two cores that had much other work: CPU is the least of three runs, what is per second\n"
        "the most of two, and on a machine of its own it is more.\n"
    )
    rows = ((name, _number(each.value), each.unit, f"`{each.source}`") for name, each in MEASURED.items())
    yield from _table(("constant", "value", "unit", "measured by"), rows)
    yield "Assumed:\n"
    rows = ((name, _number(each.value), each.unit, each.source) for name, each in ASSUMED.items())
    yield from _table(("constant", "value", "unit", "from"), rows)


# --- the run ----------------------------------------------------------------------------------------


def _cpu(mode: str) -> float:
    """CPU seconds per row. Pages cost what POST and events cost: there are a hundred growers on each."""
    return value(f"cpu per row: {'post and events' if mode.startswith('pages') else mode}")


def _requests(mode: str) -> float:
    """Per row, of so many that the spot checks of a list do not count."""
    if mode.startswith("pages"):
        return value("requests per row: post and events") + 1 / PAGE
    return value(f"requests per row: {mode}")


def _per_core(mode: str) -> float:
    """Requests per second of one core that does nothing else."""
    return _requests(mode) / _cpu(mode)


def _hundred_million() -> Iterator[str]:
    growers = value("growers")
    yield f"## {growers:,.0f} growers\n"
    yield "Time is requests ÷ ceiling, whatever the number of workers, as long as they can fill it:\n"
    head = ("", "requests", *(f"at {rate:,}/s" for rate in RATES))
    rows = (
        (words, _number(growers * _requests(mode)), *(_time(growers * _requests(mode) / r) for r in RATES))
        for words, mode in MODES.items()
    )
    yield from _table(head, rows)
    yield "CPU and what it costs, at the assumed price:\n"
    head = ("", "core-hours", "USD", "requests/s of a core", *(f"cores for {r:,}/s" for r in RATES[2:]))
    rows = (
        (
            words,
            _number(growers * _cpu(mode) / HOUR),
            _number(growers * _cpu(mode) / HOUR * value("core-hour")),
            _number(_per_core(mode)),
            *(f"{max(1, math.ceil(rate / _per_core(mode)))}" for rate in RATES[2:]),
        )
        for words, mode in MODES.items()
    )
    yield from _table(head, rows)
    yield "A core that waits for Leaf is paid for as well: at low rates the run's length is what it costs.\n"
    yield "Disk, and what it costs for a month:\n"
    rows = ((what, _number(size / 1e9), _number(size / 1e9 * value("GB-month"))) for what, size in _disk())
    yield from _table(("", "GB", "USD a month"), rows)


def _disk() -> Iterator[tuple[str, float]]:
    for what in ("ledger, sqlite", "ledger, postgresql", "results"):
        yield what, value("growers") * value(f"bytes per row: {what}")


# --- simulation -------------------------------------------------------------------------------------


def _simulated(seen: dict[Scene, Seen]) -> Iterator[str]:
    usual = Scene(1, 1, 1)
    late = usual.latency * math.exp(NormalDist().inv_cdf(0.99) * usual.tail)
    yield "## Simulated\n"
    yield (
        "The real leader and leases (`bulk_onboard/pace/`); Leaf, table and ledger are imagined.\n"
        f"Answers are lognormal: half of them within {usual.latency} s unless said otherwise, 99 % within"
        f" {late:.1f} s.\nEvery row is a POST and one look at its event. *Reached* is what Leaf took, as a"
        " share of the ceiling or\nof its own limit; *fullest* the fullest sliding second; *looks* are at the"
        " table of reports and orders.\n"
    )
    head = ("workers", "ceiling/s", "Leaf allows/s", "deaths/min", "reached", "fullest", "429", "died")
    head = (*head, "asked again", "twice", "lost", "looks/s")
    for words, scenes in SCENES.items():
        yield f"**{words}**\n"
        yield from _table(head, (_scene(scene, seen[scene]) for scene in scenes))


def _scene(scene: Scene, seen: Seen) -> tuple[str, ...]:
    return (
        str(scene.workers),
        f"{scene.rate:,.0f}",
        (f"{scene.limit:,}" + (f", waits {scene.after:.0f} s" if scene.after else "")) if scene.limit else "",
        f"{scene.deaths:.0f}" if scene.deaths else "",
        f"{seen.reached:.1%}",
        f"{seen.fullest:,}",
        f"{seen.throttled:.1%}" if scene.limit else "",
        str(seen.died) if scene.deaths else "",
        str(seen.asked) if scene.deaths else "",
        str(seen.twice),
        str(seen.lost),
        f"{seen.looks:,.0f}",
    )


# --- what breaks first ------------------------------------------------------------------------------


def _first(seen: dict[Scene, Seen]) -> Iterator[str]:
    yield "## What breaks first, and what to do then\n"
    most = max(seen, key=lambda scene: scene.workers)
    mode = "pages, post and events"
    journal = value("journal, rows per second: sqlite") * _requests(mode)
    tick, commits = value("cpu per tick: 256 workers"), value("commits per second: sqlite")
    asked = value("requests per row: ask, post and events")
    days = value("growers") * _requests(mode) / 100
    yield from _table(
        ("what", "breaks at", "what to do"),
        [
            (
                "Leaf's limit",
                f"whatever it is: at 100 requests/s the run takes {_time(days)}",
                "ask Leaf for more, nothing else makes a run shorter; let pages do the asking"
                f" ({_requests(mode):.2f} requests per row instead of {asked:.2f})",
            ),
            (
                "one process",
                f"{_number(_per_core(mode))} requests/s of a core",
                "more workers; below that rate they only make it safer against the loss of a host",
            ),
            (
                "a ledger in SQLite",
                f"{_number(journal)} requests/s through one journal, on one host",
                "PostgreSQL",
            ),
            (
                "the table of reports and orders",
                f"{_number(commits / WRITES - 1)} workers, at {WRITES:.0f} commits a second for each and for"
                f" the leader, and {_number(commits)} commits/s of the disk that was measured;"
                f" {most.workers} workers make {(most.workers + 1) * WRITES:,.0f}",
                "fewer workers that do more each; reports need no `fsync`, for they may be lost",
            ),
            (
                "the leader",
                f"some {_number(256 / (tick / RENEWAL))} workers, for then it has no core left"
                f" ({tick * 1e3:.1f} ms for 256, twice a second)",
                "a longer renewal",
            ),
            (
                "more workers than requests/s",
                f"they take turns of {TURN:.0f} s",
                "no more workers than the ceiling has requests per second",
            ),
            (
                "a worker's death",
                f"its share lies idle for {LEASE + 1 + MARGIN:.1f} s and its partition a little longer",
                "nothing; a shorter lease would be lost to a database that pauses",
            ),
            (
                "memory of the search for duplicates",
                f"{_number(value('memory of a host') / value('memory per row'))} rows on one host"
                f" ({_number(value('growers') * value('memory per row') / 1e9)} GB for all of them)",
                "rows of one grower in one partition, searched there",
            ),
            (
                "the report",
                f"results.csv has {_number(value('growers') * value('bytes per row: results') / 1e9)} GB,"
                f" a spreadsheet {value('rows of a spreadsheet'):,.0f} rows",
                "results as Parquet, and only rows that need attention for people",
            ),
            ("row numbers", f"{2**63:.0e} rows", "nothing"),
        ],
    )
    yield (
        f"In the simulation a worker that died is replaced after {REPLACED:.0f} s; nothing was lost, nothing"
        " stored twice."
    )
