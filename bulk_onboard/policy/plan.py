"""Keep the rows of a run to its plan: a row gets what the plan says, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from bulk_onboard.domain.model import Credential, IfExists, Recorded, Row, Status
from bulk_onboard.policy.ownership import is_same
from bulk_onboard.policy.progress import Action, Finish, Progress, Step
from bulk_onboard.policy.retry import Next

# The code of a row that has changed since its plan was made.
OUTDATED = "plan-outdated"


class PlanRule(NamedTuple):
    """What a plan allows. ``replaces``: by row, the credentials that the plan says are replaced."""

    replaces: Mapping[int, Recorded]
    mode: IfExists

    def kept_to(self, row: Row, step: Step, before: Progress) -> Step:
        """Return the step if it is in the plan, otherwise the row's end; ``before``: the row's progress."""
        return kept_to(row, step, before, replaces=self.replaces.get(row.number), mode=self.mode)


def kept_to(row: Row, step: Step, before: Progress, *, replaces: Recorded | None, mode: IfExists) -> Step:
    """Return the step if it is in the plan, else the row's end, with nothing done.

    ``replaces``: the credentials that the plan says `would_replace` of; None if it says `would_create`.
    """
    # Once something was sent, the row is finished: a grower must not stay between old and new credentials.
    begun = before.posts or before.deletes or before.unsure or row.open_intent is not None
    untouched = before.action is Action.ASK and not begun
    match step:
        case Next(progress) if progress.action is Action.ASK:
            return step
        case Next(progress) if progress.action is Action.POST:
            return _outdated(Status.NOT_ATTEMPTED, replaces) if replaces and untouched else step
        case Next(progress):
            planned = replaces and (begun or _is_held(progress.old, replaces))
            return step if planned else _outdated(Status.EXISTING, replaces)
        case Finish(Status.EXISTING) if (
            replaces and untouched and mode is IfExists.OVERWRITE and _is_held(step.credential, replaces)
        ):
            return Next(before._replace(action=Action.POST, failures=0))
        case Finish(Status.EXISTING) if not (replaces and begun):
            end = _outdated(Status.EXISTING, replaces)
            return replace(step, code=end.code, message=step.message or end.message)
        case Finish():
            return step


def _is_held(credential: Credential | None, planned: Recorded) -> bool:
    """Return whether Leaf shows the credentials that the plan names."""
    if credential is None or credential.id != planned.id:
        return False
    if not (credential.created_time or planned.created_time):
        return True
    return is_same(credential, planned.id, planned.created_time)


def _outdated(status: Status, replaces: Recorded | None) -> Finish:
    planned = Status.WOULD_REPLACE if replaces else Status.WOULD_CREATE
    holds = "none" if status is Status.NOT_ATTEMPTED else "credentials"
    if replaces and status is Status.EXISTING:
        holds = "other credentials, or those of the file,"
    return Finish(status, OUTDATED, outdated(planned, holds))


def outdated(planned: Status, holds: str) -> str:
    """Return the message that Leaf holds something else than when the plan was made."""
    return f"planned as {planned}, but Leaf now holds {holds}"
