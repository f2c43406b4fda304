"""What credentials and their latest event say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.codes import CODES
from bulk_onboard.model import Credential, Echo, Event, Health
from bulk_onboard.policy.health import diagnose

statuses = st.sampled_from(["OK", "ok", "PENDING", "ERROR", ""])
events = st.none() | st.builds(Event, st.integers(100, 599), st.none())


def held(status: str = "OK") -> Credential:
    return Credential("c-1", status, None, Echo.UNKNOWN)


@pytest.mark.parametrize(
    ("credential", "event", "health", "code"),
    [
        (None, None, "unhealthy", "credentials-gone"),
        (None, Event(200, None), "unhealthy", "credentials-gone"),
        (held(), None, "pending", "no-event-yet"),
        (held("ERROR"), None, "pending", "no-event-yet"),
        (held(), Event(200, None), "healthy", ""),
        (held("ok"), Event(204, None), "healthy", ""),
        (held(), Event(399, None), "healthy", ""),
        (held(), Event(400, None), "unhealthy", "provider-refused"),
        (held(), Event(503, None), "unhealthy", "provider-refused"),
        (held("ERROR"), Event(200, None), "unhealthy", "bad-status"),
        (held(""), Event(200, None), "unhealthy", "bad-status"),
    ],
)
def test_healthy_takes_a_good_status_and_a_good_event(
    credential: Credential | None, event: Event | None, health: str, code: str
) -> None:
    found = diagnose(credential, event)
    assert (found.health.value, found.code) == (health, code)


@given(st.none() | statuses.map(held), events)
def test_whoever_is_not_healthy_is_told_why_by_a_code_that_is_explained(
    credential: Credential | None, event: Event | None
) -> None:
    found = diagnose(credential, event)
    assert bool(found.code) is (found.health is not Health.HEALTHY)
    assert bool(found.message) is bool(found.code)
    assert not found.code or found.code in CODES
