"""The pace of one worker among several: its share of one ceiling, by orders, while they are valid."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from bulk_onboard.domain.turns import StillValid, Urgency, always
from bulk_onboard.model import (
    Traffic,
)
from bulk_onboard.orders import Orders, Report
from bulk_onboard.pace.ceiling import Ceiling
from bulk_onboard.pace.lease import Lease
from bulk_onboard.pace.meter import Meter


class SharedPace:
    """Turns at no more than the share that was ordered, and none without a valid lease.

    Whoever carries reports and orders takes `report`, about twice a second, and hands what comes back to
    `obey`. ``urgent`` is called when the next report should not wait: Leaf has refused a request as one too
    many, or a share has changed, which others may wait for.
    """

    def __init__(self, worker: str, urgent: Callable[[], None] = lambda: None) -> None:
        self._lease = Lease(worker)
        self._urgent = urgent
        self._ceiling = Ceiling(0)
        self._meter = Meter()
        self._open = asyncio.Event()

    @property
    def rate(self) -> float:
        """Requests per second of this worker, 0 if there is no ceiling or nothing may go out."""
        return self._ceiling.rate

    def traffic(self) -> Traffic:
        """The turns so far, over time."""
        return self._meter.read(_now())

    def lapses_in(self) -> float:
        """Seconds until the lease runs out; negative if it has, or there was none yet."""
        return self._lease.until - _now()

    def rest(self) -> None:
        """There is nothing to send until the next turn is asked for: others may have this share."""
        if self._lease.rest():
            self._urgent()

    def report(self) -> Report:
        """How this worker is doing, as of now. It is to be sent at once: its lease begins here."""
        return self._lease.report(_now())

    def obey(self, orders: Orders) -> None:
        """Keep to these orders from now on."""
        before = self._lease.orders.number
        if not self._lease.obey(orders):
            return
        if orders.pause > 0 and self._ceiling.hold(orders.pause):
            self._meter.held(_now(), self._ceiling.held_until)
            self._lease.held(_now(), self._ceiling.held_until)
        rate = 0.0 if math.isinf(orders.share) else orders.share
        if orders.share > 0 and rate != self._ceiling.rate:
            self._ceiling.change(rate)
        self._set_open()
        if orders.number != before:
            self._urgent()

    async def turn(
        self, *, urgency: Urgency = Urgency.BEGIN, still_valid: StillValid = always
    ) -> float | None:
        """Return when the next request may go out, or None; see `Ceiling.turn`."""
        lease = self._lease
        if lease.wanted(_now(), 1):
            self._urgent()
        try:
            now = await self._allowed(urgency, still_valid)
        finally:
            lease.wanted(_now(), -1)
        if now is not None:
            lease.sent(now)
            self._meter.sent(now)
        return now

    def hold(self, seconds: float) -> None:
        """Let no request out for so many seconds, here at once and soon anywhere. A longer pause is kept."""
        if self._ceiling.hold(seconds):
            self._meter.held(_now(), self._ceiling.held_until)
            self._lease.asked_to_wait(_now(), self._ceiling.held_until)
            self._urgent()

    def passed(self, turn: float) -> None:
        """The request of this turn was not refused as one too many."""
        self._lease.passed(turn)

    def throttled(self, turn: float, after: float | None) -> None:
        """The request of this turn was refused as one too many; ``after``: seconds that Leaf asks to wait."""
        self._meter.throttled(turn)
        self._lease.throttled(turn)
        self._set_open()
        if after:
            self.hold(after)
        self._urgent()

    async def _allowed(self, urgency: Urgency, still_valid: StillValid) -> float | None:
        while True:
            while not self._lease.allows(_now()):
                self._open.clear()
                await self._open.wait()
            now = await self._ceiling.turn(urgency=urgency, still_valid=still_valid)
            # Asked again, for the lease may have run out, or the share have gone, while this stood in line.
            if now is None or self._lease.allows(now):
                return now

    def _set_open(self) -> None:
        if self._lease.allows(_now()):
            self._open.set()
        else:
            self._open.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()
