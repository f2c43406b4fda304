"""The life of one row that is rolled back: ask, keep the events, delete, until it has its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bulk_onboard.engine.onboard import utc_now
from bulk_onboard.engine.ports import Connection, Journal, Keeper
from bulk_onboard.engine.row_replies import RowReplies
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.entry import Entry
from bulk_onboard.errors import LeafUnavailable, LoginRefused
from bulk_onboard.facts import Observer, RowRolledBack, Trouble
from bulk_onboard.model import Absent, Answer, Log, LogVerdict, NotSent, Payload, Transient, Undone, Verdict
from bulk_onboard.policy.evidence import Evidence
from bulk_onboard.policy.progress import Action, Moment, Next, Policy, deleting
from bulk_onboard.policy.rollback import Ended, Removal, first, stopped, undo
from bulk_onboard.stamp import to_text

# Of a row that stays as it was the ledger goes on knowing what it knew.
_UNTOUCHED = frozenset({Undone.FAILED, Undone.NOT_ATTEMPTED, Undone.WOULD_DELETE})


@dataclass(frozen=True, slots=True)
class Removing:
    """What all rows share. ``slots`` bounds the rows that are at work; waiting rows hold none.

    ``dry_run``: Leaf is asked only. ``draw`` gives random numbers in [0, 1), ``now`` the UTC time.
    """

    leaf: Connection
    journal: Journal
    keeper: Keeper
    policy: Policy
    stop: StopSignal
    observer: Observer
    slots: asyncio.Semaphore
    draw: Callable[[], float]
    dry_run: bool = False
    now: Callable[[], datetime] = utc_now

    async def remove(self, removal: Removal, under_way: Callable[[], None] = lambda: None) -> None:
        """Take one row to its end, and commit that. Raises LoginRefused, LedgerError and OutputError.

        ``under_way`` is called when a request of the row goes out.
        """
        await _Life(self, removal, under_way).live()


class _Life:
    """One row on its way. Mutable, and gone when the row is done."""

    def __init__(self, shared: Removing, removal: Removal, under_way: Callable[[], None]) -> None:
        self._shared, self._removal, self._under_way = shared, removal, under_way
        self._leaf = shared.leaf.of(removal.provider)
        self._progress = first(shared.policy, removal)
        self._on_the_wire = False
        self._clock = asyncio.get_running_loop().time
        self._asked_at = 0.0
        self._evidence: Evidence | None = None
        self._started_at = to_text(shared.now())
        self._replies = RowReplies()

    async def live(self) -> None:
        """Until there is an end, also when interrupted or when our login is refused."""
        try:
            end = await self._to_the_end()
        except LoginRefused:
            self._on_the_wire = False
            self._settle(self._unfinished("login-refused"))
            raise
        except LeafUnavailable:
            self._settle(self._unfinished("leaf-unavailable"))
            raise
        except asyncio.CancelledError:
            if self._replies.latest or self._progress.deletes:
                self._settle(self._unfinished("interrupted"))
            raise
        if end:
            self._settle(end)

    async def _to_the_end(self) -> Ended | None:
        """None: the rollback stopped before this row's turn had come."""
        began: float | None = None
        while True:
            async with self._shared.slots:
                if began is None and self._shared.stop.draining:
                    return None
                began = began or self._clock()
                step = await self._step(began)
                while isinstance(step, Next) and not step.after and step.progress.action is not Action.ASK:
                    self._progress = step.progress
                    step = await self._step(began)
            if isinstance(step, Ended):
                return step
            self._progress = step.progress
            if step.after and not await self._shared.stop.pause(step.after):
                return stopped(step.progress, "interrupted")

    async def _step(self, began: float) -> Ended | Next:
        shared = self._shared
        if self._progress.action is Action.DELETE and shared.stop.draining:
            return stopped(self._progress, "interrupted")
        answer = await self._act()
        self._replies.add(answer)
        if isinstance(answer.verdict, Transient):
            shared.observer(
                Trouble(f"Leaf cannot be reached: {answer.verdict.message or answer.verdict.code}")
            )
        moment = Moment(self._clock() - began, shared.draw())
        return undo(self._progress, answer.verdict, shared.policy, moment, dry_run=shared.dry_run)

    async def _act(self) -> Answer[Verdict] | Answer[LogVerdict]:
        match self._progress.action:
            case Action.SAVE_LOG:
                return await self._save_log()
            case Action.DELETE:
                return await self._delete()
            case _:
                return await self._ask()

    async def _ask(self) -> Answer[Verdict]:
        again = self._replies.latest is not None
        ours = self._removal.app or Payload({})
        answer = await self._leaf.ask(self._removal.leaf_user_id, ours, self._is_asked, urgent=again)
        self._evidence = Evidence(self._asked_at, self._clock())
        return answer

    async def _save_log(self) -> Answer[LogVerdict]:
        removal, old = self._removal, self._progress.old
        assert old is not None  # noqa: S101  (a rollback knows from the start what it deletes)
        answer = await self._leaf.history(removal.leaf_user_id, self._under_way)
        if isinstance(answer.verdict, Log | Absent):
            kept = answer.verdict.events if isinstance(answer.verdict, Log) else ()
            await self._shared.keeper.keep(removal.provider, removal.leaf_user_id, old, kept)
        return answer

    async def _delete(self) -> Answer[Verdict]:
        """DELETE, unless what Leaf last said is too old by then: then it is as if it had not begun."""
        before = self._progress
        self._progress = deleting(before)
        await self._shared.journal.intend(self._entry(None))
        answer = await self._leaf.delete(
            self._removal.leaf_user_id, self._goes_out, still_valid=self._may_delete
        )
        self._on_the_wire = False
        if isinstance(answer.verdict, NotSent):
            self._progress = before
        return answer

    def _may_delete(self) -> bool:
        shared, evidence = self._shared, self._evidence
        is_fresh = evidence and evidence.is_fresh(self._clock(), shared.leaf.rate, self._progress.in_vain)
        return bool(is_fresh) and not shared.stop.draining

    def _is_asked(self) -> None:
        self._asked_at = self._clock()
        self._under_way()

    def _goes_out(self) -> None:
        self._on_the_wire = True
        self._under_way()

    def _unfinished(self, code: str) -> Ended:
        return Ended(Undone.UNRESOLVED, code) if self._on_the_wire else stopped(self._progress, code)

    def _entry(self, status: Undone | None) -> Entry:
        removal = self._removal
        untouched = status in _UNTOUCHED or self._shared.dry_run
        is_deleted = status in {None, Undone.UNRESOLVED, Undone.DELETED}
        return Entry(
            row=removal.number,
            status=status.value if status else None,
            # An entry without a grower is nobody's history.
            leaf_user_id="" if untouched else removal.leaf_user_id,
            attempts=self._progress.deletes,
            credential_id=removal.credential_id,
            credential_created=removal.credential_created,
            deleting=removal.credential_id if is_deleted else "",
            deleting_created=removal.credential_created if is_deleted else "",
            started_at=self._started_at,
            provider=removal.provider,
        )

    def _settle(self, end: Ended) -> None:
        answer = self._replies.deciding(end.code, end.message)
        entry = self._entry(end.status)._replace(
            code=end.code,
            message=end.message,
            http_status=answer.http_status if answer else None,
            finished_at=to_text(self._shared.now()),
            latency_ms=round(answer.seconds * 1000, 1) if answer else None,
        )
        self._shared.journal.settle(entry)
        self._shared.observer(RowRolledBack(self._removal.number, end.status, end.code))
