"""Onboarding of one row: ask, delete, post, ask again, until it has an outcome.

`decide` makes the decisions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bulk_onboard.domain.entry import OTHERS, Entry
from bulk_onboard.domain.model import Absent, Credential, Echo, Exists, Log, Row, Status, Verdict
from bulk_onboard.domain.run_events import RowFinished
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.engine.credentials_row import CredentialsPhase, CredentialsRow
from bulk_onboard.engine.ports import Sent
from bulk_onboard.engine.replacement_brake import Replaced, ReplacementBrake, result_of
from bulk_onboard.policy.credentials import decide, difference
from bulk_onboard.policy.ownership import Owner, as_recorded, owner_of_shown
from bulk_onboard.policy.plan import PlanRule
from bulk_onboard.policy.progress import Action, Finish, Gone, Progress, Step, first, stopped
from bulk_onboard.policy.retry import Moment, Next
from bulk_onboard.policy.user_list import begin

# The answer to a GET as far as it is known beforehand, None if Leaf has to be asked.
Hint = Callable[[Row], Exists | Absent | None]


def no_hint(_row: Row) -> None:
    """Know nothing beforehand."""


@dataclass(frozen=True, slots=True)
class Onboarding(CredentialsPhase):
    """The values that all onboarded rows share.

    ``brake`` limits the replacements; ``hint`` returns what Leaf's list of users shows of a row; ``plan``, if
    there is one, has the last word on each step.
    """

    brake: ReplacementBrake
    hint: Hint = no_hint
    plan: PlanRule | None = None

    async def onboard(self, row: Row, under_way: Sent = lambda: None) -> None:
        """Process one row until it has an outcome, and commit the outcome.

        ``under_way`` is called when a request of the row goes out. Raises LoginRefused, LeafUnavailable,
        LedgerError and OutputError.
        """
        start = first(self.context.policy, row.open_intent, row.stored_as)
        step = self.begin(row, start)
        life = self.life(row, step.progress if isinstance(step, Next) else start, under_way)
        if isinstance(step, Next):
            await life.onboard()
        elif not self.context.stop.draining:
            life.settle(step)

    def begin(self, row: Row, start: Progress) -> Step:
        """Return the row's first step, or its end."""
        if self.plan and row.number in self.plan.replaces:
            return Next(start)  # what is replaced is asked about singly
        return self.review(row, start, begin(row, start, self.hint(row), self.context.policy))

    def review(self, row: Row, before: Progress, step: Step) -> Step:
        """Return what to do, given the step that was decided; ``before``: how far the row was."""
        return self.plan.kept_to(row, step, before) if self.plan else step

    def life(self, row: Row, progress: Progress, under_way: Sent) -> OnboardRow:
        """Return the row with its state."""
        return OnboardRow(self, row, progress, under_way)


class OnboardRow(CredentialsRow[Row, Finish]):
    """One row that is onboarded."""

    def __init__(self, shared: Onboarding, row: Row, progress: Progress, under_way: Sent) -> None:
        super().__init__(shared, row, progress, under_way)
        self._brake, self._review = shared.brake, shared.review
        self._replaces = False
        self._finish: Finish | None = None

    async def onboard(self) -> None:
        """Drive the row to its end, and report the result of a replacement to the brake."""
        if not self._brake.has_room:
            await self._brake.room()
        try:
            await self.live()
        finally:
            if self._replaces:
                finish = self._finish
                result = result_of(self.progress, finish) if finish else Replaced.NOTHING_DELETED
                self._brake.end(result)

    def is_begun(self) -> bool:
        """Return whether the row is to be completed before others begin."""
        return super().is_begun() or self.row.open_intent is not None

    def next_step(self, verdict: Verdict | Log, moment: Moment) -> Step:
        """Return the decision of `decide` and the plan about an answer."""
        if self.progress.action is Action.ASK and not isinstance(verdict, Log):
            verdict = as_recorded(verdict, self.row)
        step = decide(self.progress, verdict, self.context.policy, moment)
        return self._review(self.row, self.progress, step)

    def keeps_slot(self, progress: Progress) -> bool:
        """Return whether the next step follows at once: a grower is not without credentials for longer."""
        if progress.action is Action.SAVE_LOG:
            return self._replaces
        return progress.action is not Action.ASK

    async def admitted(self) -> bool:
        """Wait until one more grower may lose the old credentials."""
        if self.progress.action is Action.SAVE_LOG and not self._replaces:
            self._replaces = await self._brake.start()
            return self._replaces
        return True

    def stopped(self, code: str) -> Finish:
        """Return the end of a row that was stopped in the middle.

        A request in flight may still be carried out.
        """
        return Finish(Status.UNRESOLVED, code) if self.on_the_wire else stopped(self.progress, code)

    def intent(self) -> Entry:
        """Return what is committed before a DELETE or POST."""
        old = self.progress.old
        return self._entry(
            None,
            self.row.fingerprint,
            started_at=self.started_at,
            attempts=self.posts_sent + 1,
            deleting=old.id if old else "",
            deleting_created=old.created_time if old else "",
            app=self.row.app,
        )

    def settle(self, end: Finish) -> None:
        """Commit the outcome, and report it."""
        self._finish = end
        credential, deleted = end.credential, self._deleted(end)
        fingerprint = self.row.fingerprint
        # What is or may be stored has other secrets, and must not pass for these the next time.
        other = end.status is Status.UNRESOLVED and not self._is_of_these_secrets()
        if other or (credential and self._is_of_others(end.status, credential)):
            shown = credential is not None and difference(credential) != "already-connected"
            fingerprint = OTHERS if shown else ""
        entry = self._entry(
            end.status,
            fingerprint,
            code=end.code,
            message=end.message,
            attempts=self.posts_sent,
            credential_id=credential.id if credential else "",
            credential_status=credential.status if credential else "",
            credential_created=credential.created_time if credential else "",
            deleting=deleted.id if deleted else "",
            deleting_created=deleted.created_time if deleted else "",
            app=self._stored_app(end),
            unproven=int(end.unproven),
            **self.times(end.code, end.message),
        )
        self.context.journal.settle(entry)
        self.context.observer(RowFinished(self.row.number, end.status, end.code))

    def _entry(self, status: Status | None, fingerprint: str, **values: Any) -> Entry:
        """The next run counts from the latest POST how long Leaf may still be at work on it."""
        row, intent = self.row, self.row.open_intent
        posted = self.progress.posted or (intent.at if intent else None)
        return Entry(
            row=row.number,
            status=status.value if status else None,
            leaf_user_id=row.leaf_user_id,
            fingerprint=fingerprint,
            intended_at=to_text(posted),
            provider=row.provider,
            **values,
        )

    def _is_of_these_secrets(self) -> bool:
        """Return whether the POST that is still to be asked about was of the secrets that the row has now."""
        earlier = self.row.open_intent
        return earlier is None or earlier.same or self.progress.posted is not None

    def _deleted(self, finish: Finish) -> Credential | None:
        """Return the credentials that a DELETE of ours removed or may have removed."""
        progress = self.progress
        if progress.old and finish.credential and finish.credential.id == progress.old.id:
            return None  # they are still there
        under_way = self.on_the_wire and progress.action is Action.DELETE
        return progress.old if under_way or progress.gone is not Gone.NO else None

    def _stored_app(self, finish: Finish) -> int:
        """Return the mark of the application that Leaf's credentials are known to be of; 0 if unknown."""
        shown = finish.credential
        ours = finish.status is not Status.EXISTING or (shown is not None and shown.app is Echo.SAME)
        return self.row.app if ours else 0

    def _is_of_others(self, status: Status, shown: Credential) -> bool:
        """Return whether Leaf probably holds different secrets from the row's."""
        unclear = owner_of_shown(shown, self.progress) is Owner.UNCLEAR
        unlike = shown.echo is not Echo.SAME or shown.app is Echo.DIFFERENT
        return status is Status.EXISTING and unlike and not unclear
