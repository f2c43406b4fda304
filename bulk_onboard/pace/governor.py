"""The rate that Leaf takes from all workers together, by what they report. No clock: times are handed in.

The same search as for one process, over sums. A refusal is weighed when everybody has reported since, for
what Leaf took of one worker alone says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bulk_onboard.orders import UNLIMITED, Report
from bulk_onboard.pace.adaptive import ENOUGH, IN_A_ROW, OFTEN, Refusal, Search

# Seconds after which refusals are weighed, whoever has not reported since.
GATHER = 1.0
# Who has not reported for so many seconds is not waited for, and counts as sending nothing.
SILENT = 2.0
# Who has sent something within so many seconds counts as sending: reports are that late.
SENDING = 1.0


class _Heard(NamedTuple):
    report: Report
    at: float


class Governor:
    """The ``rate`` for all, at most ``highest`` (0: no ceiling), and the pauses that Leaf asks for.

    ``epoch`` grows whenever something is learned: what was sent before says nothing of the new rate.
    ``on_hold`` is told the seconds of every pause, ``on_slower`` the rate when it falls.
    """

    def __init__(
        self,
        highest: float,
        on_hold: Callable[[float], None] = lambda _seconds: None,
        on_slower: Callable[[float], None] = lambda _rate: None,
    ) -> None:
        self._search = Search(highest)
        self._on_hold, self._on_slower = on_hold, on_slower
        self._heard: dict[str, _Heard] = {}
        self._refused_at: float | None = None
        self._pause = 0.0
        self._sent_at = self._ticked_at = float("-inf")
        self.held_until = 0.0
        self.epoch = 0

    @property
    def rate(self) -> float:
        """Requests per second of all, 0 for no ceiling."""
        return self._search.rate

    @property
    def weighing(self) -> bool:
        """Whether refusals were reported that are not weighed yet."""
        return self._refused_at is not None

    def hear(self, report: Report, now: float) -> None:
        """Take in a report that came now."""
        last = self._heard.get(report.worker, _Heard(Report(report.worker, 0), now)).report
        self._heard[report.worker] = _Heard(report, now)
        if report.sent > last.sent:
            self._sent_at = now
        if report.pauses > last.pauses and report.pause > 0:
            self._hold(report.pause, now)
        known = last.refused if last.epoch == report.epoch else 0
        if report.epoch == self.epoch and report.refused > known and self._refused_at is None:
            self._refused_at = now

    def forget(self, worker: str) -> None:
        """This worker is gone."""
        self._heard.pop(worker, None)

    def tick(self, now: float) -> None:
        """Let time pass: weigh what was refused, and speed up where it is due."""
        if now - self._sent_at < SENDING:
            self._search.sent_for(now - self._ticked_at)
        self._ticked_at = now
        if self._refused_at is not None and self._is_gathered(self._refused_at, now):
            self._refused_at = None
            self._weigh(now)
        self._search.speed_up()

    def _hold(self, seconds: float, now: float) -> None:
        self._pause = max(self._pause, seconds)
        if now + seconds > self.held_until:
            self.held_until = now + seconds
            self._on_hold(seconds)

    def _is_gathered(self, since: float, now: float) -> bool:
        if now - since >= GATHER:
            return True
        heard = (each for each in self._heard.values() if now - each.at < SILENT)
        return all(each.at > since or self._has_refused(each.report) for each in heard)

    def _has_refused(self, report: Report) -> bool:
        return report.epoch == self.epoch and report.refused > 0

    def _weigh(self, now: float) -> None:
        reports = [each.report for each in self._heard.values() if now - each.at < SILENT]
        telling = [each for each in reports if self._has_refused(each)]
        if not telling:
            return
        current = [each for each in reports if each.epoch == self.epoch]
        taken, in_a_row = sum(each.taken for each in reports), max(each.in_a_row for each in telling)
        answered = sum(each.answered for each in current)
        refused = sum(each.refused for each in current)
        told = Refusal(
            rate=max(each.rate for each in telling),
            busy=any(each.wants == UNLIMITED for each in reports) or max(taken, in_a_row) >= ENOUGH,
            taken=taken,
            age=max(each.age for each in reports),
            in_a_row=in_a_row,
            answered=answered,
            refused=refused,
            pause=self._pause,
            repeated=in_a_row >= IN_A_ROW or refused >= OFTEN * max(answered, ENOUGH),
        )
        if self._search.refused(told):
            self.epoch += 1
            self._pause = 0.0
            if self._search.probing:
                self._on_slower(self.rate)
