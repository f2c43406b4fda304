"""What a run would do with a row: the same decisions, ended before anything is changed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bulk_onboard.domain.model import IfExists, Requests, Row, Status
from bulk_onboard.domain.run_events import Estimate
from bulk_onboard.policy.progress import Action, Finish, Step
from bulk_onboard.policy.retry import Next, Policy

# The credentials that would be replaced are healthy.
REPLACES_HEALTHY = "replaces-healthy"
# Of the events check of one row: its events, and its credentials.
CHECK = 2


def asking(policy: Policy) -> Policy:
    """Return the policy of a dry run: it asks even where the run would post without asking."""
    return replace(policy, if_exists=IfExists.SKIP) if policy.if_exists is IfExists.OVERWRITE else policy


def asks(mode: IfExists) -> bool:
    """Return whether a run asks Leaf before it posts."""
    return mode is not IfExists.OVERWRITE


def before_change(row: Row, step: Step, mode: IfExists) -> Step:
    """Return the step, or the row's end with the intended change if the step would change something."""
    match step:
        case Next(progress) if progress.action in {Action.ASK, Action.SAVE_LOG}:
            return step
        case Next(progress) if progress.action is Action.POST:
            unsettled = row.open_intent is not None
            message = "an earlier POST is unsettled: Leaf is asked again before anything is sent"
            return Finish(Status.WOULD_CREATE, *(("open-intent", message) if unsettled else ()))
        case Next(progress):
            code = REPLACES_HEALTHY if progress.works else ""
            return Finish(Status.WOULD_REPLACE, code, credential=progress.old)
        case Finish(Status.EXISTING) if mode is IfExists.OVERWRITE and row.open_intent is None:
            return Finish(Status.WOULD_REPLACE, credential=step.credential)
        case Finish(Status.CREATED):
            return replace(step, status=Status.EXISTING)
        case Finish(code="no-such-user"):
            return Finish(Status.NO_SUCH_USER, message=step.message)
        case Finish():
            return step


def forecast(
    counts: Mapping[Status, int],
    asked: int,
    *,
    mode: IfExists,
    listed: bool,
    unchecked: int,
    events: bool,
    rate: float,
    for_users: Requests = Requests(),  # noqa: B008  (frozen)
) -> Estimate:
    """The requests that a run of these rows would need.

    ``for_users``: the requests that look up or create the Leaf users of growers without a leafUserId.

    ``asked``: requests that the dry run sent to know this much. ``listed``: it read Leaf's list of users, so
    existing growers need no second look. ``unchecked``: rows that were done before and are to be checked.
    """
    created, replaced = counts.get(Status.WOULD_CREATE, 0), counts.get(Status.WOULD_REPLACE, 0)
    deletes = replaced if asks(mode) else 0
    gets = asked if asks(mode) else 0
    if events:
        gets += CHECK * (created + replaced + unchecked)
        gets += counts.get(Status.EXISTING, 0) * (1 if listed else CHECK)
    posts = created + replaced + for_users.post
    known = Estimate(gets + for_users.get, posts, deletes, users=for_users.post)
    return replace(known, seconds=round(known.total / rate, 1)) if rate else known
