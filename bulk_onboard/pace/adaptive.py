"""The adaptive rate: how fast to send when Leaf's limit is unknown. Pure; no clock.

A refusal (429) lowers the rate at once, to a little less than what Leaf accepted in the second before. Then
the rate rises a little every second: slowly up to the known limit, and faster and faster beyond it while
nothing is refused, because then the limit has risen.

Where Leaf asks for a pause, a refusal costs that pause. There the rate stays constant until the limit is
tried again, which happens less and less often while the limit proves to be the same. A refusal before that
makes the distance to the limit larger, because on a busy machine or a slow network requests arrive in crowds.

If the share of refusals does not fall when the rate falls, the rate is not their cause: it is restored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

DOWN = 0.97
# The known limit is tried again after so many seconds, or so many times the pause that Leaf asked for.
TRY_AGAIN = 6.0
TRY_AGAIN_PAUSES, MOST_PAUSES = 20.0, 80.0
# With every refusal that comes before that, and costs a pause, so much more of a distance, but no more than
# that in all; a little is taken back whenever the limit was reached without one.
CAREFUL, FARTHEST, CLOSER = 0.97, 0.85, 1.01
# Less than that share was taken before, or before several in a row: then it is not the distance, the limit
# is another.
FALLEN, FALLEN_IN_A_ROW = 0.6, 0.9
# Beyond the known limit: so much more within so many seconds, then by this factor per second.
BEYOND, BEYOND_SECONDS = 1.03, 2.0
FASTER = 1.3
UNKNOWN = 0.7
SLOWEST = 0.5  # requests per second

# So many answers tell a share. Below the first share, refusals are tolerated until the limit is reached;
# from the second on, they are no accident; from the third on, Leaf takes next to nothing.
ENOUGH = 20
TOLERATED, OFTEN, SHUT = 0.05, 0.15, 0.6
# So many refusals in a row are a limit; more where each costs a pause, for there a wrong limit costs too.
IN_A_ROW, IN_A_ROW_DEAR = 3, 6
# A new rate is set in steps of at least this share of the old one.
STEP = 0.01
# Without a ceiling, whoever may send so many requests per second may send as many as he can.
FREE = 20_000.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What is known of Leaf's limit. Rates in requests per second.

    ``limit``: what Leaf took in the second before it refused. ``start``: the rate right after that.
    ``again``: seconds of sending until the limit is reached again. ``before``: the rate before Leaf refused
    for the first time. ``share``: the share refused of what went before, if going slower was no cure.
    ``dear``: whether a refusal costs a pause.
    """

    limit: float
    start: float
    again: float
    before: float
    share: float | None = None
    dear: bool = False

    def rate(self, sending: float) -> float:
        """The rate after so many seconds of sending since the refusal."""
        if sending < self.again:
            return self.start if self.dear else self.start + (self.limit - self.start) * sending / self.again
        past = sending - self.again
        # One more at least: a limit of five is passed by six, not by 5.15.
        beyond = max(self.limit * BEYOND, self.limit + 1)
        if past < BEYOND_SECONDS:
            return self.limit + (beyond - self.limit) * past / BEYOND_SECONDS
        return float(beyond * FASTER ** min(past - BEYOND_SECONDS, 60.0))

    def may_keep_farther(self, told: Refusal) -> bool:
        """Whether a step back may be the cure. Who would need too many is refused for something else."""
        has_room = self.start * CAREFUL >= self.limit * FARTHEST
        return self.dear and has_room and told.rate >= self.start and told.measured and told.share < OFTEN

    def goes_on(self, earlier: Knowledge) -> bool:
        """Whether the limit is still the one to be tried again, at the time when it was to be."""
        return isinstance(earlier, Probe) and self == replace(earlier, start=self.start)


@dataclass(frozen=True, slots=True)
class Immune:
    """This share is refused at any rate, so the rate stays as it is."""

    share: float


Knowledge = Probe | Immune | None


class Refusal(NamedTuple):
    """A refusal, and what was seen since the rate was last changed because of one.

    ``rate``: requests per second, 0 for no ceiling. ``busy``: whether there was as much to send as could be
    sent. ``taken``: requests of the second before it that were not refused. ``age``: seconds since the first
    request, or since a pause. ``pause``: seconds to wait. ``repeated``: Leaf took the same number before
    each of the latest refusals.
    """

    rate: float
    busy: bool
    taken: int
    age: float
    in_a_row: int
    answered: int
    refused: int
    pause: float = 0.0
    repeated: bool = False

    @property
    def share(self) -> float:
        """The share of the answers that were refusals; 0 while there are too few to tell."""
        return self.refused / self.answered if self.answered >= ENOUGH else 0.0

    @property
    def certain(self) -> bool:
        """Whether it is a limit beyond doubt, also when there was no second yet to measure it in."""
        if self.pause:
            return self.repeated or self.in_a_row >= IN_A_ROW_DEAR or self.share >= SHUT
        return self.in_a_row >= IN_A_ROW or self.share >= OFTEN

    @property
    def measured(self) -> bool:
        """Whether there was a whole second to look back on; else what was taken says nothing of the limit."""
        return self.certain or self.age >= 1

    @property
    def evident(self) -> bool:
        """Whether it speaks of a limit: where a refusal costs a pause, a single one must not cost more."""
        return self.measured and (self.certain or not self.pause)


def learn(known: Knowledge, told: Refusal) -> Knowledge:
    """What is known after a refusal; the same object if it changes nothing."""
    match known:
        case None:
            return _slower(told, told.rate) if told.evident and (told.rate or told.busy) else known
        case Immune(share):
            return _slower(told, told.rate) if told.share >= max(SHUT, 2 * share) else known
        case Probe() if told.rate >= known.limit:
            return _tried(known, told)
        case Probe() if known.may_keep_farther(told):
            return _farther(known, told)
        case Probe() if told.pause and told.share >= OFTEN and not told.certain:
            return Immune(told.share)
        case Probe() if told.evident and told.share >= TOLERATED:
            if known.share is not None and known.share / 2 <= told.share < SHUT:
                return Immune(told.share)
            return _slower(told, known.before, told.share)
        case Probe():
            return known


def _tried(known: Probe, told: Refusal) -> Probe:
    """After the limit was tried again, and Leaf refused."""
    # Without evidence the limit has not fallen; that it has risen is seen from what was taken.
    least = 0 if told.evident else math.floor(known.limit)
    taken = max(least, told.taken) if told.measured else least
    found = _slower(told._replace(taken=taken), told.rate)
    same = known.limit * FARTHEST < found.limit <= known.limit * BEYOND
    if not (known.dear and found.dear and same):
        return found
    limit, again = min(known.limit, found.limit), min(2 * known.again, MOST_PAUSES * told.pause)
    start = max(SLOWEST, limit * min(DOWN, known.start / known.limit * CLOSER))
    return replace(found, limit=limit, start=start, again=again)


def _farther(known: Probe, told: Refusal) -> Probe:
    """After a refusal that cost a pause, before the limit was tried again."""
    fallen = FALLEN_IN_A_ROW if told.in_a_row >= IN_A_ROW else FALLEN
    # What was taken in a second is chance where that is a few requests.
    counts = told.certain or known.start >= ENOUGH / 2
    if counts and told.busy and told.taken < known.start * fallen:
        return _slower(told, known.before)
    return replace(known, start=max(SLOWEST, known.start * CAREFUL))


def _slower(told: Refusal, before: float, share: float | None = None) -> Probe:
    limit = float(told.taken)
    if told.rate:
        # Who had little to send cannot tell from what was taken how much would have been.
        limit = min(told.rate, limit if told.busy else max(limit, told.rate * UNKNOWN))
    limit = max(SLOWEST, limit)
    again = max(TRY_AGAIN, TRY_AGAIN_PAUSES * told.pause)
    return Probe(limit, max(SLOWEST, limit * DOWN), again, before, share, dear=told.pause > 0)


class Search:
    """``rate``: requests per second that may go out now, at most ``highest`` (0: no ceiling)."""

    def __init__(self, highest: float) -> None:
        self._highest = highest
        self._known: Knowledge = None
        self._sending = 0.0
        self.rate = highest

    def refused(self, told: Refusal) -> bool:
        """Learn from a refusal. Whether anything was learned: then what was counted so far is settled."""
        known = learn(self._known, told)
        if known is self._known:
            return False
        if not (isinstance(known, Probe) and known.goes_on(self._known)):
            self._sending = 0.0
        match known:
            case Probe():
                self.rate = known.rate(self._sending)
            case Immune() if isinstance(self._known, Probe):
                self.rate = self._known.before
        self._known = known
        return True

    def forget(self) -> None:
        """Nothing that was learned holds: as fast as is allowed again."""
        self._known, self.rate = None, self._highest

    @property
    def is_immune(self) -> bool:
        """Whether a lower rate has not lowered the share of refusals."""
        return isinstance(self._known, Immune)

    @property
    def probing(self) -> bool:
        """Whether the rate changes with the time spent sending."""
        return isinstance(self._known, Probe)

    def sent_for(self, seconds: float) -> None:
        """Requests went out for so many seconds more."""
        self._sending += seconds

    def speed_up(self) -> None:
        """Set the rate for the time spent sending since the refusal."""
        if not isinstance(self._known, Probe):
            return
        wanted = self._known.rate(self._sending)
        if wanted >= (self._highest or FREE):
            self._known = None
            self.rate = self._highest
        elif abs(wanted - self.rate) >= STEP * self.rate:
            self.rate = wanted
