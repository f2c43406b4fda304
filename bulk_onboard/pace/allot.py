"""Who may send how much: one rate, shared out among workers, exceeded in no second. Pure; no clock.

A worker keeps its share by a `Ceiling`, so in any second it sends at most its share, rounded up. That the
sum keeps to the rate while shares move takes care: what one worker cedes is nobody's until it is certain that
nothing of it can lie in the same second as what another makes of it. It is certain a second after the worker
has told that it obeys the lower share, or a second after its lease has run out.

Shares are whole numbers but for one, for the sum of what is rounded up must not exceed the rate rounded up.
Where there are more workers than requests per second, they take turns, long ones: while a share changes
hands nobody uses it for some two seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bulk_onboard.orders import LEASE, UNLIMITED

# For late wake-ups, and for clocks that do not run alike.
MARGIN = 0.2
# Seconds for which a worker keeps its share while another waits for one.
TURN = 100.0
# Who has nothing to send keeps so much of the rate, all of them together.
SPARE = 0.02
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Grant:
    """A share that was ordered under this number. ``ceded``: when it was known not to be in use any more."""

    number: int
    share: float
    ceded: float = math.inf


@dataclass(frozen=True, slots=True)
class Member:
    """A worker as the leader knows it; times by the leader's clock, in seconds.

    ``heard``: when its latest report came. ``wants``: requests per second it could send. ``grants``: what it
    may be sending by, oldest first; the last one stands. ``since``: when it last got a share, or lost it.
    """

    name: str
    heard: float
    since: float
    grants: tuple[Grant, ...]
    wants: float = UNLIMITED

    @property
    def share(self) -> float:
        """What it is told to keep to."""
        return self.grants[-1].share

    @property
    def number(self) -> int:
        """The number of its orders."""
        return self.grants[-1].number

    @property
    def most(self) -> float:
        """What it may be sending, as far as is known."""
        return max(grant.share for grant in self.grants)


def joined(name: str, now: float, obeyed: int = 0) -> Member:
    """A worker that has reported, for the first time or after it had been given up.

    ``obeyed``: the number of orders obeyed before, of an earlier leader or of an earlier lease.
    """
    return Member(name, now, now, grants=(Grant(obeyed + 1, 0.0),))


def heard(member: Member, obeys: int, wants: float, now: float) -> Member:
    """After its next report, by which it obeys the orders of this number."""
    grants = tuple(
        replace(grant, ceded=min(grant.ceded, now)) if grant.number < obeys <= member.number else grant
        for grant in member.grants
    )
    return replace(member, heard=now, wants=wants, grants=grants)


def allot(rate: float, members: Iterable[Member], now: float) -> tuple[Member, ...]:
    """The members with new orders, without those whose lease has been over for long enough.

    ``rate``: requests per second of all, 0 for no ceiling.
    """
    after = MARGIN + (max(1.0, 1 / rate) if rate else 1.0)
    present = [_settled(each, now - after) for each in members if now < each.heard + LEASE + after]
    if not rate:
        return tuple(_order(each, UNLIMITED, now) for each in present)
    targets = _targets(rate, present, now)
    lowered = [_order(each, min(each.share, targets[each.name]), now) for each in present]
    return _raised(rate, lowered, targets, now)


def _settled(member: Member, before: float) -> Member:
    """Without the grants of which nothing can be left."""
    if all(grant.ceded > before for grant in member.grants):
        return member
    return replace(member, grants=tuple(grant for grant in member.grants if grant.ceded > before))


def _order(member: Member, share: float, now: float) -> Member:
    if share == member.share:
        return member
    since = member.since if share and member.share else now
    return replace(member, since=since, grants=(*member.grants, Grant(member.number + 1, share)))


def _raised(
    rate: float, members: Sequence[Member], targets: Mapping[str, float], now: float
) -> tuple[Member, ...]:
    """As many of them with their target as there is room for, whoever waits longest first."""
    room = rate - sum(each.most for each in members)
    if room == -UNLIMITED:
        return tuple(members)
    orders = {}
    for each in sorted(members, key=lambda one: (one.share > 0, one.since, one.name)):
        share = targets[each.name]
        if share > each.share:
            share = max(each.share, _within(share, each.most + room))
            room -= max(share, each.most) - each.most
        orders[each.name] = _order(each, share, now)
    return tuple(orders[each.name] for each in members)


def _within(target: float, room: float) -> float:
    """As much of the target as there is room for: all of it, or a whole number.

    So there is never a fraction too many, and what is rounded up sums up to the rate rounded up at most.
    """
    if target <= room + ROUNDING:
        return target
    return float(max(0, math.floor(room + ROUNDING)))


# --- what each of them is to get in the end ---------------------------------------------------------


def _targets(rate: float, members: Sequence[Member], now: float) -> dict[str, float]:
    if not members:
        return {}
    if rate < 1:
        first = _in_turn([each for each in members if each.wants] or members, now)[0]
        return {each.name: rate * (each is first) for each in members}
    whole = math.floor(rate + ROUNDING)
    targets = _filled(whole, members, now)
    fraction = rate - whole
    if fraction > ROUNDING:
        best = max(targets.values())
        # Whoever has a fraction keeps it.
        largest = [each for each in members if targets[each.name] >= max(1, best - 1)]
        targets[max(largest, key=lambda one: one.share % 1).name] += fraction
    return targets


def _filled(whole: int, members: Sequence[Member], now: float) -> dict[str, float]:
    """So many requests per second, shared out evenly among those who want them."""
    spare = math.floor(SPARE * whole / len(members))
    caps = {each.name: max(spare, math.ceil(each.wants) if each.wants < whole else whole) for each in members}
    targets = dict.fromkeys(caps, 0.0)
    for limits in (caps, dict.fromkeys(caps, whole)):  # what nobody wants lies ready where it may be wanted
        whole = _pour(whole, [each for each in members if limits[each.name]], limits, targets, now)
    return targets


def _pour(
    whole: int, members: Sequence[Member], caps: Mapping[str, int], targets: dict[str, float], now: float
) -> int:
    """Share out evenly up to the caps, on top of what they have. What is left over."""
    open_ = sorted(members, key=lambda one: caps[one.name] - targets[one.name])
    for at, each in enumerate(open_):
        level = whole // (len(open_) - at)
        room = caps[each.name] - int(targets[each.name])
        if room > level:
            return _pour_evenly(whole, open_[at:], targets, now)
        targets[each.name] += room
        whole -= room
    return whole


def _pour_evenly(whole: int, members: Sequence[Member], targets: dict[str, float], now: float) -> int:
    """The same for all of them; one more for some, who have more already or whose turn it is."""
    level, more = divmod(whole, len(members))
    order = sorted(members, key=lambda one: (-one.share, one.name)) if level else _in_turn(members, now)
    for at, each in enumerate(order):
        targets[each.name] += level + (at < more)
    return 0


def _in_turn(members: Sequence[Member], now: float) -> list[Member]:
    """Who has a share; who waits, longest first; and last of all who has had his turn.

    One at a time, so that no two begin to wait at once, of whom one would always be the first again.
    """
    over = min((one.since for one in members if one.share and now - one.since >= TURN), default=None)
    last = next((one for one in members if one.share and one.since == over), None)
    return sorted(members, key=lambda one: (one is last, not one.share, one.since, one.name))
