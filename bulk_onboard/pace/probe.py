"""The rate that nobody knows: how fast to go after Leaf has said that it was too fast. Pure; no clock.

Down at once, to a little less than what Leaf was seen to take in the second before. Then up a little with
every second, slowly while the known limit is ahead, and faster and faster once it is passed without a word,
for then the limit has risen. The dearer the last refusal was, the longer until the limit is tried again.

Where Leaf asks for a pause each refusal costs all of it. There the rate stays where it is until the limit is
tried, which it is less and less often while it proves to be the same; and who is refused before that keeps
more of a distance, for on a busy machine or a long way requests arrive in crowds.

Refusals that stay as frequent however slow we are do not speak of our rate: then going slower is no cure,
and the old rate comes back.
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
