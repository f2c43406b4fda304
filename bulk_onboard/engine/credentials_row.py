"""The requests that read, delete or post the credentials of one row, and their safeguards."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, assert_never

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Absent, Answer, Log, LogVerdict, NotSent, Row, Verdict
from bulk_onboard.engine.driver import RowContext, RowLife
from bulk_onboard.engine.ports import Connection, Keeper, Sent
from bulk_onboard.policy.credentials import stays
from bulk_onboard.policy.progress import Action, Evidence, Progress, deleting, posting
from bulk_onboard.policy.retry import Moment, Next
from bulk_onboard.policy.rollback import Removal

E = TypeVar("E")
R = TypeVar("R", Row, Removal)


@dataclass(frozen=True, slots=True)
class CredentialsPhase:
    """The values that all rows share. ``keeper`` saves the events of credentials before they are deleted."""

    context: RowContext
    leaf: Connection
    keeper: Keeper


class CredentialsRow(RowLife[Progress, E], Generic[R, E]):
    """One row and Leaf's last response about its credentials.

    An intent is committed before each DELETE and POST. When its turn comes, the request is sent only if what
    Leaf last said is still young enough to act on.
    """

    def __init__(self, phase: CredentialsPhase, row: R, progress: Progress, under_way: Sent) -> None:
        super().__init__(phase.context, progress, under_way)
        self.row: R = row
        self._connection, self._keeper = phase.leaf, phase.keeper
        self._leaf = phase.leaf.of(row.provider)
        self._clock = asyncio.get_running_loop().time
        self._asked_at = 0.0
        self._evidence: Evidence | None = None
        self.posts_sent = 0

    @abstractmethod
    def intent(self) -> Entry:
        """Return the intent to commit before a DELETE or POST."""

    @abstractmethod
    def next_step(self, verdict: Verdict | Log, moment: Moment) -> Next[Progress] | E:
        """Return what follows from an answer."""

    @abstractmethod
    def stopped(self, code: str) -> E:
        """Return how the row ends that the end of the run leaves unfinished."""

    def decide(self, answer: Answer[Any], moment: Moment) -> Next[Progress] | E:
        """Return what follows from an answer; never a DELETE while the run stops."""
        step = self.next_step(answer.verdict, moment)
        if self.context.stop.draining and isinstance(step, Next) and step.progress.action is Action.DELETE:
            self.progress = step.progress
            return self.stopped("interrupted")
        return step

    def is_begun(self) -> bool:
        """Return whether to complete the row before others start."""
        return bool(self.replies)

    async def act(self) -> Answer[Any]:
        """Send the request that is next."""
        match self.progress.action:
            case Action.ASK:
                return await self.ask()
            case Action.SAVE_LOG:
                return await self._save_log()
            case Action.DELETE | Action.POST:
                return await self._change()
            case never:
                assert_never(never)

    async def ask(self) -> Answer[Verdict]:
        """Ask Leaf for the grower's credentials."""
        row = self.row
        answer = await self._leaf.ask(row.leaf_user_id, row.payload, self._asking, urgent=self.is_begun())
        self._evidence = Evidence(self._asked_at, self._clock())
        return answer

    async def _save_log(self) -> Answer[LogVerdict]:
        """Save the log of the credentials that are about to be deleted: Leaf deletes it with them."""
        row, old = self.row, self.progress.old
        assert old is not None  # noqa: S101  (only what was shown or recorded is deleted)
        answer = await self._leaf.history(row.leaf_user_id, self.under_way)
        log = answer.verdict
        if isinstance(log, Log | Absent) and not stays(self.progress, log, self.context.policy):
            events = log.events if isinstance(log, Log) else ()
            await self._keeper.keep(row.provider, row.leaf_user_id, old, events)
        return answer

    async def _change(self) -> Answer[Verdict]:
        """Send a DELETE or POST, unless Leaf's last response is too old when the turn comes."""
        before = self.progress, self.posts_sent
        self.intended = True
        answer = await (self._delete() if self.progress.action is Action.DELETE else self._post())
        self.on_the_wire = False
        if isinstance(answer.verdict, NotSent):
            self.progress, self.posts_sent = before
        return answer

    async def _delete(self) -> Answer[Verdict]:
        self.progress = deleting(self.progress)
        await self.context.journal.intend(self.intent())
        answer = await self._leaf.delete(self.row.leaf_user_id, self._changing, still_valid=self._may_delete)
        self._evidence = Evidence(self._asked_at, self._clock())
        return answer

    async def _post(self) -> Answer[Verdict]:
        self.progress = posting(self.progress, self.context.now())
        await self.context.journal.intend(self.intent())
        self.posts_sent += 1
        grower, payload = self.row.leaf_user_id, self.row.payload
        return await self._leaf.post(grower, payload, self._changing, still_valid=self._is_fresh)

    def _is_fresh(self) -> bool:
        """Return whether Leaf's last response is recent enough to act on, or Leaf was not asked."""
        rate, in_vain = self._connection.rate, self.progress.in_vain
        return self._evidence is None or self._evidence.is_fresh(self._clock(), rate, in_vain)

    def _may_delete(self) -> bool:
        return self._is_fresh() and not self.context.stop.draining

    def _asking(self) -> None:
        self._asked_at = self._clock()
        self.under_way()

    def _changing(self) -> None:
        self._asked_at = self._clock()
        self.changes()
