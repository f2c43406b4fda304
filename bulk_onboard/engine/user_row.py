"""The life of one newcomer: look up, post, wait, look again, to a Leaf user or an outcome. See `enrol`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from bulk_onboard.engine.ports import Directory, Journal, Register
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.entry import Entry
from bulk_onboard.errors import LeafUnavailable, LoginRefused
from bulk_onboard.facts import Observer, RowFinished, Trouble, UserKnown
from bulk_onboard.model import Answer, Status, Transient
from bulk_onboard.newcomers import By, Enrolment, EnrolVerdict, LookVerdict, Newcomer, Origin
from bulk_onboard.policy import users
from bulk_onboard.policy.retry import Moment, Policy
from bulk_onboard.policy.users import WOULD_CREATE, Act, Ended, Known, Onward, Turn
from bulk_onboard.stamp import to_text, utc_now

Seen = Answer[LookVerdict] | Answer[EnrolVerdict]


@dataclass(frozen=True, slots=True)
class Enrolling:
    """What all newcomers share. ``learned`` gets the leafUserId of each row that has one now, ``ended`` the
    number of each row that has an outcome, ``to_create`` the rows of each user whom a dry run would create.

    ``register`` None: a dry run, which only looks. ``slots`` bounds the newcomers between an intent and an
    answer; ``draw`` gives random numbers in [0, 1), ``now`` the UTC time.
    """

    directory: Directory
    register: Register | None
    journal: Journal
    policy: Policy
    stop: StopSignal
    observer: Observer
    slots: asyncio.Semaphore
    draw: Callable[[], float]
    learned: dict[int, str]
    ended: set[int]
    to_create: list[tuple[int, ...]]
    now: Callable[[], datetime] = utc_now

    async def enrol(self, newcomer: Newcomer, under_way: Callable[[], None] = lambda: None) -> None:
        """Find or create one newcomer's user. Raises LoginRefused and LedgerError.

        ``under_way`` is called when a request goes out.
        """
        await _Life(self, newcomer, under_way).live()


class _Life:
    """One newcomer on the way. Mutable, and gone when it is done."""

    def __init__(self, shared: Enrolling, newcomer: Newcomer, under_way: Callable[[], None]) -> None:
        self._shared, self._newcomer, self._under_way = shared, newcomer, under_way
        self._on_the_wire = False
        self._attempts = 0
        self._started_at = to_text(shared.now())
        self._last: Seen | None = None
        self._way = users.begin(newcomer, shared.policy)

    async def live(self) -> None:
        """Until the user is known or there is an outcome, also when interrupted."""
        try:
            end = await self._to_the_end()
        except (LoginRefused, LeafUnavailable) as error:
            # Refused requests were not carried out.
            unsure = self._way.unsure
            status = Status.UNRESOLVED if unsure else Status.NOT_ATTEMPTED
            code = "login-refused" if isinstance(error, LoginRefused) else "leaf-unavailable"
            self._settle(Ended(status, code))
            raise
        except asyncio.CancelledError:
            if self._last or self._on_the_wire:
                self._settle(users.interrupted(self._way, on_the_wire=self._on_the_wire))
            raise
        if end:
            self._settle(end)

    async def _to_the_end(self) -> Known | Ended | None:
        """None: the run stopped before this newcomer's turn had come."""
        clock = asyncio.get_running_loop().time
        began: float | None = None
        while True:
            async with self._shared.slots:
                if began is None and self._shared.stop.draining:
                    return None
                began = began or clock()
                turn = await self._turn(began)
                # Nobody comes in between who could create the same user.
                while isinstance(turn, Onward) and not turn.after:
                    self._way = turn.way
                    turn = await self._turn(began)
            if not isinstance(turn, Onward):
                return turn
            self._way = turn.way
            if not await self._shared.stop.pause(turn.after):
                return users.interrupted(turn.way, on_the_wire=False)

    async def _turn(self, began: float) -> Turn:
        if self._way.act is Act.POST and self._shared.register is None:
            return Ended(Status.WOULD_CREATE, WOULD_CREATE)
        answer = self._last = await self._act()
        if isinstance(answer.verdict, Transient):
            told = answer.verdict.message or answer.verdict.code
            self._shared.observer(Trouble(f"Leaf cannot be reached: {told}"))
        moment = Moment(asyncio.get_running_loop().time() - began, self._shared.draw())
        return users.decide(self._way, answer.verdict, self._newcomer, self._shared.policy, moment)

    async def _act(self) -> Seen:
        directory, way = self._shared.directory, self._way
        match way.act:
            case Act.LOOK:
                by, value = self._newcomer.looks[way.look]
                return await directory.look_up(by, value, way.page, self._under_way)
            case Act.POST:
                assert self._shared.register is not None  # noqa: S101  (a dry run does not come here)
                intended = Enrolment(self._newcomer.keys, intended_at=to_text(self._shared.now()))
                await self._shared.register.intend(intended)
                self._way = users.posting(way)
                self._attempts += 1
                answer = await directory.enrol(self._newcomer.told, self._goes_out)
                self._on_the_wire = False
                return answer
            case never:
                assert_never(never)

    def _goes_out(self) -> None:
        self._on_the_wire = True
        self._under_way()

    # --- the end ------------------------------------------------------------------------------------

    def _settle(self, end: Known | Ended) -> None:
        self._on_the_wire = False
        match end:
            case Known(leaf_user_id):
                self._remember(end)
                self._shared.learned.update(dict.fromkeys(self._newcomer.rows, leaf_user_id))
                for row in self._newcomer.rows:
                    self._shared.observer(UserKnown(row, created=end.origin is Origin.CREATED))
            case Ended(status, code):
                self._forget(end)
                self._shared.ended.update(self._newcomer.rows)
                if status is Status.WOULD_CREATE:
                    self._shared.to_create.append(self._newcomer.rows)
                for row in self._newcomer.rows:
                    self._shared.journal.settle(self._entry(row, end))
                    self._shared.observer(RowFinished(row, status, code))

    def _remember(self, known: Known) -> None:
        """Who was found by the externalId is not known by the email too: nobody has compared that."""
        if self._shared.register is None:
            return
        keys = self._newcomer.keys
        if known.by is By.EXTERNAL_ID and not self._is_intended():
            keys = keys[:1]
        self._shared.register.settle(Enrolment(keys, known.leaf_user_id, known.origin.value))

    def _forget(self, end: Ended) -> None:
        """An intent of whom it is known that there is no user. What is not known stays open."""
        if self._shared.register is not None and end.status is not Status.UNRESOLVED and self._is_intended():
            self._shared.register.settle(Enrolment(self._newcomer.keys))

    def _is_intended(self) -> bool:
        return self._newcomer.open_intent or self._way.posts > 0

    def _entry(self, row: int, end: Ended) -> Entry:
        """Of no grower: the ledger has no leafUserId to know one by."""
        answer = self._last
        return Entry(
            row=row,
            status=end.status.value,
            code=end.code,
            message=end.message,
            http_status=answer.http_status if answer else None,
            attempts=self._attempts,
            started_at=self._started_at,
            finished_at=to_text(self._shared.now()),
            latency_ms=round(answer.seconds * 1000, 1) if answer else None,
        )
