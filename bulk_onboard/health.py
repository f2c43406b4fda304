"""What credentials and their latest event say about the connection of a grower."""

from __future__ import annotations

from dataclasses import dataclass

from bulk_onboard.model import Credential, Event, Health

GOOD_STATUS = "OK"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The health and, unless it is good, the code and words that say why."""

    health: Health
    code: str = ""
    message: str = ""


# What a reply has just confirmed, and a GET does not show.
NOT_SHOWN_YET = Diagnosis(Health.PENDING, "no-event-yet", "Leaf does not show the new credentials yet")


def diagnose(credential: Credential | None, event: Event | None) -> Diagnosis:
    """``credential`` None: Leaf holds none any more. ``event`` None: the provider has not answered yet.

    Healthy takes both: status OK, and a latest event below 400.
    """
    if credential is None:
        return Diagnosis(Health.UNHEALTHY, "credentials-gone", "Leaf holds no credentials any more")
    if event is None:
        return Diagnosis(
            Health.PENDING, "no-event-yet", f"status {credential.status or 'unknown'}, no event yet"
        )
    if event.status_code >= 400:
        said = f"the provider answered {event.status_code}, status {credential.status or 'unknown'}"
        return Diagnosis(Health.UNHEALTHY, "provider-refused", said)
    if credential.status.upper() != GOOD_STATUS:
        return Diagnosis(Health.UNHEALTHY, "bad-status", f"status {credential.status or 'unknown'}")
    return Diagnosis(Health.HEALTHY)
