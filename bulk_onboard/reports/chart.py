"""The chart of requests over time as SVG paths: one unit wide per interval, and 100 high."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bulk_onboard.domain.model import Traffic

HIGH = 100
# Lines of the table beside the chart.
LINES = 20
# The chart is a little higher than what it shows.
SPARE = 1.05
_ROUND = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: seconds from the first request, and what there was from then on."""

    since: int
    rate: float
    throttled: int
    held: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Requests over time. Areas are SVG paths, "" for an area without anything in it.

    ``top``: requests per second at its upper edge; ``ceiling``: how far below it the ceiling runs, None
    without one; ``fastest``: the highest rate of a stretch; ``seconds``: how long it all is.
    """

    columns: int
    top: float
    sent: str
    throttled: str
    held: str
    ceiling: float | None
    fastest: float
    seconds: int
    waited: float
    lines: tuple[Line, ...]


def over_time(traffic: Traffic, ceiling: float) -> Chart | None:
    """The chart of a run's requests; None if none was recorded. ``ceiling`` 0: none."""
    if not sum(traffic.sent):
        return None
    width = traffic.width
    rates = [count / width for count in traffic.sent]
    top = _round_up(max(*rates, ceiling) * SPARE)
    refused = max(1, *traffic.throttled)
    return Chart(
        columns=len(rates),
        top=top,
        sent=area([rate / top for rate in rates]),
        throttled=area([_visible(count / refused) for count in traffic.throttled]),
        held=area([_visible(seconds / width) for seconds in traffic.held]),
        ceiling=HIGH * (1 - ceiling / top) if ceiling else None,
        fastest=max(rates),
        seconds=len(rates) * width,
        waited=sum(traffic.held),
        lines=tuple(_lines(traffic)),
    )


def area(shares: Sequence[float]) -> str:
    """A stepped area, a column for each share (0 to 1) of the height; columns of none are left out."""
    drawn, at = [], 0
    while at < len(shares):
        if shares[at] <= 0:
            at += 1
            continue
        steps, begin = [], at
        while at < len(shares) and shares[at] > 0:
            end = at + 1
            while end < len(shares) and shares[end] == shares[at]:
                end += 1
            steps.append(f"V{_number(HIGH * (1 - shares[at]))}H{end}")
            at = end
        drawn.append(f"M{begin} {HIGH}{''.join(steps)}V{HIGH}Z")
    return "".join(drawn)


def _lines(traffic: Traffic) -> list[Line]:
    step = math.ceil(len(traffic.sent) / LINES)
    return [
        Line(
            since=at * traffic.width,
            rate=sum(sent) / (len(sent) * traffic.width),
            throttled=sum(traffic.throttled[at : at + step]),
            held=sum(traffic.held[at : at + step]),
        )
        for at in range(0, len(traffic.sent), step)
        for sent in [traffic.sent[at : at + step]]
    ]


def _visible(share: float) -> float:
    """A share of the height; what is not 0 can be seen."""
    return max(0.25, share) if share else 0.0


def _round_up(value: float) -> float:
    """To a number that reads well on an axis."""
    power = 10.0 ** math.floor(math.log10(value))
    return float(next(digit * power for digit in _ROUND if digit * power >= value))


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
