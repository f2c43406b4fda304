"""Whoever was taken over writes no intent any more, and so sends nothing."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection

from bulk_onboard.errors import ExitCode, LedgerBusy, LedgerError
from bulk_onboard.ledger import Journal, Ledger
from bulk_onboard.settings import LedgerPlace
from tests.ledger.support import begin, g, intent, outcome


def test_a_replaced_run_writes_outcomes_but_no_intents(place: LedgerPlace) -> None:
    with Ledger(place) as mine, Ledger(place) as theirs:
        run, scope = begin(mine)
        mine.write(run, scope, [intent(2, g(1))], [])
        begin(theirs, "r-2")
        with pytest.raises(LedgerError, match="another run has taken over") as taken:
            mine.write(run, scope, [intent(3, g(2))], [outcome(2, g(1))])
        assert taken.value.exit_code is ExitCode.STOPPED
        assert mine.entries(run) == [intent(2, g(1))]
        mine.write(run, scope, [], [outcome(2, g(1))])
        assert mine.entries(run) == [outcome(2, g(1))]


def test_a_reopened_run_fences_off_its_predecessor(place: LedgerPlace) -> None:
    with Ledger(place) as mine, Ledger(place) as theirs:
        run, scope = begin(mine)
        theirs.take_up()
        with pytest.raises(LedgerError):
            mine.write(run, scope, [intent(2, g(1))], [])
        theirs.write(run, scope, [intent(2, g(1))], [])


def test_several_processes_may_work_on_the_run_that_one_of_them_began(place: LedgerPlace) -> None:
    with Ledger(place) as mine:
        run, scope = begin(mine)
        with Ledger(place, epoch=mine.epoch) as hand:
            hand.write(run, scope, [intent(2, g(1))], [])
            mine.take_up()
            with pytest.raises(LedgerError):
                hand.write(run, scope, [intent(3, g(2))], [])


def test_a_refused_intent_is_not_written_and_raises(place: LedgerPlace) -> None:
    asked: list[bool] = []

    def fence(db: Connection) -> None:
        asked.append(db.in_transaction())
        if len(asked) > 1:
            raise LedgerBusy("somebody else has this part")

    async def run() -> None:
        async with Journal(ledger, *begin(ledger), fence=fence) as journal:
            journal.settle(outcome(2, g(1)))
            await journal.flush()
            journal.settle(outcome(4, g(3)))  # what came of a row is somebody else's to say by now
            with pytest.raises(LedgerBusy, match="this part"):
                await journal.intend(intent(3, g(2)))

    with Ledger(place) as ledger:
        with pytest.raises(LedgerBusy, match="this part"):
            asyncio.run(run())
        assert ledger.entries(1) == [outcome(2, g(1))]
    assert asked == [True, True]
