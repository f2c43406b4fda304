"""What was measured, and what is assumed. Nothing in reports/scale.md has another source."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

MEASURE = "python -m tests.scale.measure"


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, its unit, and where it comes from."""

    value: float
    unit: str
    source: str = MEASURE


MEASURED = MappingProxyType(
    {
        "requests per row: post": Constant(1, "requests"),
        "requests per row: post and events": Constant(3, "requests"),
        "requests per row: ask, post and events": Constant(4, "requests"),
        "requests per row: pages, post and events, of 1,000": Constant(3.11, "requests"),
        "cpu per row: post": Constant(0.000274, "seconds"),
        "cpu per row: post and events": Constant(0.00082, "seconds"),
        "cpu per row: ask, post and events": Constant(0.00132, "seconds"),
        "bytes per row: ledger, sqlite": Constant(439, "bytes"),
        "bytes per row: ledger, postgresql": Constant(820, "bytes"),
        "bytes per row: results": Constant(233, "bytes"),
        "commits per second: sqlite": Constant(200, "per second"),
        "journal, rows per second: sqlite": Constant(11_300, "per second"),
        "cpu per tick: 16 workers": Constant(0.000322, "seconds"),
        "cpu per tick: 256 workers": Constant(0.00468, "seconds"),
    }
)

# Not measured here: what they are is for whoever runs it to put in.
ASSUMED = MappingProxyType(
    {
        "growers": Constant(100_000_000, "rows", "a national roll-out"),
        "core-hour": Constant(0.05, "USD", "a general-purpose core on demand, 2026"),
        "GB-month": Constant(0.12, "USD", "network disk with a replica, 2026"),
        "memory per row": Constant(40, "bytes", "`bulk_onboard/repeats.py`"),
        "memory of a host": Constant(16e9, "bytes", "a usual host"),
        "rows of a spreadsheet": Constant(1_048_576, "rows", "Excel's limit"),
    }
)
RATES = (10, 100, 500, 2_000, 10_000)


def value(name: str) -> float:
    """The number of this name."""
    return (MEASURED | ASSUMED)[name].value
