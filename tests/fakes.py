"""Stand-ins: a Leaf that can be told how to fail, and a journal that knows what reached the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from warp import now

from bulk_onboard.entry import Entry
from bulk_onboard.errors import LedgerError, LoginRefused
from bulk_onboard.model import (
    Absent,
    Ambiguous,
    Answer,
    Created,
    Credential,
    Echo,
    Event,
    Events,
    EventsVerdict,
    Exists,
    Intent,
    Payload,
    Refused,
    Row,
    Throttled,
    Transient,
    Verdict,
)

ID = "6e4b3f0c-9d4e-4c5b-8a6f-1d2c3b4a5f60"
TOKEN = "planted-refresh-token"
PAYLOAD = Payload({"clientId": "app", "clientSecret": "planted-client-secret", "refreshToken": TOKEN})


def row(number: int = 2, intent: Intent | None = None, token: str = TOKEN) -> Row:
    """A row to onboard."""
    return Row(number, ID, Payload({**PAYLOAD, "refreshToken": token}), f"print-of-{token}", intent)


class Fault(Enum):
    """What happens to one request."""

    NONE = auto()
    THROTTLED = auto()
    TRANSIENT = auto()
    REFUSED = auto()
    LOST_BEFORE = auto()  # Leaf never saw it
    LOST_AFTER = auto()  # Leaf did it, the answer was lost
    LOST_LATE = auto()  # the connection broke, and Leaf does it half a second later
    SLOW_LATE = auto()  # a timeout, and Leaf does it twenty seconds later
    LOGIN = auto()


@dataclass
class FakeLeaf:
    """Leaf for one grower. ``posts`` and ``gets`` are what happens to the next requests of each kind.

    ``dangerous`` counts POSTs that came when one of the same token had been stored, or still was to be.
    ``shows``: whether the reply tells the token and the time of creation, as Leaf documents it.
    """

    posts: Iterator[Fault] = field(default_factory=lambda: iter(()))
    gets: Iterator[Fault] = field(default_factory=lambda: iter(()))
    seconds: float = 0.05
    held: str | None = None
    created: datetime | None = None
    shows: bool = True
    log: list[str] = field(default_factory=list)
    wire: list[str] = field(default_factory=list)
    dangerous: int = 0
    stored: int = 0
    on_its_way: int = 0
    latest: Event | None = None
    status: str = "OK"
    waiting: list[asyncio.TimerHandle] = field(default_factory=list)

    def _store(self, token: str) -> None:
        self.stored += 1
        self.held, self.created = token, now()

    def _arrive(self, token: str) -> None:
        self.on_its_way -= 1
        self._store(token)

    def _credential(self, ours: Payload) -> Credential:
        same = Echo.SAME if self.held == ours["refreshToken"] else Echo.DIFFERENT
        return Credential(
            "c-1", self.status, self.created if self.shows else None, same if self.shows else Echo.UNKNOWN
        )

    async def ask(self, leaf_user_id: str, ours: Payload) -> Answer[Verdict]:
        self.log.append("GET")
        fault = next(self.gets, Fault.NONE)
        await asyncio.sleep(self.seconds)
        if (failed := _failed(fault)) is not None:
            return failed
        if self.held is None:
            return Answer(Absent(), 404, self.seconds)
        return Answer(Exists(self._credential(ours)), 200, self.seconds)

    async def post(self, leaf_user_id: str, payload: Payload) -> Answer[Verdict]:
        self.log.append("POST")
        self.wire.append("POST")
        token = payload["refreshToken"]
        self.dangerous += self.held == token or self.on_its_way > 0
        fault = next(self.posts, Fault.NONE)
        late = {Fault.LOST_LATE: 0.5, Fault.SLOW_LATE: 20.0}.get(fault)
        if fault is Fault.LOST_AFTER:
            self._store(token)
        if late is not None:
            self.on_its_way += 1
            self.waiting.append(asyncio.get_running_loop().call_later(late, self._arrive, token))
        await asyncio.sleep(self.seconds)
        if (failed := _failed(fault)) is not None:
            return failed
        if self.held is not None:
            return Answer(Exists(None, "leaf:exists"), 409, self.seconds)
        self._store(token)
        await asyncio.sleep(self.seconds)  # stored, and the answer is on its way
        return Answer(Created(self._credential(payload)), 201, self.seconds)

    async def events(self, leaf_user_id: str) -> Answer[EventsVerdict]:
        self.log.append("EVENTS")
        await asyncio.sleep(self.seconds)
        return Answer(Events(self.latest), 200, self.seconds)


def _failed(fault: Fault) -> Answer[Verdict] | None:
    match fault:
        case Fault.THROTTLED:
            return Answer(Throttled(2.0), 429)
        case Fault.TRANSIENT:
            return Answer(Transient("connection-refused"))
        case Fault.REFUSED:
            return Answer(Refused("leaf:no"), 400)
        case Fault.LOST_BEFORE | Fault.LOST_AFTER | Fault.LOST_LATE:
            return Answer(Ambiguous("connection-lost"))
        case Fault.SLOW_LATE:
            return Answer(Ambiguous("no-answer", slow=True))
        case Fault.LOGIN:
            raise LoginRefused("no")
        case Fault.NONE:
            return None


@dataclass
class FakeJournal:
    """A disk that takes a moment. ``log`` may be shared with a `FakeLeaf` to see what came first."""

    log: list[str] = field(default_factory=list)
    intents: list[Entry] = field(default_factory=list)
    outcomes: list[Entry] = field(default_factory=list)
    seconds: float = 0.01
    broken: bool = False

    async def intend(self, intent: Entry) -> None:
        self.log.append("intend")
        await asyncio.sleep(self.seconds)
        if self.broken:
            raise LedgerError("disk full")
        self.intents.append(intent)
        self.log.append("on disk")

    def settle(self, outcome: Entry) -> None:
        self.log.append("settle")
        self.outcomes.append(outcome)

    async def flush(self) -> None:
        await asyncio.sleep(self.seconds)
