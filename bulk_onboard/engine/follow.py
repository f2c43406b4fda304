"""The events check: is a stored credential accepted by the provider? Asked until there is a first event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bulk_onboard.engine.census import Census
from bulk_onboard.engine.onboard import utc_now
from bulk_onboard.engine.ports import Connection, Journal, Sent
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.entry import OTHERS, Entry
from bulk_onboard.facts import Observer, RowChecked
from bulk_onboard.health import GOOD_STATUS, NOT_SHOWN_YET, Diagnosis, diagnose
from bulk_onboard.model import Absent, Credential, Echo, Event, Events, Exists, Health, Payload, Status
from bulk_onboard.policy.credentials import Policy
from bulk_onboard.stamp import to_text


class Check(NamedTuple):
    """A row to look at: its entry, which the findings amend, and when its credentials were stored.

    ``stored_at`` None: long ago, one look is enough. ``payload``: what the row would store, to compare with.
    ``unless_found``: the row's status if Leaf holds none, with the entry's code if that has one; None if the
    ledger knows that it did.
    """

    entry: Entry
    stored_at: datetime | None = None
    payload: Payload = Payload({})
    unless_found: Status | None = None


class Findings(NamedTuple):
    """What one look found: ``credential`` None if Leaf holds none; ``told`` False if Leaf would not say."""

    credential: Credential | None
    event: Event | None
    told: bool = True


# Saves the second request of a look while the first says that it is too early.
_NO_EVENT_YET = Findings(Credential("", "", None, Echo.UNKNOWN), None)


@dataclass(frozen=True, slots=True)
class Following:
    """What all checks share. ``wait`` is seconds from storing until a row without event is pending."""

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

    async def check(self, check: Check, under_way: Callable[[], None] = lambda: None) -> None:
        """Look until there is a verdict of the provider or the wait is over; commit what was found.

        ``under_way`` is called when a request of the row goes out.
        """
        fresh = self._left(check) > 0
        findings = await self._look_until_told(check, under_way)
        if self.census and findings.told and not findings.credential and _is_on_the_lists_word(check.entry):
            self._deny(check.entry)
            return
        entry, health = _amended(check, findings, fresh=fresh)
        self.journal.settle(entry)
        self.observer(RowChecked(entry.row, health))

    def _left(self, check: Check) -> float:
        """Seconds that are left to wait for a first event of what was stored."""
        long_ago = datetime.min.replace(tzinfo=UTC)
        ends = (check.stored_at or long_ago) + timedelta(seconds=self.wait)
        return (ends - self.now()).total_seconds()

    async def _look_until_told(self, check: Check, under_way: Sent) -> Findings:
        looks = 0
        while True:
            left = self._left(check)
            findings = await self._look(check, under_way, final=left <= 0)
            lags = findings.told and findings.credential is None
            if left <= 0 or (_is_told(findings) and not lags):
                return findings
            looks += 1
            wait = min(left, self.policy.backoff_cap / 4, self.policy.backoff * 2.0**looks)
            if not await self.stop.pause(wait):
                return findings

    async def _look(self, check: Check, under_way: Sent, *, final: bool) -> Findings:
        """One look; answers that say nothing are asked again, as often as the policy allows."""
        for failures in range(self.policy.attempts):
            async with self.slots:
                findings = await self._ask(check, under_way, final=final)
            if findings.told:
                return findings
            if not await self.stop.pause(self.policy.wait(failures + 1, self.draw())):
                break
        return Findings(None, None, told=False)

    async def _ask(self, check: Check, under_way: Sent, *, final: bool) -> Findings:
        leaf, leaf_user_id = self.leaf.of(check.entry.provider), check.entry.leaf_user_id
        events = (await leaf.events(leaf_user_id, under_way)).verdict
        if not isinstance(events, Events | Absent):
            return Findings(None, None, told=False)
        latest = events.latest if isinstance(events, Events) else None
        if latest is None and not final:
            return _NO_EVENT_YET
        if latest is not None and (listed := self._listed(check)):
            return Findings(listed, latest)
        held = (await leaf.ask(leaf_user_id, check.payload)).verdict
        match held:
            case Exists(credential):
                return Findings(credential, latest)
            case Absent(usual=True):
                return Findings(None, None)
            case _:
                return Findings(None, None, told=False)

    def _listed(self, check: Check) -> Credential | None:
        """The credentials as listed, where that is enough: they are good, and no POST is unsettled."""
        if self.census is None or check.unless_found is Status.UNRESOLVED:
            return None
        hint = self.census.hint(check.entry.provider, check.entry.leaf_user_id, check.payload)
        credential = hint.credential if isinstance(hint, Exists) else None
        return credential if credential and credential.status.upper() == GOOD_STATUS else None

    def _deny(self, entry: Entry) -> None:
        """The row was not asked about, because its grower is listed as connected; but is not."""
        assert self.census is not None  # noqa: S101  (narrows the type)
        self.journal.settle(entry._replace(status=Status.NOT_ATTEMPTED.value, code="", message=""))
        self.census.deny(entry.row, entry.leaf_user_id)
        self.observer(RowChecked(entry.row, None))


def _is_on_the_lists_word(entry: Entry) -> bool:
    """Whether this run calls the grower connected without having asked for that one."""
    return entry.status == Status.EXISTING.value and bool(entry.started_at) and entry.http_status is None


def _is_told(findings: Findings) -> bool:
    """Whether waiting longer can change nothing: gone, refused, or good."""
    if not findings.told or findings.credential is None:
        return True
    diagnosis = diagnose(findings.credential, findings.event)
    return diagnosis.code not in {"no-event-yet", "bad-status"}


def _amended(check: Check, findings: Findings, *, fresh: bool) -> tuple[Entry, Health | None]:
    """``fresh``: a reply confirmed these credentials so lately that a GET may lag behind it."""
    entry = check.entry
    if not findings.told:
        return entry._replace(code="check-failed", message="Leaf did not answer the events check"), None
    if fresh and findings.credential is None:
        return _with(entry, NOT_SHOWN_YET, findings)
    if check.unless_found is not None:
        if findings.credential is None:
            code = entry.code or "not-connected"
            return entry._replace(status=check.unless_found.value, code=code), None
        echo = findings.credential.echo
        entry = entry._replace(
            status=Status.EXISTING.value,
            code="token-changed" if echo is Echo.DIFFERENT else "already-connected",
            message="",
            fingerprint=_known_by(echo, entry.fingerprint),
        )
    return _with(entry, diagnose(findings.credential, findings.event), findings)


def _known_by(echo: Echo, fingerprint: str) -> str:
    match echo:
        case Echo.SAME:
            return fingerprint
        case Echo.DIFFERENT:
            return OTHERS
        case Echo.UNKNOWN:
            return ""


def _with(entry: Entry, diagnosis: Diagnosis, findings: Findings) -> tuple[Entry, Health]:
    credential, event = findings.credential, findings.event
    # That Leaf holds another token is worth more to know than that nothing has been heard of it yet.
    told = diagnosis.code and not (diagnosis.code == "no-event-yet" and entry.code == "token-changed")
    # Of what the row stored: somebody else's credentials in its place must not pass for it in a rollback.
    ours = entry.status == Status.CREATED.value and entry.credential_id
    shown = None if ours else credential
    amended = entry._replace(
        health=diagnosis.health.value,
        code=diagnosis.code if told else _code_of_health_removed(entry.code),
        message=diagnosis.message if told else entry.message,
        credential_id=shown.id if shown and shown.id else entry.credential_id,
        credential_created=shown.created_time if shown and shown.id else entry.credential_created,
        credential_status=credential.status or entry.credential_status if credential else "",
        event_status=event.status_code if event else None,
        event_at=to_text(event.at) if event else "",
    )
    return amended, diagnosis.health


def _code_of_health_removed(code: str) -> str:
    """A row that recovered no longer says why it was unwell."""
    return "" if code in {"no-event-yet", "provider-refused", "bad-status", "credentials-gone"} else code
