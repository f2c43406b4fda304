"""The state of a row while it is onboarded: the values that `decide` works with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple

from bulk_onboard.domain.model import Credential, Echo, IfExists, Intent, Recorded, Status
from bulk_onboard.policy.retry import Next, Policy

# The grower had credentials, they were deleted for new ones, and the new ones were not stored.
LEFT_WITHOUT = "left-without-credentials"


# The largest age of a response, in seconds or in turns of the pace if those take longer.
FRESH_SECONDS, FRESH_TURNS = 5.0, 2.0
# If Leaf takes that long to answer, no response is fresh by the time of its request. After this many requests
# in a row without effect, the time of the response counts.
ASKED_IN_VAIN = 2


class Action(Enum):
    """What a row does next. SAVE_LOG saves the events of the old credentials, which a DELETE removes too."""

    ASK = auto()
    SAVE_LOG = auto()
    DELETE = auto()
    POST = auto()


class Gone(Enum):
    """Whether a DELETE of ours has removed the credentials to replace."""

    NO = auto()
    MAYBE = auto()  # a DELETE got no readable answer, and nothing has said yes or no since
    YES = auto()


class Evidence(NamedTuple):
    """When Leaf was asked, and when it answered; seconds by a monotonic clock."""

    asked: float
    answered: float

    def is_fresh(self, now: float, rate: float, in_vain: int = 0) -> bool:
        """Whether a request that goes out now may rely on it.

        ``rate``: requests per second, 0 for no ceiling; ``in_vain``: how often in a row it was asked again
        because the response was too old.
        """
        limit = max(FRESH_SECONDS, FRESH_TURNS / rate) if rate else FRESH_SECONDS
        since = self.answered if in_vain >= ASKED_IN_VAIN else self.asked
        return now - since <= limit


class Progress(NamedTuple):
    """What is known of one row so far. Times of day are by our clock, others seconds since its first request.

    ``suspect``: a POST may have been stored, and nothing has said yes or no since. ``settles_at``: from
    when on absence may be believed. ``accepted``: Leaf took the only DELETE without saying that it is done.
    ``posted``: when the last POST was about to be sent; ``unanswered``: the same for the earliest POST that
    got no readable answer. ``absent_before``: absence was seen before any POST of ours, so whatever is there
    now came later. ``claimed``: with which code Leaf refused a POST because, it said, credentials exist.
    ``looks``: how often a row was seen to be absent that may not be. ``old``: the credentials that are to be
    replaced; no others are ever deleted. ``recalled``: they are of an earlier run, which recorded their id
    and createdTime. ``log_saved``: their event log has been saved; ``no_log``: there is none; ``works``: it
    says that they are healthy. ``stored_as``: see `Row`. ``in_vain``: how often Leaf was asked again because
    its response had become too old to act on. ``seen``: the id of credentials that one reply has shown, of
    which it is not proved that they are this grower's.
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
    deletes: int = 0
    old: Credential | None = None
    gone: Gone = Gone.NO
    accepted: bool = False
    recalled: bool = False
    log_saved: bool = False
    no_log: bool = False
    works: bool = False
    stored_as: Recorded | None = None
    in_vain: int = 0
    seen: str = ""

    @property
    def unsure(self) -> bool:
        """Whether the outcome of a POST or a DELETE is unknown."""
        return self.suspect or self.gone is Gone.MAYBE


@dataclass(frozen=True, slots=True)
class Finish:
    """The row has its outcome. ``unproven``: that the credentials are ours is likely, but not proved."""

    status: Status
    code: str = ""
    message: str = ""
    credential: Credential | None = None
    unproven: bool = False


Step = Finish | Next[Progress]


def first(policy: Policy, intent: Intent | None, stored_as: Recorded | None = None) -> Progress:
    """Return the start of a row: a GET after an intent without an outcome or in a careful mode.

    The age of an intent does not shorten any wait: its request may have been sent much later, after a
    pause, and just before the earlier run died.
    """
    if intent is None:
        action = Action.POST if policy.if_exists is IfExists.OVERWRITE else Action.ASK
        return Progress(action, stored_as=stored_as)
    old = Credential(intent.deleting, "", None, Echo.UNKNOWN, intent.deleting_created)
    return Progress(
        Action.ASK,
        suspect=intent.at is not None,
        settles_at=policy.settle + policy.overlap,
        unanswered=intent.at if intent.same else None,
        old=old if intent.deleting else None,
        recalled=bool(intent.deleting),
        gone=Gone.MAYBE if intent.deleting else Gone.NO,
        stored_as=stored_as,
    )


def posting(progress: Progress, at: datetime) -> Progress:
    """Return the progress before a POST."""
    return progress._replace(posted=at, posts=progress.posts + 1)


def deleting(progress: Progress) -> Progress:
    """Return the progress before a DELETE."""
    return progress._replace(deletes=progress.deletes + 1)


def give_up(progress: Progress, code: str, message: str = "") -> Finish:
    """Return the outcome of a row that cannot continue: unresolved if it may have changed Leaf."""
    if progress.unsure:
        return Finish(Status.UNRESOLVED, code, message)
    return ended(progress, Status.FAILED, code, message)


def stopped(progress: Progress, code: str) -> Finish:
    """Return the outcome of a row that was in progress when the run ended."""
    if progress.unsure:
        return Finish(Status.UNRESOLVED, code)
    # A grower that lost its credentials was attempted.
    status = Status.FAILED if progress.gone is Gone.YES else Status.NOT_ATTEMPTED
    return ended(progress, status, code)


def ended(progress: Progress, status: Status, code: str, message: str = "") -> Finish:
    """Return the outcome of a row if nothing was stored; it is worse if credentials were deleted."""
    if progress.gone is Gone.YES:
        return Finish(status, LEFT_WITHOUT, f"{code}: {message}" if message else code)
    return Finish(status, code, message)
