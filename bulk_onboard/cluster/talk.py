"""What workers and leader tell each other through the ledger, as text without a secret. Nothing acts here."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from bulk_onboard.errors import ExitCode
from bulk_onboard.facts import Fact, RowChecked, RowFinished, Trouble
from bulk_onboard.model import Health, Requests, Status

# So many facts at a time: what is told twice a second stays small.
MOST = 1_000


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why a worker, or the whole run, goes no further. ``at_once``: without waiting for rows in flight."""

    reason: str
    exit_code: int = int(ExitCode.STOPPED)
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker tells: ``first`` is the number of the first of these ``facts``, counted from 0."""

    requests: Requests = field(default_factory=Requests)
    pace: Any = None
    first: int = 0
    facts: tuple[tuple[Any, ...], ...] = ()
    stopped: Stopped | None = None

    def text(self) -> str:
        """As it is handed over."""
        return json.dumps(asdict(self), separators=(",", ":"))


def told_of(text: str) -> Told:
    """What the text says; of a worker that has said nothing yet, nothing."""
    if not text:
        return Told()
    said = json.loads(text)
    facts = tuple(tuple(fact) for fact in said["facts"])
    stopped = Stopped(**said["stopped"]) if said["stopped"] else None
    return Told(Requests(**said["requests"]), said["pace"], said["first"], facts, stopped)


@dataclass(frozen=True, slots=True)
class Order:
    """What the leader tells a worker: how many of its facts it has ``heard``, its pace, whether to stop."""

    heard: int = 0
    pace: Any = None
    stop: Stopped | None = None

    @property
    def gist(self) -> tuple[Any, ...]:
        """What a worker has to act on; the rest only says that it is heard."""
        pace = self.pace or {}
        return (
            self.stop,
            *(pace.get(name) for name in ("number", "epoch", "weighing")),
            pace.get("pause", 0) > 0,
        )

    def text(self) -> str:
        """As it is handed over."""
        return json.dumps(asdict(self), separators=(",", ":"))


def order_of(text: str) -> Order:
    """What the text says; before the leader has noticed a worker, nothing."""
    if not text:
        return Order()
    said = json.loads(text)
    return Order(said["heard"], said["pace"], Stopped(**said["stop"]) if said["stop"] else None)


class Outbox:
    """Facts on their way to the leader, until it has heard them. Rows of one kind in a row are counted."""

    def __init__(self) -> None:
        self._facts: deque[list[Any]] = deque()
        self._first = 0
        self._handed = 0  # what has been handed over no longer changes

    def add(self, fact: Fact) -> None:
        """Take in a fact, if it is one for the leader."""
        match fact:
            case RowFinished(row, status, code):
                self._count(["finished", status.value, code], row, alone=status.needs_attention)
            case RowChecked(row, health):
                told = health.value if health else ""
                self._count(["checked", told], row, alone=health is not None and health != Health.HEALTHY)
            case Trouble(message):
                self._facts.append(["trouble", message])
            case _:
                pass

    def pending(self) -> tuple[int, tuple[tuple[Any, ...], ...]]:
        """The number of the first fact, and the facts that come next."""
        next_ones = tuple(tuple(fact) for fact in islice(self._facts, MOST))
        self._handed = max(self._handed, self._first + len(next_ones))
        return self._first, next_ones

    def heard(self, count: int) -> None:
        """The leader has heard so many facts in all."""
        while self._first < count:
            self._facts.popleft()
            self._first += 1

    @property
    def count(self) -> int:
        """How many facts there were in all; what the last one counts may still grow."""
        return self._first + len(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def _count(self, kind: list[Any], row: int, *, alone: bool) -> None:
        last = self._facts[-1] if self._first + len(self._facts) > self._handed else None
        if last and not alone and last[:-2] == kind:
            last[-1] += 1
        else:
            self._facts.append([*kind, row, 1])


def facts_of(told: Told, heard: int) -> Iterator[Fact]:
    """The facts that have not been heard before."""
    for kind, *said in told.facts[max(0, heard - told.first) :]:
        match kind:
            case "finished":
                status, code, row, times = said
                yield from (RowFinished(row, Status(status), code) for _ in range(times))
            case "checked":
                health, row, times = said
                yield from (RowChecked(row, Health(health) if health else None) for _ in range(times))
            case "trouble":
                yield Trouble(said[0])
