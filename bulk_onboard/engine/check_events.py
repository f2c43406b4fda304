"""The events check: does the provider accept a stored credential? Polled until there is a first event."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from bulk_onboard.engine.census import Census
from bulk_onboard.engine.ports import Connection, Journal, Sent
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.entry import OTHERS, Entry, RecordedEvent
from bulk_onboard.facts import Observer, RowChecked
from bulk_onboard.model import (
    NOT_AS_ASKED,
    Absent,
    Answer,
    Credential,
    Echo,
    Event,
    Events,
    Exists,
    Health,
    Payload,
    Status,
    Throttled,
)
from bulk_onboard.policy.credentials import difference
from bulk_onboard.policy.health import (
    CODES_OF_HEALTH,
    GOOD_STATUSES,
    MAY_CHANGE,
    NOT_SHOWN_YET,
    Diagnosis,
    diagnose,
)
from bulk_onboard.policy.recheck import page_is_enough
from bulk_onboard.policy.retry import Policy
from bulk_onboard.stamp import from_text, to_text, utc_now
from bulk_onboard.threads import in_thread

# What the ledger holds of a grower's newest event, seen by an earlier run; None if there is none.
Recall = Callable[[Entry], RecordedEvent | None]

# Leaf's logs cover so long: an older event is not missing from one, it has left it.
LOG_COVERS = timedelta(days=29)
# That Leaf holds something else is worth more to know than that no event has come yet.
DIFFERENCES = frozenset({*NOT_AS_ASKED, "token-changed"})
# Growers without a log that are waited for, before a provider without logs is waited for no longer.
ENOUGH = 3


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
    """What one poll found. ``credential`` None: Leaf holds none. ``answered`` False: Leaf did not answer.

    ``has_log`` False: Leaf keeps no event log for these credentials. ``log``, ``shown``: the replies to the
    request for events and to the one for the credentials; None if there was no such request.
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


# Codes that come from the event log, not from the credentials.
_OF_LOG = frozenset({"no-event-yet", "no-events", "provider-refused"})
_UNANSWERED = Findings(None, None, answered=False)
# Saves the second request of a poll while the first says that it is too early.
_NO_EVENT_YET = Findings(Credential("", "", None, Echo.UNKNOWN), None)


class EventLogs:
    """Which providers keep event logs, as learned from Leaf's answers in this run."""

    def __init__(self) -> None:
        self._having: set[str] = set()
        self._missing: defaultdict[str, int] = defaultdict(int)

    def seen(self, provider: str) -> None:
        """Leaf showed a log, though it may have been empty."""
        self._having.add(provider)

    def missing(self, provider: str) -> None:
        """Leaf shows a grower's credentials, and at the end of the wait still no log."""
        self._missing[provider] += 1

    def lacks(self, provider: str, growers: int = 1) -> bool:
        """Whether no grower had a log, and at least so many did not."""
        return provider not in self._having and self._missing[provider] >= growers

    @property
    def lacking(self) -> list[str]:
        """The providers for which no grower had a log."""
        return sorted(provider for provider in self._missing if self.lacks(provider))


@dataclass(frozen=True, slots=True)
class EventsCheck:
    """What all checks share.

    ``wait``: seconds from storing until a row without an event is pending, and for which answers are asked
    for again that failed or are empty although an event was seen before. ``recall``: that event.
    """

    leaf: Connection
    journal: Journal
    policy: Policy
    stop: StopSignal
    observer: Observer
    slots: asyncio.Semaphore
    draw: Callable[[], float]
    wait: float
    now: Callable[[], datetime] = utc_now
    census: Census | None = None
    recall: Recall = lambda _entry: None
    logs: EventLogs = field(default_factory=EventLogs)

    async def check(self, check: Check, under_way: Callable[[], None] = lambda: None) -> None:
        """Poll until the provider has given a verdict or the wait is over; commit what was found.

        ``under_way`` is called when a request of the row goes out.
        """
        if check.again and (listed := self._confirmed_by_page(check.entry)):
            self.journal.settle(listed)
            self.observer(RowChecked(listed.row, Health.HEALTHY))
            return
        fresh = self.now() < self._ends(check)
        findings, recorded = await self._poll_until_settled(check, under_way)
        if self.census and findings.answered and not findings.credential and _is_only_listed(check.entry):
            self._deny(check.entry)
            return
        entry, health = _amended(check, findings, recorded, self.now(), fresh=fresh)
        self.journal.settle(entry)
        self.observer(RowChecked(entry.row, health))

    def _ends(self, check: Check) -> datetime:
        """Until when a first event is waited for, and a GET may lag behind the reply to the POST."""
        stored_at = check.stored_at or datetime.min.replace(tzinfo=UTC)
        return stored_at + timedelta(seconds=self.wait)

    def _may_lag(self, check: Check, began: datetime) -> bool:
        """Whether a GET that shows nothing may only be late: a reply has just confirmed the credentials, or
        no check has seen an event of theirs since.
        """
        return began < self._ends(check) or check.entry.health == Health.PENDING.value

    async def _poll_until_settled(
        self, check: Check, under_way: Sent
    ) -> tuple[Findings, RecordedEvent | None]:
        """The last findings, and the event on record if they show none."""
        wait, began, ends = timedelta(seconds=self.wait), self.now(), self._ends(check)
        recorded: RecordedEvent | None = None
        polls = failures = throttles = 0
        while True:
            async with self.slots:
                findings = await self._poll(check, under_way, final=self.now() >= ends)
            if not findings.answered or not _is_settled(findings):
                recorded = recorded or await self._recorded(check, findings, began)
            lags = findings.answered and findings.credential is None and self._may_lag(check, began)
            if not findings.answered or lags or (recorded and not findings.event and findings.credential):
                ends = max(ends, began + wait)
            left = (ends - self.now()).total_seconds()
            if findings.answered:
                if left <= 0 or (_is_settled(findings) and not lags):
                    return findings, recorded
                polls += 1
                pause = min(left, self.policy.backoff_cap / 4, self.policy.backoff * 2.0 ** min(polls, 16))
            elif findings.throttled:
                throttles += 1
                pause = findings.throttled.after or self.policy.wait(throttles, self.draw())
                if (self.now() - began).total_seconds() + pause > self.policy.patience:
                    return findings, recorded
            else:
                failures += 1
                if failures >= self.policy.attempts and left <= 0:
                    return findings, recorded
                pause = self.policy.wait(failures, self.draw())
            if not await self.stop.pause(pause):
                return findings, recorded

    async def _recorded(self, check: Check, findings: Findings, now: datetime) -> RecordedEvent | None:
        """The event on record of the very credentials that Leaf shows, unless Leaf's log has outlived it."""
        entry = check.entry
        found: RecordedEvent | None = None
        if entry.event_status:
            found = RecordedEvent(entry.credential_id, entry.event_status, entry.event_at)
        elif check.stored_at is None:
            found = await in_thread(partial(self.recall, entry))
        held = findings.credential.id if findings.credential else ""
        if found is None or (found.credential_id and held and found.credential_id != held):
            return None
        at = from_text(found.event_at)
        return None if at and at < now - LOG_COVERS else found

    async def _poll(self, check: Check, under_way: Sent, *, final: bool) -> Findings:
        provider, leaf_user_id = check.entry.provider, check.entry.leaf_user_id
        leaf = self.leaf.of(provider)
        log = await leaf.events(leaf_user_id, under_way)
        verdict = log.verdict
        if not isinstance(verdict, Events | Absent):
            return _UNANSWERED._replace(log=log)
        event = verdict.latest if isinstance(verdict, Events) else None
        if isinstance(verdict, Events):
            self.logs.seen(provider)
        lacking = isinstance(verdict, Absent) and self.logs.lacks(provider, ENOUGH)
        if event is None and not final and not lacking:
            return _NO_EVENT_YET._replace(log=log)
        if event is not None and (listed := self._listed(check)):
            return Findings(listed, event, log=log)
        shown = await leaf.ask(leaf_user_id, check.payload)
        match shown.verdict:
            case Exists(credential):
                if isinstance(verdict, Absent):
                    self.logs.missing(provider)
                has_log = not self.logs.lacks(provider)
                return Findings(credential, event, has_log=has_log, log=log, shown=shown)
            case Absent(usual=True):
                return Findings(None, None, log=log, shown=shown)
            case _:
                return _UNANSWERED._replace(log=log, shown=shown)

    def _listed(self, check: Check) -> Credential | None:
        """The credentials as listed, where that is enough: they are good, and no POST is unsettled."""
        if self.census is None or check.unless_found is Status.UNRESOLVED:
            return None
        hint = self.census.hint(check.entry.provider, check.entry.leaf_user_id, check.payload)
        credential = hint.credential if isinstance(hint, Exists) else None
        return credential if credential and credential.status.upper() in GOOD_STATUSES else None

    def _confirmed_by_page(self, entry: Entry) -> Entry | None:
        """The entry as of now, if Leaf's list of users is enough to check the grower again."""
        hint = self.census.hint(entry.provider, entry.leaf_user_id, Payload({})) if self.census else None
        credential = hint.credential if isinstance(hint, Exists) else None
        if credential is None or not page_is_enough(
            entry.health, entry.credential_id, credential.id, credential.status
        ):
            return None
        time = to_text(self.now())
        return entry._replace(credential_status=credential.status, health_checked_at=time)

    def _deny(self, entry: Entry) -> None:
        """The row was not asked about, because its grower is listed as connected; but is not."""
        assert self.census is not None  # noqa: S101  (narrows the type)
        self.journal.settle(entry._replace(status=Status.NOT_ATTEMPTED.value, code="", message=""))
        self.census.deny(entry.row, entry.leaf_user_id)
        self.observer(RowChecked(entry.row, None))


def _is_only_listed(entry: Entry) -> bool:
    """Whether this run calls the grower connected without having asked for that one."""
    return entry.status == Status.EXISTING.value and bool(entry.started_at) and entry.http_status is None


def _is_settled(findings: Findings) -> bool:
    """Whether waiting longer can change nothing: gone, refused, or good."""
    if not findings.answered:
        return False
    diagnosis = diagnose(findings.credential, findings.event, has_events=findings.has_log)
    refused = findings.event is not None and findings.event.status_code >= 400
    return diagnosis.code not in MAY_CHANGE or (refused and diagnosis.health is Health.UNHEALTHY)


def _amended(
    check: Check, findings: Findings, recorded: RecordedEvent | None, now: datetime, *, fresh: bool
) -> tuple[Entry, Health | None]:
    """``fresh``: a reply confirmed these credentials so lately that a GET may lag behind it."""
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
    """The entry with the status and the time of the reply that its code and message come from."""
    if reply is None:
        return entry
    return entry._replace(http_status=reply.http_status, latency_ms=round(reply.seconds * 1000, 1))


def _with_created_time(entry: Entry, shown: Credential | None) -> Entry:
    """The entry of fresh credentials with their createdTime, where only a GET shows it."""
    missing = entry.status == Status.CREATED.value and not entry.credential_created
    if not missing or shown is None or shown.id != entry.credential_id or shown.app is Echo.DIFFERENT:
        return entry
    return entry._replace(credential_created=shown.created_time)


def _unanswered(entry: Entry, recorded: RecordedEvent | None) -> Entry:
    """What an earlier check found stays, with the time of that check."""
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
    # Other credentials in the place of what the row stored must not pass for it in a rollback.
    ours = entry.status == Status.CREATED.value and entry.credential_id
    shown = None if ours or not (credential and credential.id) else credential
    says = diagnosis.code and not (diagnosis.code == "no-event-yet" and entry.code in DIFFERENCES)
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
