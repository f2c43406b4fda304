"""The health of stored credentials, judged from Leaf's status and the provider's events. Pure.

Which event decides (`deciding_event`). Leaf promises no order, so only dates order events:

| event                                            | judgement                                           |
| ------------------------------------------------ | --------------------------------------------------- |
| dated, `statusCode` readable                     | the newest one decides                              |
| no date, or dated more than `AHEAD` in the future | may be the newest: an error among these decides     |
| `statusCode` below 100, missing or not a status  | as unreadable; never healthy if it may be the newest |
| several that may be the newest                   | the worst: 400 and above, then unreadable, then good |

How a `statusCode` or `createdDate` is read is in `leaf.event_log`.

What status and event say together (`diagnose`), the first line that applies:

| Leaf's status             | deciding event        | health    | code                   |
| ------------------------- | --------------------- | --------- | ---------------------- |
| (no credentials)          | any                   | unhealthy | `credentials-gone`     |
| `UNAUTHENTICATED`         | any                   | unhealthy | `consent-needed`       |
| `MISSING_PERMISSION`      | any                   | unhealthy | `permission-missing`   |
| `TEMPORARILY_UNAVAILABLE` | 4xx but 408, 429      | unhealthy | `provider-refused`     |
| `TEMPORARILY_UNAVAILABLE` | any other, or none    | pending   | `provider-unavailable` |
| any other                 | 400 and above         | unhealthy | `provider-refused`     |
| another word than `OK`    | any other, or none    | unhealthy | `bad-status`           |
| `OK` or none              | the log does not exist | pending  | `no-events`            |
| `OK` or none              | none, or unreadable   | pending   | `no-event-yet`         |
| `OK` or none              | below 400             | healthy   |                        |

Sources: Leaf's public API documentation and its history (docs.withleaf.io, 2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bulk_onboard.domain.model import Credential, Event, Health

# A missing status is neither good nor bad.
GOOD_STATUSES = frozenset({"OK", ""})
# Clocks differ a little; a date further ahead does not come from a correct clock.
AHEAD = timedelta(minutes=5)
# Codes that may disappear with time, so new credentials are polled until their wait is over.
MAY_CHANGE = frozenset(
    {"no-event-yet", "bad-status", "consent-needed", "permission-missing", "provider-unavailable"}
)
CODES_OF_HEALTH = MAY_CHANGE | {"no-events", "provider-refused", "credentials-gone", "check-failed"}

_BY_STATUS = {
    "UNAUTHENTICATED": ("consent-needed", "the provider needs the grower's consent again"),
    "MISSING_PERMISSION": ("permission-missing", "the grower's consent lacks a permission"),
}
_UNAVAILABLE = "TEMPORARILY_UNAVAILABLE"
_OLDEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The health and, unless it is good, the code and the message that say why."""

    health: Health
    code: str = ""
    message: str = ""


# Credentials that a reply has just confirmed, but a GET does not show.
NOT_SHOWN_YET = Diagnosis(Health.PENDING, "no-event-yet", "Leaf does not show the new credentials yet")


def deciding_event(events: Sequence[Event], now: datetime) -> Event | None:
    """The event that decides about the health, None if there are none; ``now``: Leaf's time (UTC)."""
    dates = [event.at if event.at and event.at - now <= AHEAD else None for event in events]
    readable = [date for date, event in zip(dates, events, strict=True) if date and event.status_code]
    newest = max(readable, default=_OLDEST)
    candidates = [event for date, event in zip(dates, events, strict=True) if date is None or date >= newest]
    # The first of the worst events; equal ones do not differ in anything relevant.
    return max(candidates, key=_severity, default=None)


def newest_first(event: Event) -> tuple[bool, datetime, int]:
    """Sort key (descending) of the events that a bounded log keeps: those that may decide come first."""
    return event.at is None, event.at or _OLDEST, _severity(event)


def _severity(event: Event) -> int:
    if event.status_code >= 400:
        return 2
    return 0 if event.status_code else 1


def diagnose(credential: Credential | None, event: Event | None, *, has_events: bool = True) -> Diagnosis:
    """The health by the table above.

    ``credential`` None: Leaf holds none any more. ``event``: the deciding one, None if there is none yet.
    ``has_events`` False: Leaf keeps no event log for this provider.
    """
    if credential is None:
        return Diagnosis(Health.UNHEALTHY, "credentials-gone", "Leaf no longer holds credentials")
    status = credential.status.upper()
    shown = f"status {credential.status}" if credential.status else "no status shown"
    if status in _BY_STATUS:
        code, message = _BY_STATUS[status]
        return Diagnosis(Health.UNHEALTHY, code, f"{message}: {shown}{_and_event(event)}")
    if status == _UNAVAILABLE and not (event and _is_refusal(event.status_code)):
        message = f"the provider is temporarily unavailable: {shown}{_and_event(event)}"
        return Diagnosis(Health.PENDING, "provider-unavailable", message)
    if event and event.status_code >= 400:
        message = f"the provider answered {event.status_code}, {shown}"
        return Diagnosis(Health.UNHEALTHY, "provider-refused", message)
    if status not in GOOD_STATUSES:
        return Diagnosis(Health.UNHEALTHY, "bad-status", f"{shown}{_and_event(event)}")
    if event and event.status_code:
        return Diagnosis(Health.HEALTHY)
    if not has_events:
        return Diagnosis(Health.PENDING, "no-events", f"{shown}; Leaf keeps no events for this provider")
    message = f"{shown}, the newest event has no readable status code" if event else f"{shown}, no event yet"
    return Diagnosis(Health.PENDING, "no-event-yet", message)


def _is_refusal(status_code: int) -> bool:
    """Return whether the provider refused the credentials, rather than being unavailable or busy."""
    return 400 <= status_code < 500 and status_code not in {408, 429}


def _and_event(event: Event | None) -> str:
    return f", the provider answered {event.status_code}" if event and event.status_code else ""
