"""What a benchmark says: lines of a table, ratios first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: what was measured, what came out, and against which yardstick or aim."""

    what: str
    figure: str
    aim: str = ""
    met: bool | None = None


def at_most(what: str, figure: float, aim: float, unit: str = "", told: str = "") -> Line:
    """A figure that should not be above its aim."""
    return Line(
        what, f"{_short(figure)}{unit}{told and f' ({told})'}", f"≤ {_short(aim)}{unit}", figure <= aim
    )


def at_least(what: str, figure: float, aim: float, unit: str = "", told: str = "") -> Line:
    """A figure that should not be below its aim."""
    return Line(
        what, f"{_short(figure)}{unit}{told and f' ({told})'}", f"≥ {_short(aim)}{unit}", figure >= aim
    )


def markdown(lines: Iterable[Line]) -> str:
    """A table."""
    rows = [f"| {line.what} | {line.figure} | {line.aim} | {_mark(line)} |" for line in lines]
    return "\n".join(["| measured | figure | aim | met |", "|---|---|---|---|", *rows, ""])


def _mark(line: Line) -> str:
    return {None: "", True: "yes", False: "no"}[line.met]


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:.3g}"
