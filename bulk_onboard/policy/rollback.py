"""The next step of a row that is rolled back: a replacement that ends before its POST. Pure.

So the rules of `decide` for a DELETE apply here, too: only the credentials that Leaf has just shown are
deleted, their events are saved first, and after a DELETE without an answer Leaf is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import (
    Absent,
    Credential,
    Echo,
    IfExists,
    Log,
    Payload,
    RollbackStatus,
    Status,
    Verdict,
)
from bulk_onboard.policy.credentials import BARE_LOOKS, decide
from bulk_onboard.policy.progress import Action, Finish, Gone, Progress
from bulk_onboard.policy.progress import stopped as stopped_replacement
from bulk_onboard.policy.retry import Moment, Next, Policy


@dataclass(frozen=True, slots=True)
class Removal:
    """One row with credentials to delete again, if Leaf shows the id and createdTime on record.

    ``credential_created``: their createdTime, "" if Leaf did not show it and the user accepts the id alone.
    ``maybe_deleted``: an earlier rollback may have sent a DELETE with an unknown outcome. ``app``: the app
    fields that they were stored with, to recognise others in their place; None if not known.
    """

    number: int
    provider: str
    leaf_user_id: str
    credential_id: str
    maybe_deleted: bool = False
    credential_created: str = ""
    app: Payload | None = None

    @property
    def payload(self) -> Payload:
        """The values to compare with Leaf's reply."""
        return self.app or Payload({})


@dataclass(frozen=True, slots=True)
class Ended:
    """The row has its end."""

    status: RollbackStatus
    code: str = ""
    message: str = ""


def rollback_policy(policy: Policy) -> Policy:
    """Return the policy of a rollback: that of a run, with permission to delete."""
    return replace(policy, if_exists=IfExists.REPLACE, replace_healthy=True)


def known_outcome(created: Entry, earlier: Entry | None, *, include_unproven: bool) -> Ended | None:
    """Return the end of a created row that needs no question; None for a row to delete.

    ``earlier``: what an earlier rollback did with the row. An id alone identifies nothing across runs, and a
    time alone does not prove that this run stored them, so such rows are skipped unless ``include_unproven``.
    """
    if earlier is not None and earlier.status == RollbackStatus.DELETED.value:
        return Ended(RollbackStatus.DELETED, "already-rolled-back")
    if not created.credential_id:
        return Ended(RollbackStatus.FAILED, "no-credential-id")
    proved = created.credential_created and not created.unproven
    return None if proved or include_unproven else Ended(RollbackStatus.NOT_ATTEMPTED, "unproven")


def removal_of(created: Entry, earlier: Entry | None, app: Payload | None) -> Removal:
    """Return the removal of what a run created; ``app``: the app fields that it was stored with, if known."""
    return Removal(
        created.row,
        created.provider,
        created.leaf_user_id,
        created.credential_id,
        earlier is not None and earlier.status in {None, RollbackStatus.UNRESOLVED.value},
        created.credential_created,
        app,
    )


def entry_before(removal: Removal, known: Ended | None) -> Entry:
    """Return the entry of a row before Leaf is asked.

    It does not belong to a grower, so that it does not change the grower's state in the ledger. A DELETE of
    an earlier rollback with an unknown outcome stays on record.
    """
    maybe_deleted = known is None and removal.maybe_deleted
    ended = known.status if known else RollbackStatus.NOT_ATTEMPTED
    status = RollbackStatus.UNRESOLVED if maybe_deleted else ended
    return Entry(
        removal.number,
        status.value,
        code=known.code if known else "",
        credential_id=removal.credential_id,
        credential_created=removal.credential_created,
        deleting=removal.credential_id if maybe_deleted else "",
        deleting_created=removal.credential_created if maybe_deleted else "",
        provider=removal.provider,
    )


def first(policy: Policy, removal: Removal) -> Progress:
    """Return where a row starts: by asking."""
    app = Echo.SAME if removal.app else Echo.UNKNOWN
    return Progress(
        Action.ASK,
        old=Credential(removal.credential_id, "", None, Echo.UNKNOWN, removal.credential_created, app),
        recalled=bool(removal.credential_created),
        gone=Gone.MAYBE if removal.maybe_deleted else Gone.NO,
        settles_at=policy.settle + policy.overlap if removal.maybe_deleted else 0.0,
    )


def undo(
    progress: Progress, verdict: Verdict | Log, policy: Policy, moment: Moment, *, dry_run: bool = False
) -> Ended | Next[Progress]:
    """Return the next step for a row, given the ``verdict`` on its ``progress.action``.

    ``dry_run``: nothing is deleted. Raises ValueError for Unauthorised, as `decide` does.
    """
    bare = isinstance(verdict, Absent) and verdict.bare and progress.action is Action.ASK
    if bare and progress.looks + 1 < BARE_LOOKS:
        # Once its credentials are gone a row is never checked again, so a broken reply must not count as
        # absence.
        return Next(progress._replace(looks=progress.looks + 1), after=policy.pause)
    match decide(progress, verdict, policy, moment):
        case Finish() as finish:
            return ended(finish)
        case Next(then) if then.action is Action.POST:
            return _nothing_left(progress, then)
        case Next(then) if dry_run and then.action in {Action.SAVE_LOG, Action.DELETE}:
            return Ended(RollbackStatus.WOULD_DELETE)
        case Next() as step:
            return step
        case never:
            assert_never(never)


def stopped(progress: Progress, code: str) -> Ended:
    """Return the end of a row that was in progress when the rollback ended."""
    return ended(stopped_replacement(progress, code))


def ended(finish: Finish) -> Ended:
    """Return what the end of a replacement before its POST means for a rollback."""
    match finish.status:
        case Status.EXISTING:
            return Ended(
                RollbackStatus.CHANGED,
                "credentials-changed",
                "Leaf now holds other credentials; they stay",
            )
        case Status.UNRESOLVED | Status.NOT_ATTEMPTED:
            return Ended(RollbackStatus(finish.status), finish.code, finish.message)
        case _:
            return Ended(RollbackStatus.FAILED, finish.code, finish.message)


def _nothing_left(before: Progress, then: Progress) -> Ended:
    """Return the end of a row without credentials at Leaf, where a replacement would POST now."""
    if then.gone is not Gone.YES:
        return Ended(RollbackStatus.GONE, "already-gone")
    return Ended(RollbackStatus.DELETED, "" if before.action is Action.DELETE else "settled-by-asking")
