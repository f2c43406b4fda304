"""The two tables of the health: which event decides, and what it says together with Leaf's status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.codes import CODES
from bulk_onboard.domain.model import Credential, Echo, Event, Health
from bulk_onboard.policy.health import deciding_event, diagnose

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
STATUSES = ["OK", "ok", "", "UNAUTHENTICATED", "MISSING_PERMISSION", "TEMPORARILY_UNAVAILABLE", "NEW_WORD"]
statuses = st.sampled_from(STATUSES)
dates = st.none() | st.integers(-800, 800).map(lambda hours: NOW + timedelta(hours=hours))
events = st.builds(Event, st.sampled_from([0, 200, 204, 301, 400, 401, 503, 999]), dates)


def held(status: str = "OK") -> Credential:
    return Credential("c-1", status, None, Echo.UNKNOWN)


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


@pytest.mark.parametrize(
    ("log", "decides"),
    [
        ([], None),
        ([(401, ago(2)), (200, ago(1))], 200),
        ([(401, ago(1)), (200, ago(2))], 401),
        ([(200, ago(-99_999)), (401, ago(0))], 401),
        ([(401, ago(-99_999)), (200, ago(0))], 401),
        ([(200, ago(-0.05)), (401, ago(1))], 200),
        ([(401, None), (200, ago(1))], 401),
        ([(200, None), (401, ago(1))], 401),
        ([(200, None), (401, None), (200, None)], 401),
        ([(401, ago(1)), (200, ago(1))], 401),
        ([(400, ago(1)), (200, ago(1))], 400),
        ([(200, ago(2)), (0, ago(1))], 0),
        ([(0, ago(2)), (200, ago(1))], 200),
        ([(401, ago(2)), (0, ago(1))], 401),
        ([(0, None), (200, ago(1))], 0),
    ],
)
def test_which_event_decides(log: list[tuple[int, datetime | None]], decides: int | None) -> None:
    for found in (log, log[::-1]):
        event = deciding_event([Event(code, date) for code, date in found], NOW)
        assert (event and event.status_code) == decides


@given(st.lists(events, max_size=6))
def test_an_event_that_may_be_the_newest_and_is_an_error_is_never_overruled(log: list[Event]) -> None:
    event = deciding_event(log, NOW)
    assert (event is None) is (not log)
    if event and diagnose(held(), event).health is Health.HEALTHY:
        assert event.status_code
        dates = [
            each.at for each in log if each.at and each.at <= NOW + timedelta(minutes=5) and each.status_code
        ]
        newest = max(dates, default=NOW - timedelta(days=365))
        rest = [
            each
            for each in log
            if each.at is None or each.at > NOW + timedelta(minutes=5) or each.at >= newest
        ]
        assert all(100 <= each.status_code < 400 for each in rest)


@pytest.mark.parametrize(
    ("credential", "code", "health", "expected"),
    [
        (None, None, "unhealthy", "credentials-gone"),
        (None, 200, "unhealthy", "credentials-gone"),
        (held(), None, "pending", "no-event-yet"),
        (held(), 0, "pending", "no-event-yet"),
        (held(), 200, "healthy", ""),
        (held("ok"), 204, "healthy", ""),
        (held(""), 399, "healthy", ""),
        (held(""), None, "pending", "no-event-yet"),
        (held(), 400, "unhealthy", "provider-refused"),
        (held(""), 503, "unhealthy", "provider-refused"),
        (held("UNAUTHENTICATED"), 200, "unhealthy", "consent-needed"),
        (held("unauthenticated"), 401, "unhealthy", "consent-needed"),
        (held("UNAUTHENTICATED"), None, "unhealthy", "consent-needed"),
        (held("MISSING_PERMISSION"), 403, "unhealthy", "permission-missing"),
        (held("TEMPORARILY_UNAVAILABLE"), None, "pending", "provider-unavailable"),
        (held("TEMPORARILY_UNAVAILABLE"), 200, "pending", "provider-unavailable"),
        (held("TEMPORARILY_UNAVAILABLE"), 503, "pending", "provider-unavailable"),
        (held("TEMPORARILY_UNAVAILABLE"), 429, "pending", "provider-unavailable"),
        (held("TEMPORARILY_UNAVAILABLE"), 401, "unhealthy", "provider-refused"),
        *((held("TEMPORARILY_UNAVAILABLE"), code, "pending", "provider-unavailable") for code in (408, 500)),
        *(
            (held("TEMPORARILY_UNAVAILABLE"), code, "unhealthy", "provider-refused")
            for code in (400, 409, 499)
        ),
        (held("NEW_WORD"), 200, "unhealthy", "bad-status"),
        (held("NEW_WORD"), None, "unhealthy", "bad-status"),
        (held("NEW_WORD"), 401, "unhealthy", "provider-refused"),
    ],
)
def test_what_status_and_event_say_together(
    credential: Credential | None, code: int | None, health: str, expected: str
) -> None:
    found = diagnose(credential, None if code is None else Event(code, NOW))
    assert (found.health.value, found.code) == (health, expected)


@pytest.mark.parametrize("status", ["OK", "UNAUTHENTICATED", "TEMPORARILY_UNAVAILABLE", "NEW_WORD", ""])
@pytest.mark.parametrize("code", [0, 200, 401, None])
def test_a_diagnosis_names_the_status_and_the_event_that_it_goes_by(status: str, code: int | None) -> None:
    found = diagnose(held(status), None if code is None else Event(code, NOW))
    if found.health is not Health.HEALTHY:
        assert (f"status {status}" if status else "no status shown") in found.message
        assert (str(code) in found.message) is bool(code)


def test_a_provider_without_event_logs_is_named_as_the_reason() -> None:
    found = diagnose(held(), None, has_events=False)
    assert (found.health, found.code) == (Health.PENDING, "no-events")
    assert diagnose(held("UNAUTHENTICATED"), None, has_events=False).code == "consent-needed"


@given(st.none() | statuses.map(held), st.none() | events)
def test_every_health_but_healthy_has_a_code_that_is_explained(
    credential: Credential | None, event: Event | None
) -> None:
    found = diagnose(credential, event)
    assert bool(found.code) is (found.health is not Health.HEALTHY)
    assert bool(found.message) is bool(found.code)
    assert not found.code or found.code in CODES
