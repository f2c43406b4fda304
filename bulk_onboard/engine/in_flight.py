"""How much may be under way at a time, at which rate, and whether HTTP gets a process of its own."""

from __future__ import annotations

import os
import sys

from bulk_onboard.leaf.sockets import sockets
from bulk_onboard.settings import Settings

NO_CEILING_CONNECTIONS = 128
# Without a ceiling so many rows have their intent on disk for each connection: none is idle while the next
# intents are written.
ROWS_READY = 4
MOST_IN_FLIGHT = 8192
# From so many requests per second, and so many rows, on, HTTP gets a process of its own.
FAST, MANY = 1_000, 5_000
# From `FAST` on the rate is kept by a little less, by this share at this rate and beyond: so much work leaves
# no core for whoever is to take the requests, and what had to wait comes to him in a crowd.
FASTEST, LESS = 2_000, 0.02


def apart(settings: Settings, to_do: int) -> bool:
    """Whether there is so much to send that a process of its own for HTTP pays, and a core for it."""
    rate = settings.pace.rate or float("inf")
    return sys.platform != "win32" and _cores() > 1 and rate >= FAST and to_do >= MANY


def _cores() -> int:
    """How many cores this process may use: in a container, or under taskset, fewer than there are."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def rate_below(ceiling: float) -> float:
    """Requests per second that keep the ceiling as Leaf sees it, 0 for none."""
    return ceiling * (1 - LESS * min(1.0, max(0.0, (ceiling - FAST) / (FASTEST - FAST))))


def in_flight_of(settings: Settings) -> tuple[int, int]:
    """How many requests may be under way, and how many rows between an intent and an answer.

    Under a ceiling as many as the rate and Leaf's latency make of themselves, as long as there are sockets.
    """
    pace = settings.pace
    if pace.max_in_flight:
        return pace.max_in_flight, pace.max_in_flight
    if pace.rate:
        most = min(MOST_IN_FLIGHT, sockets())
        return most, most
    return NO_CEILING_CONNECTIONS, NO_CEILING_CONNECTIONS * ROWS_READY
