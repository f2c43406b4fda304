"""What a worker may do by its latest orders, and how it is doing. No clock: its own times are handed in."""

from __future__ import annotations

import math
from collections import deque

from bulk_onboard.orders import LEASE, UNLIMITED, Orders, Report
from bulk_onboard.pace.adaptive import ENOUGH, IN_A_ROW, OFTEN
from bulk_onboard.pace.answers import Answers, Pauses

# Who stood in line for this share of the time could have sent more.
IN_LINE = 0.9
# Who could not gets so much more than he used.
HEADROOM = 1.2
# Seconds over which both are smoothed.
SMOOTH = 1.0
# Who has sent nothing for so many seconds takes nothing of what Leaf takes.
RECENT = 2.0


class Lease:
    """The lease of one worker, which is to have a name that no other worker of the run has or had.

    Without a valid one nothing may go out. After several refusals in a row nothing goes out either, until
    orders say what follows from them: once for each rate, for some refusals have nothing to do with it.
    """

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.orders = Orders()
        self.until = -math.inf
        self._asked: deque[tuple[int, float]] = deque(maxlen=64)
        self._answers = Answers()
        self._demand = _Demand()
        self._began: float | None = None
        self._last = -math.inf
        self._pauses = Pauses()
        self._braking: int | None = None
        self._braked_epoch = -1
        self._refused_rate = 0.0
        self._reports = self._sent = self._throttled = self._asked_to_wait = 0

    def allows(self, now: float) -> bool:
        """Whether requests may go out, at the share that was ordered."""
        return now < self.until and self.orders.share > 0 and self._braking is None

    def report(self, now: float) -> Report:
        """The next report, made now: if it is answered, the lease lasts from now on."""
        self._reports += 1
        self._asked.append((self._reports, now))
        answers = self._answers
        began = now if self._began is None else self._began
        return Report(
            worker=self.worker,
            number=self._reports,
            obeys=self.orders.number,
            wants=self._demand.wants(now),
            sent=self._sent,
            throttled=self._throttled,
            pauses=self._asked_to_wait,
            pause=max(0.0, self._pauses.until - now),
            epoch=self.orders.epoch,
            rate=self._refused_rate,
            answered=answers.answered,
            refused=answers.refused,
            in_a_row=answers.in_a_row,
            taken=answers.taken(answers.latest) if now - self._last < RECENT else 0,
            age=max(0.0, answers.latest - max(began, self._pauses.ended_before(answers.latest))),
        )

    def obey(self, orders: Orders) -> bool:
        """Keep to these orders from now on. False if they are older than those obeyed so far."""
        if (orders.answers, orders.number) < (self.orders.answers, self.orders.number):
            return False
        # A report that was made longer ago than is remembered renews nothing.
        asked = next((at for number, at in self._asked if number == orders.answers), -math.inf)
        self.until = max(self.until, asked + LEASE)
        if orders.epoch != self.orders.epoch:
            self._answers.anew(self._last)
        if self._braking is not None and orders.answers >= self._braking and not orders.weighing:
            self._braking = None
        self.orders = orders
        return True

    def wanted(self, now: float, change: int) -> bool:
        """One more, or one less, stands in line. Whether that is the first one, or the first after a rest."""
        if idle := self._demand.idle:
            self._demand.wake()
        self._demand.line(now, change)
        return idle

    def rest(self) -> bool:
        """There is nothing to send for now: somebody else may have the share. Whether that is news."""
        return self._demand.rest()

    def sent(self, now: float) -> None:
        """A request goes out."""
        self._sent += 1
        self._last = now
        self._demand.sent += 1
        if self._began is None:
            self._began = now
        self._answers.sent(now)

    def passed(self, turn: float) -> None:
        """The request of this turn was not one too many."""
        self._answers.passed(turn)

    def throttled(self, turn: float) -> None:
        """The request of this turn was one too many."""
        self._throttled += 1
        answers, epoch = self._answers, self.orders.epoch
        if not answers.throttled(turn):
            return
        self._refused_rate = self.orders.rate
        often = answers.answered >= ENOUGH and answers.refused >= OFTEN * answers.answered
        if (answers.in_a_row >= IN_A_ROW or often) and self._braked_epoch != epoch:
            self._braked_epoch, self._braking = epoch, self._reports + 1

    def asked_to_wait(self, now: float, until: float) -> None:
        """Leaf asks this worker to wait."""
        self._asked_to_wait += 1
        self.held(now, until)

    def held(self, now: float, until: float) -> None:
        """Nothing goes out before this time."""
        self._pauses.hold(now, until)


class _Demand:
    """How many requests per second a worker could send, by how long there is a line and by what went out."""

    def __init__(self) -> None:
        self._waiting = 0
        self._since = self._line = 0.0
        self._told_at: float | None = None
        # Who has just come, or has just begun, wants as much as there is, and so does who has rested.
        self._in_line, self._used = 1.0, 0.0
        self._begun = self._rests = False
        self.sent = 0

    @property
    def idle(self) -> bool:
        return self._rests or not self._begun

    def rest(self) -> bool:
        before, self._rests = self._rests, True
        return not before

    def wake(self) -> None:
        self._begun, self._rests = True, False
        self._in_line, self._told_at = 1.0, None

    def line(self, now: float, change: int) -> None:
        if self._waiting:
            self._line += now - self._since
        self._since = now
        self._waiting += change

    def wants(self, now: float) -> float:
        if self._rests:
            return 0.0
        self.line(now, 0)
        if self._told_at is not None and now > self._told_at:
            passed = now - self._told_at
            weight = 1 - math.exp(-passed / SMOOTH)
            self._in_line += weight * (self._line / passed - self._in_line)
            self._used += weight * (self.sent / passed - self._used)
        self._told_at, self._line, self.sent = now, 0.0, 0
        return UNLIMITED if self._in_line >= IN_LINE else round(HEADROOM * self._used, 3)
