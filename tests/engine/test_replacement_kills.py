"""A run is killed between every two steps of a replacement: the ledger knows growers left without."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import IfExists, Intent
from bulk_onboard.domain.run_events import RunInfo, ignore
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.first_pass import open_intents
from bulk_onboard.engine.onboard_row import Onboarding
from bulk_onboard.engine.replacement_brake import ReplacementBrake
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.ledger import Ledger
from bulk_onboard.ledger.left_without import left_without
from bulk_onboard.policy.retry import Policy
from bulk_onboard.threads import Slots
from tests.engine.support import hurry
from tests.support.fakes import ID, TOKEN, FakeKeeper, FakeLeaf, row
from tests.support.virtual_time import BEGINNING, now, warp

LEAF, OWNER, OTHER = "https://leaf.example", "me", "planted-other-token"
# A step takes at least 10 ms, Leaf carries out a request 25 ms after it went out.
GRID = 0.01


@dataclass
class LedgerJournal:
    """Writes to the ledger, a moment later; nothing any more once the process is ``dead``."""

    ledger: Ledger
    run_no: int
    scope: int
    dead: bool = False
    steps: list[str] = field(default_factory=list)

    async def intend(self, intent: Entry) -> None:
        await asyncio.sleep(0.01)
        if self.dead:
            await asyncio.Event().wait()
        self.ledger.write(self.run_no, self.scope, [intent], [])
        self.steps.append("intent")

    def settle(self, outcome: Entry) -> None:
        asyncio.get_running_loop().call_later(0.01, self._commit, outcome)

    def _commit(self, outcome: Entry) -> None:
        if not self.dead:
            self.ledger.write(self.run_no, self.scope, [], [outcome])
            self.steps.append("outcome")

    async def flush(self) -> None:
        await asyncio.sleep(0.02)


def begin(ledger: Ledger, run_id: str) -> LedgerJournal:
    info = RunInfo(run_id, "raven", "growers.csv", LEAF, OWNER, BEGINNING)
    scope = ledger.scope(LEAF, OWNER, "raven")
    return LedgerJournal(ledger, ledger.begin(info, scope, "a process"), scope)


async def replace_credentials(
    journal: LedgerJournal, leaf: FakeLeaf, kill_after: float | None = None, intent: Intent | None = None
) -> None:
    stop = StopSignal()
    shared = Onboarding(
        RowContext(journal, Policy(if_exists=IfExists.REPLACE), stop, ignore, Slots(1), lambda: 0.5, now),
        leaf=leaf,
        keeper=FakeKeeper(),
        brake=ReplacementBrake(stop),
    )
    life = asyncio.ensure_future(shared.onboard(row(intent=intent)))
    await asyncio.wait([life], timeout=kill_after)
    if kill_after is not None:
        journal.dead = True
        life.cancel()
    for ended in await asyncio.gather(life, return_exceptions=True):
        assert ended is None or isinstance(ended, asyncio.CancelledError), ended
    await asyncio.sleep(100)  # what went out arrives


def test_a_kill_at_any_step_leaves_no_grower_unreported(tmp_path: Path) -> None:
    seen = set()
    for tick in range(30):
        with Ledger(tmp_path / f"{tick}.sqlite3") as ledger:
            hurry(ledger)
            seen.add(_killed_after(ledger, 0.003 + tick * GRID))
    # Whether Leaf holds credentials, and whether the grower is reported: never neither of both.
    assert seen == {(True, False), (True, True), (False, True)}


def _killed_after(ledger: Ledger, seconds: float) -> tuple[bool, bool]:
    leaf = FakeLeaf(held=OTHER, created=BEGINNING.replace(year=2020))
    first = begin(ledger, "r-1")
    warp(replace_credentials(first, leaf, seconds))
    elsewhere = RunInfo("r-x", "cnhi", "other.csv", LEAF, OWNER, BEGINNING)
    reported = [each.leaf_user_id for each in left_without(ledger, elsewhere)] == [ID]
    state = (leaf.held is not None, reported)
    second = begin(ledger, "r-2")
    line = row()
    lines = pd.DataFrame({"row": [2], "leafUserId": [ID], "fingerprint": [line.fingerprint]})
    intent = dict(open_intents(ledger, second.scope, lines)).get(2)
    if first.steps[-1:] != ["outcome"]:
        warp(replace_credentials(second, leaf, intent=intent))
    assert (leaf.held, leaf.dangerous, leaf.blind, len(leaf.stored)) == (TOKEN, 0, 0, 1), seconds
    assert left_without(ledger, replace(elsewhere, provider="raven")) == []
    return state
