"""The Leaf users that the ledger knows, across runs."""

from __future__ import annotations

import pytest

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.users import UserRecord
from bulk_onboard.errors import LedgerError
from bulk_onboard.ledger import Journal, Ledger
from bulk_onboard.ledger.ledger import no_fence
from bulk_onboard.ledger.users import LedgerUsers, count_users
from bulk_onboard.settings import LedgerPlace
from tests.ledger.support import AT, LEAF, begin, info

ID = "6e4b3f0c-9d4e-4c5b-8a6f-1d2c3b4a5f60"
OTHER = "7e4b3f0c-9d4e-4c5b-8a6f-1d2c3b4a5f60"
ADA, BEN = (b"external-of-ada.", b"email-of-ada...."), (b"email-of-ben....",)
INTENT = UserRecord(ADA, intended_at=AT)


def users_of(ledger: Ledger, owner: str = "me") -> LedgerUsers:
    return LedgerUsers(ledger, LEAF, owner)


def known(found: LedgerUsers) -> dict[bytes, str]:
    table = found.known()
    return dict(zip(table["key"].to_pylist(), table["id"].to_pylist(), strict=True))


def write(
    found: LedgerUsers,
    run_no: int,
    *,
    intents: tuple[UserRecord, ...] = (),
    outcomes: tuple[UserRecord, ...] = (),
) -> None:
    found.write(run_no, 0, intents, outcomes, {}, fence=no_fence)


def test_an_intent_is_open_until_its_outcome_is_known(ledger: Ledger) -> None:
    run_no, _ = begin(ledger)
    mine = users_of(ledger)
    write(mine, run_no, intents=(INTENT,))
    assert (mine.open_keys(), known(mine)) == (frozenset(ADA), {})
    write(mine, run_no, outcomes=(UserRecord(ADA, ID, "created"), UserRecord(BEN, OTHER, "found")))
    assert mine.open_keys() == frozenset()
    assert known(mine) == {ADA[0]: ID, ADA[1]: ID, BEN[0]: OTHER}
    assert count_users(ledger, run_no) == {"created": 1, "found": 1}


def test_an_intent_whose_user_does_not_exist_is_closed(ledger: Ledger) -> None:
    run_no, _ = begin(ledger)
    mine = users_of(ledger)
    write(mine, run_no, intents=(INTENT,))
    write(mine, run_no, outcomes=(UserRecord(ADA),))
    assert (mine.open_keys(), known(mine), count_users(ledger, run_no)) == (frozenset(), {}, {})


def test_an_outcome_replaces_an_intent_of_the_same_commit(ledger: Ledger) -> None:
    run_no, _ = begin(ledger)
    mine = users_of(ledger)
    write(mine, run_no, intents=(INTENT,), outcomes=(UserRecord(ADA, ID, "created"),))
    assert known(mine) == {ADA[0]: ID, ADA[1]: ID}


def test_another_api_owner_has_other_users(ledger: Ledger) -> None:
    run_no, _ = begin(ledger)
    write(users_of(ledger), run_no, outcomes=(UserRecord(ADA, ID, "found"),))
    assert known(users_of(ledger, "other-owner")) == {}
    assert known(users_of(ledger)) != {}


def test_users_that_leaf_has_lost_are_forgotten_except_those_of_the_same_run(ledger: Ledger) -> None:
    first, scope = begin(ledger)
    mine = users_of(ledger)
    write(mine, first, outcomes=(UserRecord(ADA, ID, "created"),))
    second = ledger.begin(info("r-2"), scope, "me")
    write(mine, second, outcomes=(UserRecord(BEN, OTHER, "created"),))
    lost = [Entry(row, "rejected", one, code="no-such-user") for row, one in ((2, ID), (3, OTHER))]
    ledger.write(second, scope, [], lost)
    mine.forget_lost(second)
    assert known(mine) == {BEN[0]: OTHER}


async def test_no_intent_is_written_when_another_run_has_begun_since(place: LedgerPlace) -> None:
    with Ledger(place) as one, Ledger(place) as other:
        run_no, _ = begin(one)
        begin(other, "r-2")
        mine = users_of(one)
        with pytest.raises(LedgerError):
            async with Journal(mine, run_no, 0) as journal:
                await journal.intend(INTENT)
        assert mine.open_keys() == frozenset()


def test_the_ledger_holds_fingerprints_only(ledger: Ledger) -> None:
    """Keys are stored as handed in: keyed fingerprints of 16 bytes."""
    run_no, _ = begin(ledger)
    write(users_of(ledger), run_no, outcomes=(UserRecord(ADA, ID, "created"),))
    assert all(len(key) == 16 for key in known(users_of(ledger)))
