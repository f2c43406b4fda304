"""Growers that an interrupted replacement left without credentials are known until repaired or dismissed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bulk_onboard.domain.entry import unknown_owner
from bulk_onboard.domain.run_events import RunKind
from bulk_onboard.ledger import Ledger
from bulk_onboard.ledger.left_without import dismiss, left_without
from tests.ledger.support import LEAF, OWNER, begin, info, intent, outcome

GROWER = "00000000-0000-0000-0000-000000000001"


def leave(ledger: Ledger, run_id: str = "r-1", status: str | None = None, owner: str = OWNER) -> int:
    """A run ended amid replacing the grower's credentials, or could not store the new ones."""
    run, scope = begin(ledger, run_id, owner=owner)
    entry = (outcome(2, GROWER, status) if status else intent(2, GROWER))._replace(deleting="c-1")
    ledger.write(run, scope, [] if status else [entry], [entry] if status else [])
    return run


def left(ledger: Ledger, owner: str = OWNER, until: int | None = None, leaf: str = LEAF) -> list[str]:
    found = left_without(ledger, info(leaf=leaf, owner=owner, provider="cnhi"), until)
    return [each.run_id for each in found]


@pytest.mark.parametrize(
    ("status", "certain"),
    [
        (None, False),
        ("unresolved", False),
        ("rejected", True),
        ("failed", True),
        ("not_attempted", True),
        ("created", None),
        ("existing", None),
    ],
)
def test_a_grower_is_left_without_unless_it_is_connected(
    ledger: Ledger, status: str | None, certain: bool | None
) -> None:
    leave(ledger, status=status)
    assert [each.certain for each in left_without(ledger)] == ([] if certain is None else [certain])


def test_left_growers_are_reported_until_connected(ledger: Ledger) -> None:
    first = leave(ledger)
    assert left(ledger) == left(ledger, unknown_owner("1")) == ["r-1"]
    assert left(ledger, "another@example.com") == left(ledger, leaf="https://other.example") == []
    other, scope = begin(ledger, "r-2", provider="cnhi")
    ledger.write(other, scope, [], [outcome(2, GROWER)])  # another provider's credentials
    assert left(ledger) == ["r-1"]
    run, scope = begin(ledger, "r-3")
    ledger.write(run, scope, [], [outcome(7, GROWER)])
    assert left(ledger) == []
    assert left(ledger, until=first) == ["r-1"]


def test_a_run_of_a_possibly_equal_owner_repairs(ledger: Ledger) -> None:
    leave(ledger, owner=unknown_owner("1"))
    run, scope = begin(ledger, "r-2")
    assert left(ledger) == ["r-1"]
    ledger.write(run, scope, [], [outcome(2, GROWER)])
    assert left(ledger) == left_without(ledger) == []


def test_rolled_back_growers_are_not_left_without(ledger: Ledger) -> None:
    scope = ledger.scope(LEAF, OWNER, "raven")
    run = ledger.begin(replace(info(), kind=RunKind.ROLLBACK), scope, "process 1 on here")
    ledger.write(run, scope, [intent(2, GROWER)._replace(deleting="c-1")], [])
    assert left(ledger) == []


def test_a_dismissed_grower_is_reported_again_when_it_is_left_again(ledger: Ledger) -> None:
    leave(ledger)
    assert [each.run_id for each in dismiss(ledger, GROWER)] == ["r-1"]
    assert left(ledger) == []
    assert dismiss(ledger, "00000000-0000-0000-0000-000000000002") == []
    leave(ledger, "r-2", "failed")
    assert left(ledger) == ["r-2"]
    dismiss(ledger, GROWER)
    assert left(ledger) == []
