"""The events check: does the provider accept stored credentials? Polled until there is a first event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bulk_onboard.domain.entry import Entry, RecordedEvent
from bulk_onboard.domain.model import (
    Absent,
    Ambiguous,
    Answer,
    Credential,
    Events,
    Exists,
    Health,
    Payload,
    Status,
    Verdict,
)
from bulk_onboard.domain.run_events import RowChecked
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.engine.driver import RowContext, RowLife
from bulk_onboard.engine.ports import Connection, Sent
from bulk_onboard.engine.user_list import ListedUsers
from bulk_onboard.policy.checks import (
    NO_EVENT_YET,
    UNANSWERED,
    Check,
    CheckProgress,
    Findings,
    amended,
    decide,
    still_on_record,
)
from bulk_onboard.policy.credentials import STRAY
from bulk_onboard.policy.health import GOOD_STATUSES
from bulk_onboard.policy.ownership import is_attributed
from bulk_onboard.policy.retry import Moment, Next
from bulk_onboard.policy.user_list import page_is_enough
from bulk_onboard.threads import in_thread

# What the ledger holds of a grower's newest event, seen by an earlier run; None if there is none.
Recall = Callable[[Entry], RecordedEvent | None]

# After this many growers without a log, the run no longer waits for logs of the provider.
ENOUGH = 3


class EventLogs:
    """The providers that keep event logs, as far as Leaf's answers in this run show."""

    def __init__(self) -> None:
        self._having: set[str] = set()
        self._missing: defaultdict[str, int] = defaultdict(int)

    def seen(self, provider: str) -> None:
        """Record that Leaf showed a log; it may have been empty."""
        self._having.add(provider)

    def missing(self, provider: str) -> None:
        """Record a grower with credentials but, at the end of the wait, without a log."""
        self._missing[provider] += 1

    def lacks(self, provider: str, growers: int = 1) -> bool:
        """Return whether at least ``growers`` had no log, and none had one."""
        return provider not in self._having and self._missing[provider] >= growers

    @property
    def lacking(self) -> list[str]:
        """The providers for which no grower had a log."""
        return sorted(provider for provider in self._missing if self.lacks(provider))


@dataclass(frozen=True, slots=True)
class EventsCheck:
    """The values that all checks share.

    ``wait``: seconds from storing until a row without an event is pending, and for which polls are repeated
    that failed or are empty although an event was seen before. ``recall`` returns that event.
    """

    context: RowContext
    leaf: Connection
    wait: float
    listed: ListedUsers | None = None
    recall: Recall = lambda _entry: None
    logs: EventLogs = field(default_factory=EventLogs)

    async def check(self, check: Check, under_way: Sent = lambda: None) -> None:
        """Poll until the provider has given a verdict or the wait is over; commit the result.

        ``under_way`` is called when a request of the row goes out.
        """
        if check.again and (confirmed := self._confirmed_by_page(check.entry)):
            self.context.journal.settle(confirmed)
            self.context.observer(RowChecked(confirmed.row, Health.HEALTHY))
        else:
            await _CheckRow(self, check, under_way).live()

    def _confirmed_by_page(self, entry: Entry) -> Entry | None:
        """Return the entry as of now, if Leaf's list of users is enough to check the grower again."""
        hint = self.listed.hint(entry.provider, entry.leaf_user_id, Payload({})) if self.listed else None
        credential = hint.credential if isinstance(hint, Exists) else None
        if credential is None or not page_is_enough(
            entry.health, entry.credential_id, credential.id, credential.status
        ):
            return None
        time = to_text(self.context.now())
        return entry._replace(credential_status=credential.status, health_checked_at=time)

    def credential_in_list(self, check: Check) -> Credential | None:
        """Return the credentials as listed, where that is enough: they are good, and no POST is unsettled."""
        if self.listed is None or check.unless_found is Status.UNRESOLVED:
            return None
        hint = self.listed.hint(check.entry.provider, check.entry.leaf_user_id, check.payload)
        credential = hint.credential if isinstance(hint, Exists) else None
        return credential if credential and credential.status.upper() in GOOD_STATUSES else None

    def seconds_left(self, check: Check) -> float:
        """Return for how long a first event is waited for, and a GET may lag behind the reply to the POST."""
        if check.stored_at is None:
            return 0.0
        return max(0.0, self.wait - (self.context.now() - check.stored_at).total_seconds())


class _CheckRow(RowLife[CheckProgress, Findings]):
    """One row that is checked. ``recorded``: the event on record, once it was needed."""

    def __init__(self, shared: EventsCheck, check: Check, under_way: Sent) -> None:
        seconds = shared.seconds_left(check)
        super().__init__(shared.context, CheckProgress(seconds), under_way)
        self._shared, self._check, self._leaf = shared, check, shared.leaf.of(check.entry.provider)
        self._fresh, self._checked_from = seconds > 0, shared.context.now()
        self._recorded: RecordedEvent | None = None

    async def act(self) -> Answer[Findings]:
        """Poll Leaf, and recall the event on record if the poll shows none."""
        findings = await self._poll()
        if not findings.settled and self._recorded is None:
            self._recorded = await self._recall(findings)
        return Answer(findings)

    def decide(self, answer: Answer[Any], moment: Moment) -> Next[CheckProgress] | Findings:
        """Return when to poll again, or the result."""
        findings: Findings = answer.verdict
        shown, policy = findings.credential is not None, self.context.policy
        # A reply has just confirmed the credentials, or no check has seen an event of theirs since.
        may_lag = self._fresh or self._check.entry.health == Health.PENDING.value
        lags = findings.answered and not shown and may_lag
        missing = self._recorded is not None and findings.event is None and shown
        wait = self._shared.wait
        return decide(self.progress, findings, policy, moment, wait=wait, lags=lags, missing=missing)

    def stopped(self, _code: str) -> Findings | None:
        """Return the result of the latest poll."""
        return self.replies[-1].verdict if self.replies else None

    def settle(self, end: Findings) -> None:
        """Commit the result, and report it."""
        entry, listed = self._check.entry, self._shared.listed
        if listed and end.answered and not end.credential and _is_only_listed(entry):
            # The row was not asked about, because its grower is listed as connected; but it is not.
            unsent = entry._replace(status=Status.NOT_ATTEMPTED.value, code="", message="")
            self.context.journal.settle(unsent)
            listed.deny(entry.row, entry.leaf_user_id)
            self.context.observer(RowChecked(entry.row, None))
            return
        checked = amended(self._check, end, self._recorded, self.context.now(), fresh=self._fresh)
        self.context.journal.settle(checked[0])
        self.context.observer(RowChecked(entry.row, checked[1]))

    async def _recall(self, findings: Findings) -> RecordedEvent | None:
        """Return the event on record of the credentials that Leaf shows, unless Leaf's log has lost it."""
        entry, recorded = self._check.entry, None
        if entry.event_status:
            recorded = RecordedEvent(entry.credential_id, entry.event_status, entry.event_at)
        elif self._check.stored_at is None:
            recorded = await in_thread(partial(self._shared.recall, entry))
        return recorded if still_on_record(recorded, findings.credential, self._checked_from) else None

    async def _poll(self) -> Findings:
        provider, leaf_user_id = self._check.entry.provider, self._check.entry.leaf_user_id
        logs, final = self._shared.logs, self.elapsed >= self.progress.ends
        log = await self._leaf.events(leaf_user_id, self.under_way)
        verdict = log.verdict
        if not isinstance(verdict, Events | Absent):
            return UNANSWERED._replace(log=log)
        event = verdict.latest if isinstance(verdict, Events) else None
        if isinstance(verdict, Events):
            logs.seen(provider)
        lacking = isinstance(verdict, Absent) and logs.lacks(provider, ENOUGH)
        if event is None and not final and not lacking:
            return NO_EVENT_YET._replace(log=log)
        if event is not None and (listed := self._shared.credential_in_list(self._check)):
            return Findings(listed, event, log=log)
        shown = await self._ask()
        match shown.verdict:
            case Exists(credential):
                if isinstance(verdict, Absent):
                    logs.missing(provider)
                has_log = not logs.lacks(provider)
                return Findings(credential, event, has_log=has_log, log=log, shown=shown)
            case Absent(usual=True):
                return Findings(None, None, log=log, shown=shown)
            case _:
                return UNANSWERED._replace(log=log, shown=shown)

    async def _ask(self) -> Answer[Verdict]:
        """Ask Leaf for the credentials, twice if the first reply may be about another grower."""
        entry, seen = self._check.entry, ""
        while True:
            answer = await self._leaf.ask(entry.leaf_user_id, self._check.payload)
            shown = answer.verdict.credential if isinstance(answer.verdict, Exists) else None
            if shown is None or is_attributed(shown, entry.credential_id, seen):
                return answer
            if seen:
                return answer._replace(verdict=Ambiguous(STRAY, "Leaf shows other credentials each time"))
            seen = shown.id


def _is_only_listed(entry: Entry) -> bool:
    """Return whether this run calls the grower connected without having asked about it."""
    return entry.status == Status.EXISTING.value and bool(entry.started_at) and entry.http_status is None
