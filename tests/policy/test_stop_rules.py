"""Which rows count when a run decides whether to stop early."""

from __future__ import annotations

import pytest

from bulk_onboard.domain.entry import Entry
from bulk_onboard.policy.stop_rules import EarlierAttempt, canary_reason, earlier_attempt

NONE, FAILED, UNSETTLED = EarlierAttempt


@pytest.mark.parametrize(
    ("status", "recorded", "attempt"),
    [
        ("rejected", ("print", 7), FAILED),
        ("failed", ("print", 7), FAILED),
        ("failed", ("print", 0), FAILED),  # an application that is not known
        ("failed", ("print", 8), NONE),
        ("rejected", ("other", 7), NONE),
        ("unresolved", ("print", 7), UNSETTLED),
        (None, ("print", 7), UNSETTLED),
        (None, ("other", 7), NONE),
        ("not_attempted", ("print", 7), NONE),
        ("invalid", ("print", 7), NONE),
        ("existing", ("print", 7), NONE),
    ],
)
def test_only_the_same_content_was_attempted_before(
    status: str | None, recorded: tuple[str, int], attempt: EarlierAttempt
) -> None:
    assert earlier_attempt(status, recorded, ("print", 7)) is attempt


def test_a_canary_names_the_rows_that_are_not_healthy() -> None:
    sick = [
        Entry(3, "rejected", "g-3", code="leaf:no"),
        Entry(4, "created", "g-4", health="pending", code="no-event-yet"),
        Entry(5, "not_attempted"),
        Entry(6, "created", "g-6", health="unhealthy"),
    ]
    assert canary_reason(9, sick[:1]) == "1 of 9 canary rows is not healthy: row 3 (g-3) is rejected, leaf:no"
    assert canary_reason(9, sick) == (
        "4 of 9 canary rows are not healthy: row 3 (g-3) is rejected, leaf:no,"
        " row 4 (g-4) is pending, no-event-yet, row 5 is not attempted and 1 more"
    )
