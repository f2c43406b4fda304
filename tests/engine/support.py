"""What the tests of the engine share: a row's life in warped time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import event

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import (
    Answer,
    LogVerdict,
    NotSent,
    Payload,
    Row,
    Verdict,
)
from bulk_onboard.domain.run_events import Fact
from bulk_onboard.domain.turns import StillValid, Urgency, always
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.onboard_row import Onboarding
from bulk_onboard.engine.ports import Connection, Sent
from bulk_onboard.engine.replacement_brake import ReplacementBrake
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.ledger import Ledger
from bulk_onboard.pace import Pace
from bulk_onboard.policy.retry import Policy
from bulk_onboard.threads import Slots
from tests.support.fakes import FakeJournal, FakeKeeper, FakeLeaf, FakeWorld, row, unheard
from tests.support.virtual_time import now, warp

POLICY = Policy()


def hurry(ledger: Ledger) -> None:
    """No power is cut in these tests, so the disk need not be waited for."""
    ledger._database.engine.dispose()
    event.listen(ledger._database.engine, "connect", lambda db, _: db.execute("PRAGMA synchronous=OFF"))


@dataclass
class Life:
    """What rows live with. ``log`` has the requests and the journal's steps in their order."""

    leaf: FakeLeaf = field(default_factory=FakeLeaf)
    journal: FakeJournal = field(default_factory=FakeJournal)
    policy: Policy = POLICY
    keeper: FakeKeeper = field(default_factory=FakeKeeper)
    facts: list[Fact] = field(default_factory=list)
    ended: float = 0.0

    def __post_init__(self) -> None:
        self.journal.log = self.keeper.log = self.leaf.log

    @property
    def log(self) -> list[str]:
        """Requests and commits, in their order."""
        return self.leaf.log

    @property
    def wire(self) -> list[str]:
        """The requests alone."""
        return [what for what in self.log if what in {"GET", "POST", "DELETE", "LOG", "EVENTS"}]

    @property
    def end(self) -> Entry:
        """The one outcome."""
        (outcome,) = self.journal.outcomes
        return outcome

    def shared(
        self,
        stop: StopSignal | None = None,
        slots: Slots | None = None,
        leaf: Connection | None = None,
        clock: Callable[[], datetime] = now,
        brake: ReplacementBrake | None = None,
    ) -> Onboarding:
        """What all rows share. Only inside a loop."""
        stop = stop or StopSignal()
        return Onboarding(
            RowContext(
                self.journal,
                self.policy,
                stop,
                self.facts.append,
                slots or Slots(8),
                draw=lambda: 0.5,
                now=clock,
            ),
            leaf=leaf or self.leaf,
            keeper=self.keeper,
            brake=brake or ReplacementBrake(stop),
        )

    def run(self, given: Callable[[], Row] = row, later: float = 100.0) -> Entry:
        """Let one row live to its end, and Leaf do all that is on its way; the outcome."""

        async def main() -> None:
            clock = asyncio.get_running_loop().time
            began = clock()
            await self.shared().onboard(given())
            self.ended = clock() - began
            await asyncio.sleep(later)

        warp(main())
        return self.end


@dataclass
class PacedWorld:
    """Leaf for many growers, by turns of one pace."""

    pace: Pace
    world: FakeWorld = field(default_factory=FakeWorld)

    @property
    def rate(self) -> float:
        return self.pace.rate

    def of(self, _provider: str) -> PacedWorld:
        return self

    async def ask(
        self, leaf_user_id: str, ours: Payload, sent: Sent = unheard, *, urgent: bool = False
    ) -> Answer[Verdict]:
        await self.pace.turn(urgency=Urgency.CONTINUE if urgent else Urgency.BEGIN)
        return await self.world.ask(leaf_user_id, ours, sent)

    async def history(self, leaf_user_id: str, sent: Sent = unheard) -> Answer[LogVerdict]:
        await self.pace.turn(urgency=Urgency.CONTINUE)
        return await self.world.history(leaf_user_id, sent)

    async def post(
        self, leaf_user_id: str, payload: Payload, sent: Sent = unheard, *, still_valid: StillValid = always
    ) -> Answer[Verdict]:
        if await self.pace.turn(urgency=Urgency.COMPLETE, still_valid=still_valid) is None:
            return Answer(NotSent())
        return await self.world.post(leaf_user_id, payload, sent)

    async def delete(
        self, leaf_user_id: str, sent: Sent = unheard, *, still_valid: StillValid = always
    ) -> Answer[Verdict]:
        if await self.pace.turn(urgency=Urgency.CONTINUE, still_valid=still_valid) is None:
            return Answer(NotSent())
        return await self.world.delete(leaf_user_id, sent)
