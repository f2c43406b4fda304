"""Rollback of one row: ask, save the events, delete, ask again, to its end."""

from __future__ import annotations

from dataclasses import dataclass

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Log, RollbackStatus, Verdict
from bulk_onboard.domain.run_events import RowFinished
from bulk_onboard.engine.credentials_row import CredentialsPhase, CredentialsRow
from bulk_onboard.engine.ports import Sent
from bulk_onboard.policy.progress import Action, Progress
from bulk_onboard.policy.retry import Moment, Next
from bulk_onboard.policy.rollback import Ended, Removal, first, stopped, undo

# The ledger's knowledge of a row that stays as it was does not change.
_UNTOUCHED = frozenset({RollbackStatus.FAILED, RollbackStatus.NOT_ATTEMPTED, RollbackStatus.WOULD_DELETE})


@dataclass(frozen=True, slots=True)
class RollingBack(CredentialsPhase):
    """What all rows share that are rolled back. ``dry_run``: Leaf is only asked."""

    dry_run: bool = False

    async def remove(self, removal: Removal, under_way: Sent = lambda: None) -> None:
        """Take one row to its end, and commit that.

        ``under_way`` is called when a request of the row goes out. Raises LoginRefused, LeafUnavailable,
        LedgerError and OutputError.
        """
        await _RollbackRow(self, removal, under_way).live()


class _RollbackRow(CredentialsRow[Removal, Ended]):
    """One row that is rolled back."""

    def __init__(self, shared: RollingBack, removal: Removal, under_way: Sent) -> None:
        progress = first(shared.context.policy, removal)
        super().__init__(shared, removal, progress, under_way)
        self._dry_run = shared.dry_run

    def next_step(self, verdict: Verdict | Log, moment: Moment) -> Ended | Next[Progress]:
        """Return what `undo` makes of an answer."""
        return undo(self.progress, verdict, self.context.policy, moment, dry_run=self._dry_run)

    def keeps_slot(self, progress: Progress) -> bool:
        """Return whether the next step follows before any other row gets the slot."""
        return progress.action is not Action.ASK

    def stopped(self, code: str) -> Ended:
        """Return the end of a row that was stopped in the middle. What is on the wire may be carried out."""
        return Ended(RollbackStatus.UNRESOLVED, code) if self.on_the_wire else stopped(self.progress, code)

    def intent(self) -> Entry:
        """Return what is committed before a DELETE."""
        return self._entry(None)

    def settle(self, end: Ended) -> None:
        """Commit the end, and report it."""
        entry = self._entry(end.status)._replace(
            code=end.code, message=end.message, **self.times(end.code, end.message)
        )
        self.context.journal.settle(entry)
        self.context.observer(RowFinished(self.row.number, end.status, end.code))

    def _entry(self, status: RollbackStatus | None) -> Entry:
        removal = self.row
        untouched = status in _UNTOUCHED or self._dry_run
        is_deleted = status in {None, RollbackStatus.UNRESOLVED, RollbackStatus.DELETED}
        return Entry(
            row=removal.number,
            status=status.value if status else None,
            # An entry without a grower belongs to this run only.
            leaf_user_id="" if untouched else removal.leaf_user_id,
            attempts=self.progress.deletes,
            credential_id=removal.credential_id,
            credential_created=removal.credential_created,
            deleting=removal.credential_id if is_deleted else "",
            deleting_created=removal.credential_created if is_deleted else "",
            started_at=self.started_at,
            provider=removal.provider,
        )
