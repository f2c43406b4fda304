"""The life of one row: ask, delete, post, wait, ask again, to its outcome. Decisions are `decide`'s."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeGuard, assert_never

from bulk_onboard.engine.ports import Connection, Journal, Keeper
from bulk_onboard.engine.replacement_brake import ReplacementBrake
from bulk_onboard.engine.row_replies import RowReplies
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.entry import OTHERS, Entry
from bulk_onboard.errors import LeafUnavailable, LoginRefused
from bulk_onboard.facts import Observer, RowFinished, Trouble
from bulk_onboard.model import (
    Absent,
    Answer,
    Credential,
    Echo,
    Log,
    LogVerdict,
    NotSent,
    Row,
    Status,
    Transient,
    Verdict,
)
from bulk_onboard.policy.credentials import decide, difference, stays
from bulk_onboard.policy.evidence import Evidence
from bulk_onboard.policy.ownership import Owner, as_recorded, owner_of_shown
from bulk_onboard.policy.progress import (
    Action,
    Finish,
    Gone,
    Moment,
    Next,
    Policy,
    Progress,
    Step,
    deleting,
    first,
    posting,
    stopped,
)
from bulk_onboard.policy.replacements import Replaced, result_of
from bulk_onboard.stamp import to_text


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def start(row: Row, policy: Policy) -> Next:
    """Where a row starts of which nothing is known beforehand."""
    return Next(first(policy, row.open_intent, row.stored_as))


class Guide(Protocol):
    """Who knows more of rows than Leaf's answers to them."""

    def begin(self, row: Row, policy: Policy) -> Step:
        """Where a row starts."""

    def review(self, row: Row, progress: Progress, verdict: Verdict | Log, step: Step) -> Step:
        """What to do after an answer, instead of the step that it would lead to."""


class Unguided:
    """Nothing is known of rows beforehand, and nobody objects to what is decided."""

    def begin(self, row: Row, policy: Policy) -> Step:
        """By the policy."""
        return start(row, policy)

    def review(self, _row: Row, _progress: Progress, _verdict: Verdict | Log, step: Step) -> Step:
        """As decided."""
        return step


UNGUIDED = Unguided()


@dataclass(frozen=True, slots=True)
class Onboarding:
    """What all rows share. ``slots`` bounds the rows between an intent and an answer; waiting rows hold none.

    ``draw`` gives random numbers in [0, 1), ``now`` the UTC time. ``keeper`` puts aside what a replacement
    takes away. ``guide`` has the last word on what is done. ``brake`` bounds the replacements.
    """

    leaf: Connection
    journal: Journal
    policy: Policy
    stop: StopSignal
    observer: Observer
    slots: asyncio.Semaphore
    draw: Callable[[], float]
    keeper: Keeper
    brake: ReplacementBrake
    now: Callable[[], datetime] = utc_now
    guide: Guide = UNGUIDED

    def onboard(self, row: Row, under_way: Callable[[], None] = lambda: None) -> Coroutine[None, None, None]:
        """Take one row to its outcome, and commit that. Raises LoginRefused, LedgerError and OutputError.

        ``under_way`` is called when a request of the row goes out.
        """
        return _Life(self, row, under_way).live()


class _Life:
    """One row on its way. Mutable, and gone when the row is done."""

    def __init__(self, shared: Onboarding, row: Row, under_way: Callable[[], None]) -> None:
        self._shared, self._row, self._under_way = shared, row, under_way
        self._leaf = shared.leaf.of(row.provider)
        self._attempts = 0
        self._on_the_wire = False
        self._replaces = False
        self._asked_at = 0.0
        self._evidence: Evidence | None = None
        self._started_at = to_text(shared.now())
        self._intended_at = to_text(row.open_intent.at) if row.open_intent else ""
        self._replies = RowReplies()
        self._begun = shared.guide.begin(row, shared.policy)
        begun = self._begun if isinstance(self._begun, Next) else start(row, shared.policy)
        self._progress = begun.progress

    async def live(self) -> None:
        """Until there is an outcome, also when interrupted or when our login is refused."""
        finish: Finish | None = None
        try:
            finish = await self._to_the_end()
        except LoginRefused:
            self._on_the_wire = False
            finish = self._unfinished("login-refused")
            raise
        except LeafUnavailable:
            finish = self._unfinished("leaf-unavailable")
            raise
        except asyncio.CancelledError:
            if self._replies.latest or self._progress.posted:
                finish = self._unfinished("interrupted")
            raise
        finally:
            if finish:
                self._settle(finish)
            if self._replaces:
                result = result_of(self._progress, finish) if finish else Replaced.NOTHING_DELETED
                self._shared.brake.end(result)

    async def _to_the_end(self) -> Finish | None:
        """None: the run stopped before this row's turn had come."""
        if isinstance(self._begun, Finish):
            return None if self._shared.stop.draining else self._begun
        clock = self._clock = asyncio.get_running_loop().time
        began: float | None = None
        await self._shared.brake.room()
        while True:
            async with self._shared.slots:
                if began is None and self._shared.stop.draining:
                    return None
                began = began or clock()
                step = await self._step(began)
                # Nobody else comes in between: a grower is not without credentials for longer than must be.
                while self._goes_on(step):
                    self._progress = step.progress
                    step = await self._step(began)
            if isinstance(step, Finish):
                return step
            self._progress = step.progress
            if step.after and not await self._shared.stop.pause(step.after):
                return stopped(step.progress, "interrupted")
            if step.progress.action is Action.SAVE_LOG and not await self._may_replace():
                return stopped(step.progress, "interrupted")

    def _goes_on(self, step: Step) -> TypeGuard[Next]:
        """Whether the next step comes at once, without giving the slot back."""
        if isinstance(step, Finish) or step.after or step.progress.action is Action.ASK:
            return False
        return self._replaces or step.progress.action is not Action.SAVE_LOG

    async def _may_replace(self) -> bool:
        """Wait until one more grower may lose the old credentials; no slot is held meanwhile."""
        self._replaces = self._replaces or await self._shared.brake.start()
        return self._replaces

    async def _step(self, began: float) -> Step:
        """Do what is next, and decide what then; ``began``: when the row's first request was due."""
        if self._progress.action is Action.DELETE and self._shared.stop.draining:
            return stopped(self._progress, "interrupted")
        answer = await self._act()
        self._replies.add(answer)
        self._tell_trouble(answer.verdict)
        moment = Moment(self._clock() - began, self._shared.draw())
        step = decide(self._progress, answer.verdict, self._shared.policy, moment)
        return self._shared.guide.review(self._row, self._progress, answer.verdict, step)

    async def _act(self) -> Answer[Verdict] | Answer[LogVerdict]:
        match self._progress.action:
            case Action.ASK:
                return await self._ask()
            case Action.SAVE_LOG:
                return await self._save_log()
            case Action.DELETE | Action.POST:
                return await self._change()
            case never:
                assert_never(never)

    async def _ask(self) -> Answer[Verdict]:
        row = self._row
        under_way = self._replies.latest is not None or row.open_intent is not None
        answer = await self._leaf.ask(row.leaf_user_id, row.payload, self._is_asked, urgent=under_way)
        self._evidence = Evidence(self._asked_at, self._clock())
        return answer._replace(verdict=as_recorded(answer.verdict, row))

    async def _change(self) -> Answer[Verdict]:
        """DELETE or POST; if what Leaf last said is too old by then, it is as if it had not begun."""
        before = self._progress, self._intended_at, self._attempts
        answer = await (self._delete() if self._progress.action is Action.DELETE else self._post())
        self._on_the_wire = False
        if isinstance(answer.verdict, NotSent):
            self._progress, self._intended_at, self._attempts = before
        return answer

    async def _delete(self) -> Answer[Verdict]:
        self._progress = deleting(self._progress)
        await self._shared.journal.intend(self._intent())
        answer = await self._leaf.delete(self._row.leaf_user_id, self._goes_out, still_valid=self._may_delete)
        self._evidence = Evidence(self._asked_at, self._clock())
        return answer

    async def _post(self) -> Answer[Verdict]:
        now = self._shared.now()
        # The latest POST. The next run counts from it how long Leaf may still be at work on one.
        self._intended_at = to_text(now)
        self._progress = posting(self._progress, now)
        await self._shared.journal.intend(self._intent())
        self._attempts += 1
        row = self._row
        return await self._leaf.post(
            row.leaf_user_id, row.payload, self._goes_out, still_valid=self._is_fresh
        )

    def _is_fresh(self) -> bool:
        """Whether what Leaf last said is still young enough to act on."""
        rate, in_vain = self._shared.leaf.rate, self._progress.in_vain
        return self._evidence is None or self._evidence.is_fresh(self._clock(), rate, in_vain)

    def _may_delete(self) -> bool:
        return self._is_fresh() and not self._shared.stop.draining

    async def _save_log(self) -> Answer[LogVerdict]:
        """Save the log of the credentials that are about to be deleted: Leaf deletes it with them."""
        old = self._progress.old
        assert old is not None  # noqa: S101  (only what was shown is replaced)
        answer = await self._leaf.history(self._row.leaf_user_id, self._under_way)
        log = answer.verdict
        if isinstance(log, Log | Absent) and not stays(self._progress, log, self._shared.policy):
            events = log.events if isinstance(log, Log) else ()
            await self._shared.keeper.keep(self._row.provider, self._row.leaf_user_id, old, events)
        return answer

    def _is_asked(self) -> None:
        self._asked_at = self._clock()
        self._under_way()

    def _goes_out(self) -> None:
        self._on_the_wire = True
        self._is_asked()

    def _intent(self) -> Entry:
        return Entry(
            row=self._row.number,
            status=None,
            leaf_user_id=self._row.leaf_user_id,
            fingerprint=self._row.fingerprint,
            attempts=self._attempts + 1,
            intended_at=self._intended_at,
            started_at=self._started_at,
            deleting=self._progress.old.id if self._progress.old else "",
            deleting_created=self._progress.old.created_time if self._progress.old else "",
            app=self._row.app,
            provider=self._row.provider,
        )

    def _is_of_these_secrets(self) -> bool:
        """Whether the POST that is still to be asked for was of the secrets that the row has now."""
        earlier = self._row.open_intent
        return earlier is None or earlier.same or self._progress.posted is not None

    def _unfinished(self, code: str) -> Finish:
        """The end of a row that was stopped in the middle. What is under way may have been done."""
        return Finish(Status.UNRESOLVED, code) if self._on_the_wire else stopped(self._progress, code)

    def _deleted(self, finish: Finish) -> Credential | None:
        """The credentials that a DELETE of ours removed or may have removed."""
        progress = self._progress
        if progress.old and finish.credential and finish.credential.id == progress.old.id:
            return None  # they are still there
        under_way = self._on_the_wire and progress.action is Action.DELETE
        return progress.old if under_way or progress.gone is not Gone.NO else None

    def _settle(self, finish: Finish) -> None:
        credential, row = finish.credential, self._row
        answer = self._replies.deciding(finish.code, finish.message)
        deleted = self._deleted(finish)
        entry = Entry(
            row=row.number,
            status=finish.status.value,
            leaf_user_id=row.leaf_user_id,
            fingerprint=row.fingerprint,
            code=finish.code,
            message=finish.message,
            http_status=answer.http_status if answer else None,
            attempts=self._attempts,
            credential_id=credential.id if credential else "",
            credential_status=credential.status if credential else "",
            credential_created=credential.created_time if credential else "",
            intended_at=self._intended_at,
            started_at=self._started_at,
            finished_at=to_text(self._shared.now()),
            latency_ms=round(answer.seconds * 1000, 1) if answer else None,
            deleting=deleted.id if deleted else "",
            deleting_created=deleted.created_time if deleted else "",
            app=self._stored_app(finish),
            unproven=int(finish.unproven),
            provider=row.provider,
        )
        # What is or may be stored is of other secrets, and must not pass for these the next time.
        other = finish.status is Status.UNRESOLVED and not self._is_of_these_secrets()
        if other or (credential and self._is_of_others(finish.status, credential)):
            shown = credential is not None and difference(credential) != "already-connected"
            entry = entry._replace(fingerprint=OTHERS if shown else "")
        self._shared.journal.settle(entry)
        self._shared.observer(RowFinished(self._row.number, finish.status, finish.code))

    def _stored_app(self, finish: Finish) -> int:
        """The mark of the application that Leaf's credentials are known to be of; 0 if it is not known."""
        shown = finish.credential
        ours = finish.status is not Status.EXISTING or (shown is not None and shown.app is Echo.SAME)
        return self._row.app if ours else 0

    def _is_of_others(self, status: Status, found: Credential) -> bool:
        """Whether what Leaf holds has other secrets than the row, for all that is known."""
        unclear = owner_of_shown(found, self._progress) is Owner.UNCLEAR
        unlike = found.echo is not Echo.SAME or found.app is Echo.DIFFERENT
        return status is Status.EXISTING and unlike and not unclear

    def _tell_trouble(self, verdict: Verdict | Log) -> None:
        if isinstance(verdict, Transient):
            self._shared.observer(Trouble(f"Leaf cannot be reached: {verdict.message or verdict.code}"))
