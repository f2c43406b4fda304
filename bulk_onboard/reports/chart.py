"""The chart of requests over time as SVG paths: one unit wide per interval, and 100 high."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bulk_onboard.domain.model import Traffic

HIGH = 100
# The chart is a little higher than its highest value.
SPARE = 1.05
_ROUND = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12)


@dataclass(frozen=True, slots=True)
class Chart:
    """Requests over time. Areas are SVG paths, "" for an empty area.

    ``top``: requests per second at the upper edge; ``ceiling``: distance of the ceiling below that edge, None
    without a ceiling; ``fastest``: the highest rate of an interval; ``seconds``: the duration; ``waited``:
    the seconds during which requests were paused.
    """

    columns: int
    top: float
    sent: str
    throttled: str
    paused: str
    ceiling: float | None
    fastest: float
    seconds: int
    waited: float


def over_time(traffic: Traffic, ceiling: float) -> Chart | None:
    """Return the chart of a run's requests; None if none was recorded. ``ceiling`` 0: none."""
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
        paused=area([_visible(seconds / width) for seconds in traffic.held]),
        ceiling=HIGH * (1 - ceiling / top) if ceiling else None,
        fastest=max(rates),
        seconds=len(rates) * width,
        waited=sum(traffic.held),
    )


def area(shares: Sequence[float]) -> str:
    """Return a stepped area with a column for each share (0 to 1) of the height; a share of 0 has none."""
    path, is_open = "", False
    for at, share in enumerate(shares):
        if share <= 0:
            path += f"V{HIGH}Z" if is_open else ""
        elif not is_open:
            path += f"M{at} {HIGH}"
        is_open = share > 0
        if is_open:
            path += f"V{HIGH * (1 - share):.1f}H{at + 1}"
    return f"{path}V{HIGH}Z" if is_open else path


def _visible(share: float) -> float:
    """Return a share of the height, large enough to be visible unless it is 0."""
    return max(0.25, share) if share else 0.0


def _round_up(value: float) -> float:
    """Return a round number for an axis, not less than this number."""
    power = 10.0 ** math.floor(math.log10(value))
    return float(next(digit * power for digit in _ROUND if digit * power >= value))
