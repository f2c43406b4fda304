"""What goes wrong, how often: shares of requests, drawn by a seed in order of arrival."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """One way to go wrong. ``before`` and ``after`` tell whether the request was handled (stored) first."""

    THROTTLE_SECONDS = "throttle-seconds"
    THROTTLE_DATE = "throttle-date"
    THROTTLE_BARE = "throttle-bare"
    E500_BEFORE = "500-before"
    E500_AFTER = "500-after"
    E502_BEFORE = "502-before"
    E502_AFTER = "502-after"
    E503_BEFORE = "503-before"
    E503_AFTER = "503-after"
    E504_BEFORE = "504-before"
    E504_AFTER = "504-after"
    CUT_BEFORE = "cut-before"
    CUT_AFTER = "cut-after"
    HANG_BEFORE = "hang-before"
    HANG_AFTER = "hang-after"
    SLOW = "slow"
    TRUNCATED = "truncated"
    HTML = "html"
    EMPTY = "empty"
    WRONG_SHAPE = "wrong-shape"
    EXPIRED_LOGIN = "expired-login"

    @property
    def handled(self) -> bool:
        """Whether the request is handled as if nothing was wrong, before it goes wrong."""
        return not (self.endswith("-before") or self.startswith("throttle") or self is Kind.EXPIRED_LOGIN)


class Area(StrEnum):
    """The calls of Leaf, as far as faults tell them apart."""

    LOGIN = "login"
    USERS = "users"
    CREDENTIALS = "credentials"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Faults:
    """Which share (0 to 1) of the requests goes wrong in which way.

    ``methods``: only these HTTP methods, all if empty. ``calls``: only these areas. ``slow_for``: seconds
    that a `Kind.SLOW` reply takes.
    """

    shares: Mapping[Kind, float] = field(default_factory=dict)
    methods: frozenset[str] = frozenset()
    calls: frozenset[Area] = frozenset({Area.CREDENTIALS, Area.EVENTS})
    slow_for: float = 2.0

    @property
    def total(self) -> float:
        """The share of requests that goes wrong in any way."""
        return sum(self.shares.values())

    def concern(self, method: str, area: Area | None) -> bool:
        """Whether a request can go wrong at all."""
        return area in self.calls and (not self.methods or method in self.methods)


class Chance:
    """Draws the faults: the same seed and the same number of requests give the same faults."""

    def __init__(self, faults: Faults, seed: int | None) -> None:
        self._faults = faults
        self._random = random.Random(seed)

    def draw(self, method: str, area: Area | None) -> Kind | None:
        """What goes wrong with the request that has just arrived; None if nothing does."""
        if not self._faults.concern(method, area):
            return None
        point = self._random.random()
        for kind, share in self._faults.shares.items():
            point -= share
            if point < 0:
                return kind
        return None


def _evenly(share: float, *kinds: Kind) -> dict[Kind, float]:
    return {kind: share / len(kinds) for kind in kinds}


_THROTTLES = (Kind.THROTTLE_SECONDS, Kind.THROTTLE_DATE, Kind.THROTTLE_BARE)
_CUTS = (Kind.CUT_BEFORE, Kind.CUT_AFTER)
_HANGS = (Kind.HANG_BEFORE, Kind.HANG_AFTER)
_LATE = (Kind.E504_BEFORE, Kind.E504_AFTER)
_GARBLED = (Kind.TRUNCATED, Kind.HTML, Kind.EMPTY, Kind.WRONG_SHAPE)
_ERRORS = tuple(kind for kind in Kind if kind[:3].isdigit())

PRESETS: Mapping[str, Faults] = MappingProxyType(
    {
        "none": Faults(),
        "rainy": Faults(
            _evenly(0.02, *_THROTTLES)
            | _evenly(0.02, *_ERRORS)
            | _evenly(0.01, *_CUTS)
            | _evenly(0.01, *_GARBLED)
            | {Kind.SLOW: 0.005, Kind.EXPIRED_LOGIN: 0.001}
        ),
        "storm": Faults(
            _evenly(0.06, *_THROTTLES)
            | _evenly(0.08, *_ERRORS)
            | _evenly(0.05, *_CUTS)
            | _evenly(0.05, *_GARBLED)
            | _evenly(0.002, *_HANGS)
            | {Kind.EXPIRED_LOGIN: 0.005}
        ),
        "throttled": Faults(_evenly(0.3, *_THROTTLES)),
        "cuts": Faults(_evenly(0.2, *_CUTS)),
        "slow": Faults(_evenly(0.02, *_HANGS) | _evenly(0.04, *_LATE) | {Kind.SLOW: 0.2}),
    }
)
