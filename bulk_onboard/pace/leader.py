"""The leader of a run with several workers: reports in, orders out. No clock: times are handed in."""

from __future__ import annotations

from collections.abc import Callable

from bulk_onboard.model import Traffic
from bulk_onboard.orders import UNLIMITED, Orders, Report
from bulk_onboard.pace.allot import Member, allot, heard, joined
from bulk_onboard.pace.governor import Governor
from bulk_onboard.pace.meter import Meter

# Who has not sent anything so many seconds after the first one has was not only slow to begin.
BEGINNING = 3.0


class Leader:
    """One ceiling of ``rate`` requests per second (0: none) for all workers.

    ``quiet_until``: before this nobody may send, for the workers of an earlier leader may still be sending:
    that is, until `LEASE` and a second after they were last answered. ``on_hold``, ``on_slower``: see
    `Governor`.
    """

    def __init__(
        self,
        rate: float,
        quiet_until: float = float("-inf"),
        on_hold: Callable[[float], None] = lambda _seconds: None,
        on_slower: Callable[[float], None] = lambda _rate: None,
    ) -> None:
        self._governor = Governor(rate, on_hold, on_slower)
        self._quiet_until = quiet_until
        self._members: dict[str, Member] = {}
        self._reports: dict[str, Report] = {}
        self._meter = Meter()
        self._began = float("inf")

    @property
    def rate(self) -> float:
        """Requests per second of all that may go out now, 0 if there is no ceiling."""
        return self._governor.rate

    @property
    def workers(self) -> tuple[str, ...]:
        """Whoever may be sending, or is to."""
        return tuple(self._members)

    def traffic(self, now: float) -> Traffic:
        """What all of them sent so far, over time, as far as it was reported."""
        return self._meter.read(now)

    def hear(self, report: Report, now: float) -> None:
        """Take in a report that was read now. Read again it changes nothing: it renews no lease."""
        last = self._reports.get(report.worker, Report(report.worker, 0))
        if report.number <= last.number:
            return
        self._reports[report.worker] = report
        self._governor.hear(report, now)
        member = self._members.get(report.worker) or joined(report.worker, now, report.obeys)
        if report.sent:
            self._began = min(self._began, now)
        # Shares are not moved about while all begin: it would take seconds to move them back.
        begins = not report.sent and now < self._began + BEGINNING
        wants = UNLIMITED if begins else report.wants
        self._members[report.worker] = heard(member, report.obeys, wants, now)
        self._meter.sent(now, report.sent - last.sent)
        self._meter.throttled(now, report.throttled - last.throttled)

    def orders(self, now: float) -> dict[str, Orders]:
        """What each worker has to keep to from now on, by name. Who is left out is gone, and has no lease."""
        if now < self._quiet_until:
            return {}
        self._governor.tick(now)
        members = {each.name: each for each in allot(self.rate, self._members.values(), now)}
        for name in self._members.keys() - members.keys():
            self._governor.forget(name)
        self._members = members
        return {name: self._order(member, now) for name, member in members.items()}

    def _order(self, member: Member, now: float) -> Orders:
        governor = self._governor
        return Orders(
            number=member.number,
            answers=self._reports[member.name].number,
            share=member.share,
            rate=governor.rate,
            epoch=governor.epoch,
            pause=max(0.0, governor.held_until - now),
            weighing=governor.weighing,
        )
