"""Decide when the events check of a row has a result, and how it changes the row's entry. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bulk_onboard.domain.entry import OTHERS, Entry, RecordedEvent
from bulk_onboard.domain.model import (
    NOT_AS_ASKED,
    Answer,
    Credential,
    Echo,
    Event,
    Health,
    Payload,
    Status,
    Throttled,
)
from bulk_onboard.domain.timestamps import from_text, to_text
from bulk_onboard.policy.credentials import difference
from bulk_onboard.policy.health import CODES_OF_HEALTH, MAY_CHANGE, NOT_SHOWN_YET, Diagnosis, diagnose
from bulk_onboard.policy.retry import Moment, Next, Policy

# Leaf's logs cover this time: an older event is not missing from a log, it has expired.
LOG_COVERS = timedelta(days=29)
# Codes for different credentials at Leaf take precedence over a missing event.
_DIFFERENCES = frozenset({*NOT_AS_ASKED, "token-changed"})
# Codes that come from the event log, not from the credentials.
_OF_LOG = frozenset({"no-event-yet", "no-events", "provider-refused"})


class Check(NamedTuple):
    """A row to check: its entry, which the findings amend, and when its credentials were stored.

    ``stored_at`` None: long ago, one poll is enough. ``payload``: what the row would store, to compare with.
    ``unless_found``: the row's status if Leaf holds none, with the entry's code if that has one; None if the
    ledger knows that it did. ``again``: the last check found the grower healthy, but is too old.
    """

    entry: Entry
    stored_at: datetime | None = None
    payload: Payload = Payload({})
    unless_found: Status | None = None
    again: bool = False


class Findings(NamedTuple):
    """The result of one poll. ``credential`` None: Leaf holds none. ``answered`` False: Leaf did not answer.

    ``has_log`` False: Leaf keeps no event log for these credentials. ``log``, ``shown``: the replies to the
    request for events and to the one for the credentials; None if it was not sent.
    """

    credential: Credential | None
    event: Event | None
    answered: bool = True
    has_log: bool = True
    log: Answer[Any] | None = None
    shown: Answer[Any] | None = None

    @property
    def throttled(self) -> Throttled | None:
        """The latest reply, if that was a 429."""
        latest = self.shown or self.log
        return latest.verdict if latest and isinstance(latest.verdict, Throttled) else None

    @property
    def settled(self) -> bool:
        """Whether waiting longer cannot change the result: gone, refused, or good."""
        if not self.answered:
            return False
        diagnosis = diagnose(self.credential, self.event, has_events=self.has_log)
        refused = self.event is not None and self.event.status_code >= 400
        return diagnosis.code not in MAY_CHANGE or (refused and diagnosis.health is Health.UNHEALTHY)


UNANSWERED = Findings(None, None, answered=False)
# Avoids the second request of a poll if the first shows that it is too early.
NO_EVENT_YET = Findings(Credential("", "", None, Echo.UNKNOWN), None)


class CheckProgress(NamedTuple):
    """The progress of a check.

    ``ends``: seconds from its first request to the end of the wait for an event.
    """

    ends: float
    polls: int = 0
    failures: int = 0
    throttles: int = 0


def decide(
    progress: CheckProgress,
    findings: Findings,
    policy: Policy,
    moment: Moment,
    *,
    wait: float,
    lags: bool,
    missing: bool,
) -> Next[CheckProgress] | Findings:
    """Return when to poll again, or the findings if they are the result.

    ``wait``: seconds for which unanswered polls are repeated, and those that ``lags`` or ``missing`` is true
    of. ``lags``: Leaf shows no credentials, but a GET may only be late. ``missing``: an event on record is
    not shown.
    """
    if not findings.answered or lags or missing:
        progress = progress._replace(ends=max(progress.ends, wait))
    remaining = progress.ends - moment.elapsed
    if findings.answered:
        if remaining <= 0 or (findings.settled and not lags):
            return findings
        progress = progress._replace(polls=progress.polls + 1)
        pause = policy.backoff * 2.0 ** min(progress.polls, 16)
        return Next(progress, min(remaining, policy.backoff_cap / 4, pause))
    if findings.throttled:
        progress = progress._replace(throttles=progress.throttles + 1)
        after = policy.after_throttle(progress.throttles, findings.throttled.after, moment)
        return findings if after is None else Next(progress, after)
    progress = progress._replace(failures=progress.failures + 1)
    after = policy.after_failure(progress.failures, None, moment)
    if after is None and remaining <= 0:
        return findings
    return Next(progress, policy.wait(progress.failures, moment.draw) if after is None else after)


def still_on_record(event: RecordedEvent | None, shown: Credential | None, now: datetime) -> bool:
    """Return whether an event on record is of the credentials that Leaf shows, and still in Leaf's log."""
    shown_id = shown.id if shown else ""
    if event is None or (event.credential_id and shown_id and event.credential_id != shown_id):
        return False
    at = from_text(event.event_at)
    return not (at and at < now - LOG_COVERS)


def amended(
    check: Check, findings: Findings, recorded: RecordedEvent | None, now: datetime, *, fresh: bool
) -> tuple[Entry, Health | None]:
    """Return the row's entry after a check, and its health; None if that is not known.

    ``recorded``: the event on record, if the findings show none. ``fresh``: a reply confirmed these
    credentials so recently that a GET may lag behind it.
    """
    entry = check.entry
    if not findings.answered:
        return _described_by(_unanswered(entry, recorded), findings.shown or findings.log), None
    if fresh and findings.credential is None:
        pending = _with(entry, NOT_SHOWN_YET, None, None)
        return _described_by(pending, findings.shown), NOT_SHOWN_YET.health
    if check.unless_found is not None:
        if findings.credential is None:
            code = entry.code or "not-connected"
            return entry._replace(status=check.unless_found.value, code=code), None
        entry = entry._replace(
            status=Status.EXISTING.value,
            code=difference(findings.credential),
            message="",
            fingerprint=_known_by(findings.credential, entry.fingerprint),
        )
    event = findings.event
    if recorded and not event:
        event = Event(recorded.event_status, from_text(recorded.event_at))
    diagnosis = diagnose(findings.credential, event, has_events=findings.has_log)
    checked = entry._replace(health_checked_at=to_text(now))
    if fresh:
        checked = _with_created_time(checked, findings.credential)
    amended = _with(checked, diagnosis, findings.credential, event)
    if amended.code == diagnosis.code and diagnosis.code:
        of_log = diagnosis.code in _OF_LOG or findings.shown is None
        amended = _described_by(amended, findings.log if of_log else findings.shown)
    return amended, diagnosis.health


def _described_by(entry: Entry, reply: Answer[Any] | None) -> Entry:
    """Return the entry with the HTTP status and time of the reply that its code comes from."""
    if reply is None:
        return entry
    return entry._replace(http_status=reply.http_status, latency_ms=round(reply.seconds * 1000, 1))


def _with_created_time(entry: Entry, shown: Credential | None) -> Entry:
    """Return the entry of new credentials with their createdTime, where only a GET shows it."""
    missing = entry.status == Status.CREATED.value and not entry.credential_created
    if not missing or shown is None or shown.id != entry.credential_id or shown.app is Echo.DIFFERENT:
        return entry
    return entry._replace(credential_created=shown.created_time)


def _unanswered(entry: Entry, recorded: RecordedEvent | None) -> Entry:
    """Return the entry with the result of an earlier check, and the time of that check."""
    since = f"; the health is as of {entry.health_checked_at}" if entry.health_checked_at else ""
    entry = entry._replace(code="check-failed", message=f"Leaf did not answer the events check{since}")
    if recorded and not entry.event_status:
        entry = entry._replace(event_status=recorded.event_status, event_at=recorded.event_at)
    return entry


def _known_by(credential: Credential, fingerprint: str) -> str:
    if difference(credential) != "already-connected":
        return OTHERS
    return fingerprint if credential.echo is Echo.SAME else ""


def _with(entry: Entry, diagnosis: Diagnosis, credential: Credential | None, event: Event | None) -> Entry:
    # A rollback must not mistake other credentials for those that the row stored.
    ours = entry.status == Status.CREATED.value and entry.credential_id
    shown = None if ours or not (credential and credential.id) else credential
    says = diagnosis.code and not (diagnosis.code == "no-event-yet" and entry.code in _DIFFERENCES)
    return entry._replace(
        health=diagnosis.health.value,
        code=diagnosis.code if says else "" if entry.code in CODES_OF_HEALTH else entry.code,
        message=diagnosis.message if says else "" if entry.code in CODES_OF_HEALTH else entry.message,
        credential_id=shown.id if shown else entry.credential_id,
        credential_created=shown.created_time if shown else entry.credential_created,
        credential_status=credential.status or entry.credential_status if credential else "",
        event_status=(event.status_code or None) if event else None,
        event_at=to_text(event.at) if event else "",
    )
