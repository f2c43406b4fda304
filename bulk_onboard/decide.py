"""The whole retry policy as one pure function: what to do next with a row, given Leaf's latest answer.

Two actions exist, ASK (GET) and POST. The rule that shapes everything: a POST whose outcome is unknown is
never repeated before Leaf has been asked what it holds. And because Leaf may still be at work on a POST
whose answer we did not get, absence is believed only some time after that POST, not at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import assert_never

from bulk_onboard.model import (
    Absent,
    Ambiguous,
    Created,
    Credential,
    Echo,
    Exists,
    IfExists,
    Intent,
    Refused,
    Status,
    Throttled,
    Transient,
    Unauthorised,
    Verdict,
)

# createdTime may be cut to whole seconds, and Leaf's clock is known to a second only (its Date header).
CLOCK_SLACK = timedelta(seconds=2)
# A 200 with nothing in it may be Leaf's way of saying "none", or a broken reply: look more than once.
BARE_LOOKS = 3
# The same where this Leaf does not usually say "none" like that: then it is most likely a broken reply.
UNUSUAL_LOOKS = 6


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient a row is. Times in seconds.

    ``attempts``: how many answers that decide nothing are taken before giving up, and how many POSTs.
    ``patience``: counted from a row's first request; no wait begins that would end after it.
    ``settle``: how long Leaf may still be at work on a POST whose connection broke; ``settle_slow`` the
    same for one that timed out, at Leaf or here, or that an earlier run left without an outcome.
    """

    if_exists: IfExists = IfExists.SKIP
    attempts: int = 8
    patience: float = 600.0
    backoff: float = 0.5
    backoff_cap: float = 30.0
    settle: float = 1.0
    settle_slow: float = 30.0

    def wait(self, failures: int, draw: float) -> float:
        """Exponential backoff with full jitter: ``draw`` in [0, 1) of a time that doubles up to the cap."""
        return draw * min(self.backoff_cap, self.backoff * 2.0 ** min(failures, 16))


class Action(Enum):
    """What a row does next."""

    ASK = auto()
    POST = auto()


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of one row so far. Times of day are by our clock, others seconds since its first request.

    ``suspect``: a POST may have been stored, and nothing has said yes or no since. ``settles_at``: from
    when on absence may be believed. ``posted``: when the last POST was about to be sent; ``unanswered``:
    the same for the earliest POST that got no readable answer. ``absent_before``: absence was seen before
    any POST of ours, so whatever is there now came later. ``claimed``: with which code Leaf refused a POST
    because, it said, credentials exist. ``looks``: how often a row was seen to be absent that may not be.
    """

    action: Action
    suspect: bool = False
    settles_at: float = 0.0
    posted: datetime | None = None
    unanswered: datetime | None = None
    absent_before: bool = False
    claimed: str | None = None
    looks: int = 0
    failures: int = 0
    throttles: int = 0
    posts: int = 0


@dataclass(frozen=True, slots=True)
class Moment:
    """When a decision is made: seconds since the row's first request, and a random draw in [0, 1)."""

    elapsed: float
    draw: float


@dataclass(frozen=True, slots=True)
class Finish:
    """The row has its outcome."""

    status: Status
    code: str = ""
    message: str = ""
    credential: Credential | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """Do ``progress.action`` after so many seconds."""

    progress: Progress
    after: float = 0.0


Step = Finish | Next


def first(policy: Policy, intent: Intent | None) -> Progress:
    """Where a row starts. An intent without an outcome, or a careful mode, asks first."""
    if intent is not None:
        # Its age is no reason to believe absence sooner: the POST may have gone out long after it, when Leaf
        # had asked everybody to wait, and just before the earlier run died.
        return Progress(
            Action.ASK,
            suspect=True,
            settles_at=policy.settle_slow,
            unanswered=intent.at if intent.same else None,
        )
    return Progress(Action.POST if policy.if_exists is IfExists.OVERWRITE else Action.ASK)


def posting(progress: Progress, at: datetime) -> Progress:
    """The same row, about to POST."""
    return replace(progress, posted=at, posts=progress.posts + 1)


def give_up(progress: Progress, code: str, message: str = "") -> Finish:
    """The outcome of a row that cannot go on: unresolved if something may have been stored."""
    return Finish(Status.UNRESOLVED if progress.suspect else Status.FAILED, code, message)


def decide(progress: Progress, verdict: Verdict, policy: Policy, moment: Moment) -> Step:
    """The next step for a row whose ``progress.action`` was answered with ``verdict``.

    Raises ValueError for Unauthorised: a refused login is the run's business, not the row's.
    """
    step: Step
    match verdict:
        case Created(credential):
            step = Finish(Status.CREATED, credential=credential)
        case Exists():
            step = _on_exists(progress, verdict)
        case Absent(usual=False) if _is_doubtful(progress, verdict):
            step = Next(_looked(progress, moment), after=policy.settle)
        case Absent() if progress.suspect:
            step = _on_absent_suspect(progress, verdict, policy, moment)
        case Absent():
            step = _on_absent(progress, policy, moment)
        case Refused():
            step = _on_refused(progress, verdict)
        case Throttled():
            step = _on_throttled(progress, verdict, policy, moment)
        case Transient(code, message):
            step = _again(progress, Ambiguous(code, message), policy, moment)
        case Ambiguous() if progress.action is Action.ASK:
            step = _again(progress, verdict, policy, moment)
        case Ambiguous():
            step = _on_lost_post(progress, verdict, policy, moment)
        case Unauthorised():
            raise ValueError("a refused login is not a row's verdict")
        case _:
            assert_never(verdict)
    return step


def _on_exists(progress: Progress, verdict: Exists) -> Step:
    credential = verdict.credential
    if credential is None:
        # A POST was refused because something is there. Whether it is ours, only asking tells.
        # If one of ours got no answer, it may have arrived late, whatever was seen in between.
        suspect = progress.suspect or progress.unanswered is not None
        return Next(replace(progress, action=Action.ASK, claimed=verdict.code, suspect=suspect, failures=0))
    if _is_ours(credential, progress):
        return Finish(Status.CREATED, "settled-by-asking", credential=credential)
    code = "token-changed" if credential.echo is Echo.DIFFERENT else "already-connected"
    return Finish(Status.EXISTING, code, credential=credential)


def _is_ours(credential: Credential, progress: Progress) -> bool:
    """Whether our POST that was never answered made what Leaf now shows.

    The same token says so. A different one does not deny it, for a provider may have exchanged the token
    since: then the time of creation decides, and without one, that nothing was there before.
    """
    if progress.unanswered is None:
        return False
    if credential.echo is Echo.SAME:
        return True
    if credential.created is not None:
        return credential.created >= progress.unanswered - CLOCK_SLACK
    return progress.absent_before


def _is_doubtful(progress: Progress, verdict: Absent) -> bool:
    """A "not found" in nobody's words is enough to begin with, but not to send a token a second time."""
    return progress.looks + 1 < UNUSUAL_LOOKS and (progress.suspect or not verdict.plain)


def _looked(progress: Progress, moment: Moment) -> Progress:
    """One look more, unless it came too early to prove anything."""
    early = progress.suspect and moment.elapsed < progress.settles_at
    return progress if early else replace(progress, looks=progress.looks + 1)


def _on_absent_suspect(progress: Progress, verdict: Absent, policy: Policy, moment: Moment) -> Step:
    """A POST of ours may have been stored: absence is proof only if it is certain, and not too early."""
    if moment.elapsed < progress.settles_at:
        return Next(progress, after=progress.settles_at - moment.elapsed)
    looked = _looked(progress, moment)
    if verdict.bare and looked.looks < BARE_LOOKS:
        return Next(looked, after=policy.settle)
    return _on_absent(replace(looked, suspect=False, looks=0), policy, moment)


def _on_absent(progress: Progress, policy: Policy, moment: Moment) -> Step:
    if progress.claimed is not None:
        return Finish(Status.REJECTED, progress.claimed, "Leaf said that credentials exist, but shows none")
    if progress.posts >= policy.attempts or (progress.posts and moment.elapsed > policy.patience):
        return give_up(progress, "no-answer", "Leaf never answered a POST, and holds nothing")
    seen = progress.absent_before or progress.unanswered is None
    return Next(replace(progress, action=Action.POST, failures=0, looks=0, absent_before=seen))


def _on_refused(progress: Progress, verdict: Refused) -> Step:
    if progress.suspect:
        return Finish(Status.UNRESOLVED, verdict.code, verdict.message)
    return Finish(Status.REJECTED, verdict.code, verdict.message)


def _on_throttled(progress: Progress, verdict: Throttled, policy: Policy, moment: Moment) -> Step:
    """429 says nothing against the row, so patience alone bounds how often it is taken."""
    throttles = progress.throttles + 1
    wait = verdict.after or policy.wait(throttles, moment.draw)  # "after 0 s" is no licence to hammer
    if moment.elapsed + wait > policy.patience:
        return give_up(progress, "throttled-too-long")
    return Next(replace(progress, throttles=throttles), after=wait)


def _on_lost_post(progress: Progress, verdict: Ambiguous, policy: Policy, moment: Moment) -> Step:
    """Ask, whatever has been used up so far: what a POST did must not stay unknown for want of patience."""
    settle = policy.settle_slow if verdict.slow else policy.settle
    unsure = replace(
        progress,
        action=Action.ASK,
        suspect=True,
        settles_at=moment.elapsed + settle,
        unanswered=progress.unanswered or progress.posted,
        failures=0,
    )
    return Next(unsure, after=min(verdict.after or 0.0, policy.patience))


def _again(progress: Progress, verdict: Ambiguous, policy: Policy, moment: Moment) -> Step:
    """The same action once more, later; or the end, when patience or attempts are used up."""
    failures = progress.failures + 1
    wait = verdict.after or policy.wait(failures, moment.draw)
    if failures >= policy.attempts or moment.elapsed + wait > policy.patience:
        return give_up(progress, verdict.code, verdict.message)
    return Next(replace(progress, failures=failures), after=wait)
