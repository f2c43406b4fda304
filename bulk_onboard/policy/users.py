"""Decide how a grower without a leafUserId gets a Leaf user: the next step, given Leaf's latest answer. Pure.

The same rule as for credentials: a POST with an unknown outcome is never repeated before Leaf has been asked.
Here Leaf is asked for a list, which may show a new user late. So after a POST without a readable answer,
absence is believed only when it was seen several times, the last time when Leaf can no longer be at work.
What is not clear (two users that match, an email that another user has) is left to a person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import assert_never

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
from bulk_onboard.model import Ambiguous, Refused, Status, Throttled, Transient, Unauthorised
from bulk_onboard.policy.retry import Moment, Next, Policy

WOULD_CREATE = "user-would-be-created"
SEVERAL, OTHER, SIMILAR = "several-users", "other-user", "similar-user"
UNFILTERED = "users-not-filtered"
# How often absence has to be seen after a POST without an answer.
LOOKS = 4
# The number of pages read for one look-up.
MOST_PAGES = 10
# A page with fewer users than this is the last one, even if the total is not shown: no server caps pages
# lower, and one that ignores `size` shows 20.
LAST = 20


class UserAction(Enum):
    """What is done next for a grower."""

    LOOK = auto()
    POST = auto()


@dataclass(frozen=True, slots=True)
class UserProgress:
    """How far a grower is. Times in seconds since its first request.

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
    return UserProgress(
        UserAction.LOOK,
        suspect=grower.open_intent,
        settles_at=policy.settle if grower.open_intent else 0.0,
    )


def posting(progress: UserProgress) -> UserProgress:
    """Return the progress of a grower whose user is about to be posted."""
    return replace(progress, posts=progress.posts + 1)


def decide(
    progress: UserProgress,
    verdict: LookUpVerdict | CreateUserVerdict,
    grower: UnresolvedGrower,
    policy: Policy,
    moment: Moment,
) -> UserStep:
    """The next step for a grower whose ``progress.action`` was answered with ``verdict``.

    Raises ValueError for Unauthorised: a refused login is the run's business, not a row's.
    """
    step: UserStep
    match verdict:
        case UsersPage():
            step = _on_match(progress, verdict, grower, policy, moment)
        case UserCreated(leaf_user_id):
            step = Known(leaf_user_id, UserOrigin.CREATED)
        case UserExists():
            # Perhaps by an earlier POST of ours, which the list does not show yet.
            looking = _anew(progress)
            step = Next(
                replace(looking, claimed=verdict, settles_at=max(progress.settles_at, moment.elapsed))
            )
        case Refused(code, message):
            step = Ended(Status.UNRESOLVED if progress.suspect else Status.REJECTED, code, message)
        case Throttled():
            step = _on_throttled(progress, verdict, policy, moment)
        case Transient(code, message):
            step = _again(progress, Ambiguous(code, message), policy, moment)
        case Ambiguous():
            step = (
                _on_lost(progress, verdict, policy, moment)
                if progress.action is UserAction.POST
                else _again(progress, verdict, policy, moment)
            )
        case Unauthorised():
            raise ValueError("a refused login is not a verdict about a user")
        case _:
            assert_never(verdict)
    return step


def stopped(progress: UserProgress, code: str, *, on_the_wire: bool) -> Ended:
    """Return the end of a grower that the end of the run leaves in the middle."""
    unsure = progress.suspect or on_the_wire
    return Ended(Status.UNRESOLVED if unsure else Status.NOT_ATTEMPTED, code)


# --- what a look-up shows ---------------------------------------------------------------------------


def _on_match(
    progress: UserProgress, match: UsersPage, grower: UnresolvedGrower, policy: Policy, moment: Moment
) -> UserStep:
    by, _ = grower.lookups[progress.look]
    progress = _read(progress, match, grower)
    ids = {user.leaf_user_id for user in progress.seen}
    if len(ids) > 1:
        return _problem(progress, SEVERAL, f"Leaf has several users with this {by}: {_named(ids)}")
    is_last = _is_last(progress, match)
    if _is_unclear(progress, match, grower, is_last=is_last):
        return _problem(progress, UNFILTERED, f"Leaf returned other users when asked for one {by}")
    if not is_last:
        return Next(replace(progress, page=progress.page + 1, failures=0))
    if progress.seen:
        return _on_found(progress, next(iter(progress.seen)), grower)
    if progress.similar:
        return _problem(progress, SIMILAR, f"Leaf has a user whose {by} differs from the row's in case only")
    if progress.look + 1 < len(grower.lookups):
        return Next(_turned(progress, progress.look + 1))
    return _on_absent(progress, grower, policy, moment)


def _read(progress: UserProgress, match: UsersPage, grower: UnresolvedGrower) -> UserProgress:
    """Compare what Leaf's filter lets through: the filter may match parts of words, or do nothing."""
    (by, wanted), seen, similar = grower.lookups[progress.look], set(progress.seen), progress.similar
    for user in match.users:
        if by is UserKey.EMAIL:
            matches = same_email(user.email, wanted)
        else:
            matches = user.external_id == wanted
            similar |= not matches and user.external_id.casefold() == wanted.casefold()
        if matches:
            seen.add(user)
    return replace(
        progress, seen=frozenset(seen), similar=similar, entries=progress.entries + len(match.users)
    )


def _is_unclear(progress: UserProgress, match: UsersPage, grower: UnresolvedGrower, *, is_last: bool) -> bool:
    """Return whether absence cannot be concluded from this page.

    Leaf does not filter, and there is more than one page; or it does not show what it filters by.
    """
    by, wanted = grower.lookups[progress.look]
    shown = [user.email if by is UserKey.EMAIL else user.external_id for user in match.users]
    unrelated = any(wanted.casefold() not in text.casefold() for text in shown)
    return not all(shown) or (not is_last and (unrelated or progress.page + 1 >= MOST_PAGES))


def _is_last(progress: UserProgress, match: UsersPage) -> bool:
    if match.total is not None and match.users:
        return progress.entries >= match.total
    return len(match.users) < LAST


def _on_found(progress: UserProgress, user: LeafUser, grower: UnresolvedGrower) -> UserStep:
    ours, (by, _) = grower.value(UserKey.EXTERNAL_ID), grower.lookups[progress.look]
    if by is UserKey.EMAIL and ours and user.external_id and user.external_id != ours:
        told = f"Leaf's user with this email has another externalId ({user.leaf_user_id})"
        return _problem(progress, OTHER, told)
    return Known(user.leaf_user_id, UserOrigin.CREATED if progress.suspect else UserOrigin.FOUND, by)


def _on_absent(progress: UserProgress, grower: UnresolvedGrower, policy: Policy, moment: Moment) -> UserStep:
    if progress.suspect or progress.claimed:
        looks = progress.looks + 1
        believed = progress.settles_at + policy.settle
        if looks < LOOKS or moment.elapsed < believed:
            left = max(policy.pause, (believed - moment.elapsed) / max(1, LOOKS - looks))
            return Next(replace(_anew(progress), looks=looks), after=left)
    if progress.claimed:
        said = progress.claimed.message or "Leaf refuses to create the user"
        return Ended(Status.REJECTED, progress.claimed.code, f"{said}; but its list shows no such user")
    if progress.posts >= policy.attempts or (progress.posts and moment.elapsed > policy.patience):
        return Ended(Status.FAILED, "no-answer", "Leaf never answered the POST for a user, and shows none")
    if grower.missing:
        needs = f"Leaf has no such user, and creating one needs {grower.missing}"
        return Ended(Status.INVALID, f"missing-{grower.missing}", needs)
    return Next(replace(progress, action=UserAction.POST, suspect=False, looks=0, failures=0))


def _problem(progress: UserProgress, code: str, message: str) -> Ended:
    """A person has to look at it."""
    if code == UNFILTERED:
        return _give_up(progress, code, message)
    return Ended(Status.REJECTED, code, message)


def _named(ids: set[str]) -> str:
    return ", ".join(sorted(ids)[:3]) + (" and more" if len(ids) > 3 else "")


def _turned(progress: UserProgress, look: int) -> UserProgress:
    """About to look from the first page."""
    return replace(
        progress,
        action=UserAction.LOOK,
        look=look,
        page=0,
        seen=frozenset(),
        similar=False,
        entries=0,
        failures=0,
    )


def _anew(progress: UserProgress) -> UserProgress:
    return _turned(progress, 0)


# --- no answer --------------------------------------------------------------------------------------


def _on_lost(progress: UserProgress, verdict: Ambiguous, policy: Policy, moment: Moment) -> UserStep:
    settles_at = moment.elapsed + policy.settle
    unsure = replace(_anew(progress), suspect=True, looks=0, settles_at=settles_at)
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
