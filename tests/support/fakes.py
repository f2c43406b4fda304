"""Stand-ins: a Leaf that can be told how to fail, and a journal that knows what reached the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import (
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
    Log,
    LogVerdict,
    NotSent,
    Payload,
    Refused,
    Row,
    Throttled,
    Transient,
    Verdict,
)
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.domain.turns import StillValid, always
from bulk_onboard.engine.ports import Sent
from bulk_onboard.errors import LedgerError, LoginRefused, OutputError
from tests.support.virtual_time import now

ID = "6e4b3f0c-9d4e-4c5b-8a6f-1d2c3b4a5f60"
TOKEN = "planted-refresh-token"
PAYLOAD = Payload({"clientId": "app", "clientSecret": "planted-client-secret", "refreshToken": TOKEN})


def row(number: int = 2, intent: Intent | None = None, token: str = TOKEN, grower: str = ID) -> Row:
    """A row to onboard."""
    return Row(
        number,
        "raven",
        grower,
        Payload({**PAYLOAD, "refreshToken": token}),
        token.encode().ljust(16)[:16].hex(),
        intent,
    )


def unheard() -> None:
    """Who does not care when a request goes out."""


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
    BARE = auto()  # a 200 with nothing in it
    LOGIN = auto()


# Seconds until Leaf has done what it was asked, by fault; the others never reach it.
_ARRIVES = {Fault.LOST_LATE: 0.5, Fault.SLOW_LATE: 20.0}
_REACHES_LEAF = frozenset({Fault.NONE, Fault.LOST_AFTER, *_ARRIVES})


@dataclass
class FakeLeaf:
    """Leaf for one grower. ``posts``, ``deletes``, ``gets`` and ``looks`` are what happens to the next
    requests of each kind (``looks``: for events). ``waits``: seconds for which the next POSTs and DELETEs
    wait for their turn.

    What has gone out arrives, whoever of us lives to see it. ``dangerous`` counts POSTs that came when one
    of the same token had ever been stored, or when anything was still on its way. ``shows``: whether the
    reply tells the token and the time of creation, as Leaf documents it. ``replaces``: a POST takes the
    place of what is held. ``blind``: how many credentials were deleted that nobody had been shown before.
    ``finds``: a DELETE finds what there is, as a GET does.
    """

    posts: Iterator[Fault] = field(default_factory=lambda: iter(()))
    gets: Iterator[Fault] = field(default_factory=lambda: iter(()))
    deletes: Iterator[Fault] = field(default_factory=lambda: iter(()))
    looks: Iterator[Fault] = field(default_factory=lambda: iter(()))
    waits: Iterator[float] = field(default_factory=lambda: iter(()))
    rate: float = 0.0
    seconds: float = 0.05
    held: str | None = None
    created: datetime | None = None
    shows: bool = True
    replaces: bool = False
    finds: bool = True
    log: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    dangerous: int = 0
    stored: list[str] = field(default_factory=list)
    on_its_way: int = 0
    latest: Event | None = None
    has_log: bool = True
    status: str = "OK"
    number: int = 1
    shown: set[int] = field(default_factory=set)
    blind: int = 0
    deleted: list[str] = field(default_factory=list)

    def of(self, _provider: str) -> FakeLeaf:
        """The calls are the same for every provider."""
        return self

    def _arrive(self, token: str, answer: asyncio.Future[bool]) -> None:
        self.on_its_way -= 1
        takes = self.held is None or self.replaces
        if takes:
            self.stored.append(token)
            self.hold(token)
        if not answer.done():
            answer.set_result(takes)

    def hold(self, token: str) -> None:
        """Somebody stores credentials."""
        self.held, self.created = token, now()
        self.number += 1

    def _vanish(self, answer: asyncio.Future[bool]) -> None:
        self.on_its_way -= 1
        if self.held is not None:
            self.blind += self.number not in self.shown
            self.deleted.append(self.held)
            self.held = self.created = None
        if not answer.done():
            answer.set_result(True)

    def _credential(self, ours: Payload) -> Credential:
        self.shown.add(self.number)
        echo = Echo.SAME if self.held == ours.get("refreshToken") else Echo.DIFFERENT
        if not self.shows or not ours:
            echo = Echo.UNKNOWN
        created = self.created if self.shows else None
        return Credential(f"c-{self.number}", self.status, created, echo, to_text(created))

    def _note(self, kind: str) -> None:
        self.log.append(kind)
        self.times.append(asyncio.get_running_loop().time())

    async def ask(
        self, leaf_user_id: str, ours: Payload, sent: Sent = unheard, *, urgent: bool = False
    ) -> Answer[Verdict]:
        self._note("GET")
        sent()
        fault = next(self.gets, Fault.NONE)
        await asyncio.sleep(self.seconds)
        if (failed := _failed(fault)) is not None:
            return failed
        if self.held is None:
            return Answer(Absent(), 404, self.seconds)
        return Answer(Exists(self._credential(ours)), 200, self.seconds)

    async def post(
        self, leaf_user_id: str, payload: Payload, sent: Sent = unheard, *, still_valid: StillValid = always
    ) -> Answer[Verdict]:
        await asyncio.sleep(next(self.waits, 0.0))
        if not still_valid():
            return Answer(NotSent())
        self._note("POST")
        sent()
        token = payload["refreshToken"]
        self.dangerous += token in self.stored or self.on_its_way > 0
        fault = next(self.posts, Fault.NONE)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        if fault in _REACHES_LEAF:
            self.on_its_way += 1
            loop.call_later(_ARRIVES.get(fault, self.seconds / 2), self._arrive, token, answer)
        await asyncio.sleep(self.seconds)
        if (failed := _failed(fault)) is not None:
            return failed
        if await answer:
            return Answer(Created(self._credential(payload)), 201, self.seconds)
        return Answer(Exists(None, "leaf:exists"), 409, self.seconds)

    async def delete(
        self, leaf_user_id: str, sent: Sent = unheard, *, still_valid: StillValid = always
    ) -> Answer[Verdict]:
        await asyncio.sleep(next(self.waits, 0.0))
        if not still_valid():
            return Answer(NotSent())
        self._note("DELETE")
        sent()
        if not self.finds:
            return Answer(Absent(usual=False), 404, self.seconds)
        fault = next(self.deletes, Fault.NONE)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        if fault in _REACHES_LEAF:
            self.on_its_way += 1
            loop.call_later(_ARRIVES.get(fault, self.seconds / 2), self._vanish, answer)
        await asyncio.sleep(self.seconds)
        if (failed := _failed(fault)) is not None:
            return failed
        await answer
        return Answer(Absent(), 204, self.seconds)

    async def history(self, leaf_user_id: str, sent: Sent = unheard) -> Answer[LogVerdict]:
        self._note("LOG")
        sent()
        fault = next(self.looks, Fault.NONE)
        await asyncio.sleep(self.seconds)
        if (failed := _failed(fault)) is not None:
            assert not isinstance(failed.verdict, Created | Exists)
            return Answer(failed.verdict, failed.http_status)
        return Answer(Log((self.latest,) if self.latest else (), self.latest), 200, self.seconds)

    async def events(self, leaf_user_id: str, sent: Sent = unheard) -> Answer[EventsVerdict]:
        self._note("EVENTS")
        sent()
        fault = next(self.looks, Fault.NONE)
        await asyncio.sleep(self.seconds)
        if (failed := _failed(fault)) is not None:
            assert not isinstance(failed.verdict, Created | Exists)
            return Answer(failed.verdict, failed.http_status)
        if self.held is None or not self.has_log:
            return Answer(Absent(), 404, self.seconds)
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
            return Answer(Ambiguous("no-answer"))
        case Fault.BARE:
            return Answer(Absent(bare=True), 200)
        case Fault.LOGIN:
            raise LoginRefused("Leaf refuses our login")
        case Fault.NONE:
            return None


@dataclass
class FakeWorld:
    """Leaf for many growers: one `FakeLeaf` each. ``log`` has the requests of all in their order."""

    growers: dict[str, FakeLeaf] = field(default_factory=dict)
    make: Callable[[str], FakeLeaf] = lambda _grower: FakeLeaf()
    log: list[tuple[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    rate: float = 0.0

    def of(self, _provider: str) -> FakeWorld:
        """The calls are the same for every provider."""
        return self

    def to(self, grower: str) -> FakeLeaf:
        """What Leaf is to this grower."""
        if grower not in self.growers:
            self.growers[grower] = self.make(grower)
        return self.growers[grower]

    @contextmanager
    def _counted(self, kind: str, grower: str) -> Iterator[FakeLeaf]:
        self.log.append((kind, grower))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield self.to(grower)
        finally:
            self.at_once -= 1

    async def ask(
        self, leaf_user_id: str, ours: Payload, sent: Sent = unheard, *, urgent: bool = False
    ) -> Answer[Verdict]:
        with self._counted("GET", leaf_user_id) as leaf:
            return await leaf.ask(leaf_user_id, ours, sent, urgent=urgent)

    async def post(
        self, leaf_user_id: str, payload: Payload, sent: Sent = unheard, *, still_valid: StillValid = always
    ) -> Answer[Verdict]:
        with self._counted("POST", leaf_user_id) as leaf:
            return await leaf.post(leaf_user_id, payload, sent, still_valid=still_valid)

    async def delete(
        self, leaf_user_id: str, sent: Sent = unheard, *, still_valid: StillValid = always
    ) -> Answer[Verdict]:
        with self._counted("DELETE", leaf_user_id) as leaf:
            return await leaf.delete(leaf_user_id, sent, still_valid=still_valid)

    async def history(self, leaf_user_id: str, sent: Sent = unheard) -> Answer[LogVerdict]:
        with self._counted("LOG", leaf_user_id) as leaf:
            return await leaf.history(leaf_user_id, sent)

    async def events(self, leaf_user_id: str, sent: Sent = unheard) -> Answer[EventsVerdict]:
        with self._counted("EVENTS", leaf_user_id) as leaf:
            return await leaf.events(leaf_user_id, sent)


@dataclass
class FakeJournal:
    """A disk that takes a moment. ``log`` may be shared with a `FakeLeaf` to see what came first.

    ``disk`` holds the newest committed entry of each grower, and outlives the journal. ``dead``: the process
    was killed, and nothing more gets there.
    """

    log: list[str] = field(default_factory=list)
    intents: list[Entry] = field(default_factory=list)
    outcomes: list[Entry] = field(default_factory=list)
    disk: dict[str, Entry] = field(default_factory=dict)
    seconds: float = 0.01
    broken: bool = False
    dead: bool = False

    async def intend(self, intent: Entry) -> None:
        self.log.append("intend")
        await asyncio.sleep(self.seconds)
        if self.broken:
            raise LedgerError("disk full")
        if self.dead:
            await asyncio.Event().wait()
        self.intents.append(intent)
        self.disk[intent.leaf_user_id] = intent
        self.log.append("on disk")

    def settle(self, outcome: Entry) -> None:
        if self.dead:
            return
        self.log.append("settle")
        self.outcomes.append(outcome)
        asyncio.get_running_loop().call_later(2 * self.seconds, self._commit, outcome)

    def _commit(self, outcome: Entry) -> None:
        if not self.dead:
            self.disk[outcome.leaf_user_id] = outcome

    async def flush(self) -> None:
        await asyncio.sleep(3 * self.seconds)


@dataclass
class FakeKeeper:
    """Remembers what was kept, in the order of a `FakeLeaf`'s requests if it shares their log."""

    log: list[str] = field(default_factory=list)
    kept: list[tuple[str, str, tuple[Event, ...]]] = field(default_factory=list)
    broken: bool = False

    async def keep(
        self, provider: str, leaf_user_id: str, credential: Credential, events: Sequence[Event]
    ) -> None:
        await asyncio.sleep(0.01)
        if self.broken:
            raise OutputError("disk full")
        self.log.append("kept")
        self.kept.append((leaf_user_id, credential.id, tuple(events)))
