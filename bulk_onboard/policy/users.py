"""Decide how a grower without a leafUserId gets a Leaf user: the next step, given Leaf's latest answer. Pure.

The same rule as for credentials: a POST with an unknown outcome is never repeated before Leaf has been asked.
Here Leaf is asked for a list, which may show a new user late. So after a POST without a readable answer,
absence is believed only when it was seen several times, the last time when Leaf can no longer be at work.
Unclear cases (two matching users, an email that another user has) are left to a person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import assert_never

from bulk_onboard.domain.model import Ambiguous, Refused, Status, Throttled, Transient, Unauthorised
from bulk_onboard.domain.users import (
    CreateUserVerdict,
    LeafUser,
    LookUpVerdict,
    UnresolvedGrower,
    UserCreated,
    UserExists,
    UserKey,
    UserOrigin,
    UsersPage,
    same_email,
)
from bulk_onboard.policy.retry import Moment, Next, Policy

WOULD_CREATE = "user-would-be-created"
SEVERAL, OTHER, SIMILAR = "several-users", "other-user", "similar-user"
UNFILTERED = "users-not-filtered"
# How often absence must be seen after a POST without an answer.
LOOKS = 4
# The number of pages read for one look-up.
MOST_PAGES = 10
# A page with fewer users than this is the last one, even if the total is not shown: no server caps pages
# lower, and one that ignores `size` shows 20.
LAST = 20


class UserAction(Enum):
    """The next action for a grower."""

    LOOK = auto()
    POST = auto()


@dataclass(frozen=True, slots=True)
class UserProgress:
    """The progress of a grower. Times are seconds since its first request.

    ``look``: what is looked up next, by its place in `UnresolvedGrower.lookups`; ``page``: its page.
    ``seen``: users that matched on earlier pages, ``similar``: one differed in case only, ``entries``: users
    on these pages. ``suspect``: a POST may have created the user, and no answer has said yes or no since;
    ``settles_at``: until when Leaf may still be at work on it. ``claimed``: Leaf refused a POST because
    it has such a user. ``looks``: how often absence was seen since.
    """

    action: UserAction
    look: int = 0
    page: int = 0
    seen: frozenset[LeafUser] = frozenset()
    similar: bool = False
    entries: int = 0
    suspect: bool = False
    settles_at: float = 0.0
    claimed: UserExists | None = None
    looks: int = 0
    failures: int = 0
    throttles: int = 0
    posts: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """The user is known. ``by``: what it was found by, None if a POST returned it."""

    leaf_user_id: str
    origin: UserOrigin
    by: UserKey | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """No user is known: the outcome of all rows of the grower."""

    status: Status
    code: str
    message: str = ""


UserStep = Next[UserProgress] | Known | Ended


def begin(grower: UnresolvedGrower, policy: Policy) -> UserProgress:
    """Return the start: a look-up, with more care after an intent that has no outcome."""
    settles_at = policy.settle + policy.overlap if grower.open_intent else 0.0
    return UserProgress(UserAction.LOOK, suspect=grower.open_intent, settles_at=settles_at)


def posting(progress: UserProgress) -> UserProgress:
    """Return the progress of a grower when its user is about to be posted."""
    return replace(progress, posts=progress.posts + 1)


def decide(
    progress: UserProgress,
    verdict: LookUpVerdict | CreateUserVerdict,
    grower: UnresolvedGrower,
    policy: Policy,
    moment: Moment,
) -> UserStep:
    """Return the next step of a grower, given the ``verdict`` on its ``progress.action``.

    Raises ValueError for Unauthorised: a refused login ends the run, not a row.
    """
    step: UserStep
    match verdict:
        case UsersPage():
            step = _on_page(progress, verdict, grower, policy, moment)
        case UserCreated(leaf_user_id):
            step = Known(leaf_user_id, UserOrigin.CREATED)
        case UserExists():
            # Perhaps by an earlier POST of ours, which the list does not show yet.
            settles_at = max(progress.settles_at, moment.elapsed)
            step = Next(replace(_look_up(progress), claimed=verdict, settles_at=settles_at))
        case Refused(code, message):
            step = Ended(Status.UNRESOLVED if progress.suspect else Status.REJECTED, code, message)
        case Throttled():
            step = _on_throttled(progress, verdict, policy, moment)
        case Transient(code, message):
            step = _again(progress, Ambiguous(code, message), policy, moment)
        case Ambiguous() if progress.action is UserAction.POST:
            step = _on_lost(progress, verdict, policy, moment)
        case Ambiguous():
            step = _again(progress, verdict, policy, moment)
        case Unauthorised():
            raise ValueError("a refused login is not a verdict about a user")
        case _:
            assert_never(verdict)
    return step


def stopped(progress: UserProgress, code: str, *, on_the_wire: bool) -> Ended:
    """Return the end of a grower that was in progress when the run ended."""
    unsure = progress.suspect or on_the_wire
    return Ended(Status.UNRESOLVED if unsure else Status.NOT_ATTEMPTED, code)


# --- the result of a look-up ---------------------------------------------------------------------------


def _on_page(
    progress: UserProgress, page: UsersPage, grower: UnresolvedGrower, policy: Policy, moment: Moment
) -> UserStep:
    progress, key = _read(progress, page, grower), grower.lookups[progress.look][0]
    ids = sorted({user.leaf_user_id for user in progress.seen})
    if len(ids) > 1:
        named = ", ".join(ids[:3]) + (" and more" if len(ids) > 3 else "")
        return Ended(Status.REJECTED, SEVERAL, f"Leaf has several users with this {key}: {named}")
    is_last = _is_last(progress, page)
    if _is_unclear(progress, page, grower, is_last=is_last):
        return _give_up(progress, UNFILTERED, f"Leaf returned other users when asked for one {key}")
    if not is_last:
        return Next(replace(progress, page=progress.page + 1, failures=0))
    if progress.seen:
        return _on_found(progress, next(iter(progress.seen)), grower)
    if progress.similar:
        said = f"Leaf has a user whose {key} differs from the row's in case only"
        return Ended(Status.REJECTED, SIMILAR, said)
    if progress.look + 1 < len(grower.lookups):
        return Next(_look_up(progress, progress.look + 1))
    return _on_absent(progress, grower, policy, moment)


def _read(progress: UserProgress, page: UsersPage, grower: UnresolvedGrower) -> UserProgress:
    """Compare what Leaf's filter lets through: the filter may match parts of words, or do nothing."""
    key, wanted = grower.lookups[progress.look]
    if key is UserKey.EMAIL:
        matches, similar = [user for user in page.users if same_email(user.email, wanted)], False
    else:
        matches = [user for user in page.users if user.external_id == wanted]
        similar = any(
            user.external_id != wanted and user.external_id.casefold() == wanted.casefold()
            for user in page.users
        )
    return replace(
        progress,
        seen=progress.seen.union(matches),
        similar=progress.similar or similar,
        entries=progress.entries + len(page.users),
    )


def _is_unclear(progress: UserProgress, page: UsersPage, grower: UnresolvedGrower, *, is_last: bool) -> bool:
    """Return whether absence cannot be concluded from this page.

    Leaf does not filter, and there is more than one page; or it does not show what it filters by.
    """
    key, wanted = grower.lookups[progress.look]
    shown = [user.email if key is UserKey.EMAIL else user.external_id for user in page.users]
    unrelated = any(wanted.casefold() not in text.casefold() for text in shown)
    return not all(shown) or (not is_last and (unrelated or progress.page + 1 >= MOST_PAGES))


def _is_last(progress: UserProgress, page: UsersPage) -> bool:
    if page.total is not None and page.users:
        return progress.entries >= page.total
    return len(page.users) < LAST


def _on_found(progress: UserProgress, user: LeafUser, grower: UnresolvedGrower) -> UserStep:
    ours, (key, _) = grower.value(UserKey.EXTERNAL_ID), grower.lookups[progress.look]
    if key is UserKey.EMAIL and ours and user.external_id and user.external_id != ours:
        said = f"Leaf's user with this email has another externalId ({user.leaf_user_id})"
        return Ended(Status.REJECTED, OTHER, said)
    origin = UserOrigin.CREATED if progress.suspect else UserOrigin.FOUND
    return Known(user.leaf_user_id, origin, key)


def _on_absent(progress: UserProgress, grower: UnresolvedGrower, policy: Policy, moment: Moment) -> UserStep:
    if progress.suspect or progress.claimed:
        looks, believed = progress.looks + 1, progress.settles_at + policy.settle
        if looks < LOOKS or moment.elapsed < believed:
            wait = max(policy.pause, (believed - moment.elapsed) / max(1, LOOKS - looks))
            return Next(replace(_look_up(progress), looks=looks), after=wait)
    if progress.claimed:
        said = progress.claimed.message or "Leaf refuses to create the user"
        return Ended(Status.REJECTED, progress.claimed.code, f"{said}; but its list shows no such user")
    if progress.posts >= policy.attempts or (progress.posts and moment.elapsed > policy.patience):
        return Ended(Status.FAILED, "no-answer", "Leaf never answered the POST for a user, and shows none")
    if grower.missing:
        said = f"Leaf has no such user, and creating one needs {grower.missing}"
        return Ended(Status.INVALID, f"missing-{grower.missing}", said)
    return Next(replace(progress, action=UserAction.POST, suspect=False, looks=0, failures=0))


def _look_up(progress: UserProgress, look: int = 0) -> UserProgress:
    """Return the progress of a grower about to be looked up, from the first page."""
    looking = replace(progress, action=UserAction.LOOK, look=look, page=0, failures=0)
    return replace(looking, seen=frozenset(), similar=False, entries=0)


# --- no answer --------------------------------------------------------------------------------------


def _on_lost(progress: UserProgress, verdict: Ambiguous, policy: Policy, moment: Moment) -> UserStep:
    settles_at = moment.elapsed + policy.settle
    unsure = replace(_look_up(progress), suspect=True, looks=0, settles_at=settles_at)
    return Next(unsure, after=min(verdict.after or 0.0, policy.patience))


def _on_throttled(progress: UserProgress, verdict: Throttled, policy: Policy, moment: Moment) -> UserStep:
    throttles = progress.throttles + 1
    wait = policy.after_throttle(throttles, verdict.after, moment)
    if wait is None:
        return _give_up(progress, "throttled-too-long")
    return Next(replace(progress, throttles=throttles), after=wait)


def _again(progress: UserProgress, verdict: Ambiguous, policy: Policy, moment: Moment) -> UserStep:
    """Repeat the action later, or end when patience or attempts are used up."""
    failures = progress.failures + 1
    wait = policy.after_failure(failures, verdict.after, moment)
    if wait is None:
        return _give_up(progress, verdict.code, verdict.message)
    return Next(replace(progress, failures=failures), after=wait)


def _give_up(progress: UserProgress, code: str, message: str = "") -> Ended:
    return Ended(Status.UNRESOLVED if progress.suspect else Status.FAILED, code, message)
