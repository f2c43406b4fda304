"""How a newcomer gets a Leaf user, as one pure function: what to do next, given Leaf's latest answer.

The same rule as for credentials: a POST whose outcome is unknown is never repeated before Leaf has been
asked. Here it is asked by a list, which may show a new user late. So after a POST without a readable answer
absence is believed only when it was seen several times, the last time long after Leaf can have been at work.
What is not clear (two users that match, one whose email belongs to somebody else) is nobody's to guess.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import assert_never

from bulk_onboard.model import Ambiguous, Refused, Status, Throttled, Transient, Unauthorised
from bulk_onboard.newcomers import (
    By,
    Enrolled,
    EnrolVerdict,
    LookVerdict,
    Match,
    Newcomer,
    Origin,
    SeenUser,
    Taken,
    same_email,
)
from bulk_onboard.policy.retry import Moment, Policy

WOULD_CREATE = "user-would-be-created"
SEVERAL, OTHER, SIMILAR = "several-users", "other-user", "similar-user"
UNFILTERED = "users-not-filtered"
# How often absence has to be seen after a POST without an answer.
LOOKS = 4
# More pages than this are not read for one newcomer.
MOST_PAGES = 10
# A page with fewer users than this is the last one, also where the total is not told: no server caps pages
# lower, and one that ignores `size` shows 20.
LAST = 20


class Act(Enum):
    """What is done next for a newcomer."""

    LOOK = auto()
    POST = auto()


@dataclass(frozen=True, slots=True)
class Way:
    """How far a newcomer is. Times in seconds since its first request.

    ``look``: what is looked up next, by its place in `Newcomer.looks`, and ``page``: which page of it.
    ``seen``: users that matched on earlier pages, ``similar``: one differed in case only, ``entries``: users
    on these pages. ``suspect``: a POST may have created the user, and nothing has said yes or no since;
    ``settles_at``: until when Leaf may still be at work on it. ``claimed``: Leaf refused a POST, for there is
    such a user. ``looks``: how often absence was seen since.
    """

    act: Act
    look: int = 0
    page: int = 0
    seen: frozenset[SeenUser] = frozenset()
    similar: bool = False
    entries: int = 0
    suspect: bool = False
    settles_at: float = 0.0
    claimed: Taken | None = None
    looks: int = 0
    failures: int = 0
    throttles: int = 0
    posts: int = 0

    @property
    def unsure(self) -> bool:
        """Whether a POST is out there whose fate nobody knows."""
        return self.suspect


@dataclass(frozen=True, slots=True)
class Onward:
    """Do ``way.act`` after so many seconds."""

    way: Way
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Known:
    """The newcomer's user is known. ``by``: what it was found by, None if a POST told."""

    leaf_user_id: str
    origin: Origin
    by: By | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The newcomer has no user that we know of: the outcome of all its rows."""

    status: Status
    code: str
    message: str = ""


Turn = Onward | Known | Ended


def begin(newcomer: Newcomer, policy: Policy) -> Way:
    """Where a newcomer starts: looking, and with more care after an intent that has no outcome."""
    return Way(
        Act.LOOK,
        suspect=newcomer.open_intent,
        settles_at=policy.settle if newcomer.open_intent else 0.0,
    )


def posting(way: Way) -> Way:
    """The same newcomer, about to POST."""
    return replace(way, posts=way.posts + 1)


def decide(
    way: Way, verdict: LookVerdict | EnrolVerdict, newcomer: Newcomer, policy: Policy, moment: Moment
) -> Turn:
    """The next turn for a newcomer whose ``way.act`` was answered with ``verdict``.

    Raises ValueError for Unauthorised: a refused login is the run's business, not a row's.
    """
    turn: Turn
    match verdict:
        case Match():
            turn = _on_match(way, verdict, newcomer, policy, moment)
        case Enrolled(leaf_user_id):
            turn = Known(leaf_user_id, Origin.CREATED)
        case Taken():
            # Perhaps by an earlier POST of ours, which the list does not show yet.
            looking = _anew(way)
            turn = Onward(replace(looking, claimed=verdict, settles_at=max(way.settles_at, moment.elapsed)))
        case Refused(code, message):
            turn = Ended(Status.UNRESOLVED if way.unsure else Status.REJECTED, code, message)
        case Throttled():
            turn = _on_throttled(way, verdict, policy, moment)
        case Transient(code, message):
            turn = _again(way, Ambiguous(code, message), policy, moment)
        case Ambiguous():
            turn = (
                _on_lost(way, verdict, policy, moment)
                if way.act is Act.POST
                else _again(way, verdict, policy, moment)
            )
        case Unauthorised():
            raise ValueError("a refused login is not a newcomer's verdict")
        case _:
            assert_never(verdict)
    return turn


def interrupted(way: Way, *, on_the_wire: bool) -> Ended:
    """The end of a newcomer that was stopped in the middle."""
    unsure = way.unsure or on_the_wire
    return Ended(Status.UNRESOLVED if unsure else Status.FAILED, "interrupted")


# --- what a look-up shows ---------------------------------------------------------------------------


def _on_match(way: Way, match: Match, newcomer: Newcomer, policy: Policy, moment: Moment) -> Turn:
    by, _ = newcomer.looks[way.look]
    way = _read(way, match, newcomer)
    ids = {user.leaf_user_id for user in way.seen}
    if len(ids) > 1:
        return _problem(way, SEVERAL, f"Leaf has several users with this {by}: {_named(ids)}")
    is_last = _is_last(way, match)
    if _is_unclear(way, match, newcomer, is_last=is_last):
        return _problem(way, UNFILTERED, f"Leaf returned other users when asked for one {by}")
    if not is_last:
        return Onward(replace(way, page=way.page + 1, failures=0))
    if way.seen:
        return _on_found(way, next(iter(way.seen)), newcomer)
    if way.similar:
        return _problem(way, SIMILAR, f"Leaf has a user whose {by} differs from the row's in case only")
    if way.look + 1 < len(newcomer.looks):
        return Onward(_turned(way, way.look + 1))
    return _on_absent(way, newcomer, policy, moment)


def _read(way: Way, match: Match, newcomer: Newcomer) -> Way:
    """What Leaf's filter lets through is compared here: it may look for parts of words, or not at all."""
    (by, wanted), seen, similar = newcomer.looks[way.look], set(way.seen), way.similar
    for user in match.users:
        if by is By.EMAIL:
            matches = same_email(user.email, wanted)
        else:
            matches = user.external_id == wanted
            similar |= not matches and user.external_id.casefold() == wanted.casefold()
        if matches:
            seen.add(user)
    return replace(way, seen=frozenset(seen), similar=similar, entries=way.entries + len(match.users))


def _is_unclear(way: Way, match: Match, newcomer: Newcomer, *, is_last: bool) -> bool:
    """Whether absence could not be told from this: Leaf does not filter, and there is more than a page; or
    it does not show what it filters by.
    """
    by, wanted = newcomer.looks[way.look]
    shown = [user.email if by is By.EMAIL else user.external_id for user in match.users]
    unrelated = any(wanted.casefold() not in text.casefold() for text in shown)
    return not all(shown) or (not is_last and (unrelated or way.page + 1 >= MOST_PAGES))


def _is_last(way: Way, match: Match) -> bool:
    if match.total is not None and match.users:
        return way.entries >= match.total
    return len(match.users) < LAST


def _on_found(way: Way, user: SeenUser, newcomer: Newcomer) -> Turn:
    ours, (by, _) = newcomer.value(By.EXTERNAL_ID), newcomer.looks[way.look]
    if by is By.EMAIL and ours and user.external_id and user.external_id != ours:
        told = f"Leaf's user with this email has another externalId ({user.leaf_user_id})"
        return _problem(way, OTHER, told)
    return Known(user.leaf_user_id, Origin.CREATED if way.suspect else Origin.FOUND, by)


def _on_absent(way: Way, newcomer: Newcomer, policy: Policy, moment: Moment) -> Turn:
    if way.suspect or way.claimed:
        looks = way.looks + 1
        believed = way.settles_at + policy.settle
        if looks < LOOKS or moment.elapsed < believed:
            left = max(policy.pause, (believed - moment.elapsed) / max(1, LOOKS - looks))
            return Onward(replace(_anew(way), looks=looks), after=left)
    if way.claimed:
        said = way.claimed.message or "Leaf refuses to create the user"
        return Ended(Status.REJECTED, way.claimed.code, f"{said}; but its list shows no such user")
    if way.posts >= policy.attempts or (way.posts and moment.elapsed > policy.patience):
        return Ended(Status.FAILED, "no-answer", "Leaf never answered the POST for a user, and shows none")
    if newcomer.missing:
        needs = f"Leaf has no such user, and creating one needs {newcomer.missing}"
        return Ended(Status.INVALID, f"missing-{newcomer.missing}", needs)
    return Onward(replace(way, act=Act.POST, suspect=False, looks=0, failures=0))


def _problem(way: Way, code: str, message: str) -> Ended:
    """A person has to look at it."""
    if code == UNFILTERED:
        return _give_up(way, code, message)
    return Ended(Status.REJECTED, code, message)


def _named(ids: set[str]) -> str:
    return ", ".join(sorted(ids)[:3]) + (" and more" if len(ids) > 3 else "")


def _turned(way: Way, look: int) -> Way:
    """About to look from the first page."""
    return replace(
        way, act=Act.LOOK, look=look, page=0, seen=frozenset(), similar=False, entries=0, failures=0
    )


def _anew(way: Way) -> Way:
    return _turned(way, 0)


# --- no answer --------------------------------------------------------------------------------------


def _on_lost(way: Way, verdict: Ambiguous, policy: Policy, moment: Moment) -> Turn:
    settles_at = moment.elapsed + policy.settle
    unsure = replace(_anew(way), suspect=True, looks=0, settles_at=settles_at)
    return Onward(unsure, after=min(verdict.after or 0.0, policy.patience))


def _on_throttled(way: Way, verdict: Throttled, policy: Policy, moment: Moment) -> Turn:
    throttles = way.throttles + 1
    wait = verdict.after or policy.wait(throttles, moment.draw)
    if moment.elapsed + wait > policy.patience:
        return _give_up(way, "throttled-too-long")
    return Onward(replace(way, throttles=throttles), after=wait)


def _again(way: Way, verdict: Ambiguous, policy: Policy, moment: Moment) -> Turn:
    """The same once more, later; or the end, when patience or attempts are used up."""
    failures = way.failures + 1
    wait = verdict.after or policy.wait(failures, moment.draw)
    if failures >= policy.attempts or moment.elapsed + wait > policy.patience:
        return _give_up(way, verdict.code, verdict.message)
    return Onward(replace(way, failures=failures), after=wait)


def _give_up(way: Way, code: str, message: str = "") -> Ended:
    return Ended(Status.UNRESOLVED if way.unsure else Status.FAILED, code, message)
