"""The life of a row: slot, act, decide, wait, and so on until it ends; then its end is recorded.

This loop drives every kind of row: onboarding, rollback, creating a user, events check. A kind defines the
next action of a row, the decision about the answer, and how the end is recorded.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from bulk_onboard.domain.model import Answer, Transient
from bulk_onboard.domain.run_events import Observer, Trouble
from bulk_onboard.domain.timestamps import to_text, utc_now
from bulk_onboard.engine.ports import Journal, Sent
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.engine.worker_pool import Work, work_through
from bulk_onboard.errors import LeafUnavailable, LoginRefused
from bulk_onboard.policy.progress import LEFT_WITHOUT
from bulk_onboard.policy.retry import Moment, Next, Policy
from bulk_onboard.threads import Slots

P = TypeVar("P")
E = TypeVar("E")
T = TypeVar("T")

# Rows that wait (for a backoff, for an event) hold no slot, but a little memory.
IN_HAND = 10_000

# Codes of rows that end without a reply: our own stop, a refused login, or silence.
_WITHOUT_REPLY = frozenset({"interrupted", "login-refused", "leaf-unavailable", "no-answer"})


@dataclass(frozen=True, slots=True)
class RowContext:
    """The values that all rows of a phase share.

    ``slots`` limits the rows between an intent and an answer; waiting rows hold none. ``starts`` limits the
    rows that wait for their first request. ``draw`` returns random numbers in [0, 1), ``now`` the UTC time.
    """

    journal: Journal
    policy: Policy
    stop: StopSignal
    observer: Observer
    slots: Slots
    draw: Callable[[], float] = random.random
    now: Callable[[], datetime] = utc_now
    starts: int = 1

    async def work_through(self, items: Iterator[T], work: Work[T]) -> None:
        """Work on the items until none are left or the run stops; return when their ends are on disk.

        Raises LedgerError.
        """
        await work_through(items, work, self.stop, starts=self.starts, in_hand=IN_HAND)
        await self.journal.flush()


class RowLife(ABC, Generic[P, E]):
    """One row and how far it is. Mutable, and dropped when the row has ended.

    ``progress`` is the state that decisions are about, ``replies`` are Leaf's answers so far; ``under_way``
    is called when a request goes out. ``on_the_wire``: a request that changes something has gone out and is
    not answered yet. ``intended``: an intent may be on disk.
    """

    def __init__(self, context: RowContext, progress: P, under_way: Sent) -> None:
        self.context, self.progress, self.under_way = context, progress, under_way
        self.replies: list[Answer[Any]] = []
        self.on_the_wire = self.intended = False
        self.started_at = to_text(context.now())
        self._began: float | None = None

    @abstractmethod
    async def act(self) -> Answer[Any]:
        """Do what is next by ``progress``, and return Leaf's answer."""

    @abstractmethod
    def decide(self, answer: Answer[Any], moment: Moment) -> Next[P] | E:
        """Return the next step, or how the row ends."""

    @abstractmethod
    def stopped(self, code: str) -> E | None:
        """Return how a row ends that is stopped in the middle; None if there is nothing to record."""

    @abstractmethod
    def settle(self, end: E) -> None:
        """Record how the row ended."""

    def keeps_slot(self, _progress: P) -> bool:
        """Return whether a next step without a wait follows before any other row gets the slot."""
        return True

    async def admitted(self) -> bool:
        """Wait, without a slot, until the row may continue; return False if the run stops first."""
        return True

    async def live(self) -> E | None:
        """Drive the row to its end, and record that; also when it is interrupted or our login is refused.

        Return how it ended; None if the run stopped before the row's turn had come. Raises LoginRefused,
        LeafUnavailable, LedgerError and OutputError.
        """
        end: E | None = None
        try:
            end = await self._drive()
        except LoginRefused:
            self.on_the_wire = False  # Leaf does not carry out a request with a refused login
            end = self.stopped("login-refused")
            raise
        except LeafUnavailable:
            end = self.stopped("leaf-unavailable")
            raise
        except asyncio.CancelledError:
            if self.replies or self.intended:
                end = self.stopped("interrupted")
            raise
        finally:
            if end is not None:
                self.settle(end)
        return end

    async def _drive(self) -> E | None:
        stop, clock = self.context.stop, asyncio.get_running_loop().time
        while True:
            async with self.context.slots:
                if self._began is None:
                    if stop.draining:
                        return None
                    self._began = clock()
                while True:
                    answer = await self.act()
                    self.replies.append(answer)
                    if isinstance(answer.verdict, Transient):
                        problem = answer.verdict.message or answer.verdict.code
                        self.context.observer(Trouble(f"Leaf cannot be reached: {problem}"))
                    step = self.decide(answer, Moment(clock() - self._began, self.context.draw()))
                    if not isinstance(step, Next):
                        return step
                    if step.after or not self.keeps_slot(step.progress):
                        break
                    self.progress = step.progress
            self.progress = step.progress
            if not (await stop.pause(step.after) if step.after else True) or not await self.admitted():
                return self.stopped("interrupted")

    @property
    def elapsed(self) -> float:
        """Seconds since the row's first request was due."""
        now = asyncio.get_running_loop().time()
        return now - (now if self._began is None else self._began)

    def changes(self) -> None:
        """Record that a request that changes something is being sent."""
        self.on_the_wire = True
        self.under_way()

    def times(self, code: str, message: str) -> dict[str, Any]:
        """Return the times of an outcome's entry, and what it says of the reply that its code comes from."""
        reply = deciding(self.replies, code, message)
        return {
            "http_status": reply.http_status if reply else None,
            "started_at": self.started_at,
            "finished_at": to_text(self.context.now()),
            "latency_ms": round(reply.seconds * 1000, 1) if reply else None,
        }


def deciding(replies: Sequence[Answer[Any]], code: str, message: str) -> Answer[Any] | None:
    """Return the latest reply that an outcome with this code and message comes from; None if from none.

    A grower that was left without credentials has the code of the reason at the beginning of its message.
    """
    reason = message.partition(":")[0] if code == LEFT_WITHOUT else code
    with_reason = [reply for reply in replies if reason and getattr(reply.verdict, "code", "") == reason]
    if with_reason or reason in _WITHOUT_REPLY:
        return with_reason[-1] if with_reason else None
    return replies[-1] if replies else None
