"""The Leaf user of one grower: look up, create, look again, until it is known or there is an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Answer, Status
from bulk_onboard.domain.run_events import RowFinished, UserKnown
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.domain.users import (
    CreateUserVerdict,
    LookUpVerdict,
    UnresolvedGrower,
    UserKey,
    UserOrigin,
    UserRecord,
)
from bulk_onboard.engine.driver import RowContext, RowLife
from bulk_onboard.engine.ports import Sent, UserCalls, UserJournal
from bulk_onboard.policy.retry import Moment, Next
from bulk_onboard.policy.users import (
    WOULD_CREATE,
    Ended,
    Known,
    UserAction,
    UserProgress,
    UserStep,
    begin,
    decide,
    posting,
    stopped,
)


@dataclass(frozen=True, slots=True)
class UserCreation:
    """What is shared by the look-ups of all users.

    ``journal`` None: a dry run, which only looks. ``known`` gets the leafUserId of each grower that has one
    now, ``ended`` the outcome of each other grower, both by its rows.
    """

    context: RowContext
    calls: UserCalls
    journal: UserJournal | None
    known: dict[tuple[int, ...], str]
    ended: dict[tuple[int, ...], Ended]

    @property
    def would_create(self) -> int:
        """How many users a dry run would create."""
        return sum(end.status is Status.WOULD_CREATE for end in self.ended.values())

    async def resolve(self, grower: UnresolvedGrower, under_way: Sent = lambda: None) -> None:
        """Find or create one grower's user. Raises LoginRefused, LeafUnavailable and LedgerError.

        ``under_way`` is called when a request goes out.
        """
        await _UserRow(self, grower, under_way).live()


class _UserRow(RowLife[UserProgress, Known | Ended]):
    """One grower without a leafUserId. It keeps its slot, so that no other row creates the same user."""

    def __init__(self, shared: UserCreation, grower: UnresolvedGrower, under_way: Sent) -> None:
        super().__init__(shared.context, begin(grower, shared.context.policy), under_way)
        self._shared, self._grower = shared, grower

    async def act(self) -> Answer[LookUpVerdict] | Answer[CreateUserVerdict]:
        """Look the user up, or create it."""
        match self.progress.action:
            case UserAction.LOOK:
                by, value = self._grower.lookups[self.progress.look]
                return await self._shared.calls.look_up(by, value, self.progress.page, self.under_way)
            case UserAction.POST:
                return await self._post()
            case never:
                assert_never(never)

    async def _post(self) -> Answer[CreateUserVerdict]:
        assert self._shared.journal is not None  # noqa: S101  (a dry run never gets here)
        self.intended = True
        intent = UserRecord(self._grower.keys, intended_at=to_text(self.context.now()))
        await self._shared.journal.intend(intent)
        self.progress = posting(self.progress)
        answer = await self._shared.calls.create_user(self._grower.cells, self.changes)
        self.on_the_wire = False
        return answer

    def decide(self, answer: Answer[Any], moment: Moment) -> UserStep:
        """Return what `policy.users.decide` makes of an answer. A dry run ends before the POST."""
        step = decide(self.progress, answer.verdict, self._grower, self.context.policy, moment)
        dry_run = self._shared.journal is None
        if dry_run and isinstance(step, Next) and step.progress.action is UserAction.POST:
            return Ended(Status.WOULD_CREATE, WOULD_CREATE)
        return step

    def stopped(self, code: str) -> Ended:
        """Return the end of a grower stopped in the middle. What is on the wire may be carried out."""
        return stopped(self.progress, code, on_the_wire=self.on_the_wire)

    def settle(self, end: Known | Ended) -> None:
        """Commit the grower's user, or the outcome of all of its rows."""
        rows, shared = self._grower.rows, self._shared
        match end:
            case Known(leaf_user_id):
                self._remember(end)
                shared.known[rows] = leaf_user_id
                for row in rows:
                    self.context.observer(UserKnown(row, created=end.origin is UserOrigin.CREATED))
            case Ended(status, code):
                self._forget(end)
                shared.ended[rows] = end
                for row in rows:
                    self.context.journal.settle(self._entry(row, end))
                    self.context.observer(RowFinished(row, status, code))

    def _remember(self, known: Known) -> None:
        """Record the user. One found by its externalId is not recorded by email: that was not compared."""
        keys = self._grower.keys
        if known.by is UserKey.EXTERNAL_ID and not self._is_intended():
            keys = keys[:1]
        if self._shared.journal is not None:
            self._shared.journal.settle(UserRecord(keys, known.leaf_user_id, known.origin.value))

    def _forget(self, end: Ended) -> None:
        """Close the intent if the user certainly does not exist; an unresolved intent stays open."""
        if self._shared.journal is not None and end.status is not Status.UNRESOLVED and self._is_intended():
            self._shared.journal.settle(UserRecord(self._grower.keys))

    def _is_intended(self) -> bool:
        return self._grower.open_intent or self.progress.posts > 0

    def _entry(self, row: int, end: Ended) -> Entry:
        """Return an entry without a grower: the ledger has no leafUserId to know it by."""
        status, attempts, times = end.status.value, self.progress.posts, self.times(end.code, end.message)
        return Entry(row, status, code=end.code, message=end.message, attempts=attempts, **times)
