"""Between the engine and the observer: facts pass through, and the watch looks at them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from bulk_onboard.engine.stop import StopSignal, Watch
from bulk_onboard.facts import Fact, Held, Observer, RowFinished, RowRolledBack, Stopping, Trouble
from bulk_onboard.model import Status
from bulk_onboard.settings import Safety

# The same trouble of a hundred rows is told once in a while, not a hundred times.
QUIET = 10.0  # seconds


class Observing:
    """Calls the observer, and asks for a stop when the facts say so. ``patience`` in seconds."""

    def __init__(
        self,
        observer: Observer,
        stop: StopSignal,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observer, self._patience, self._clock = observer, patience, clock
        self.stop = stop
        self._watch: Watch | None = None
        self._troubles: dict[str, float] = {}
        stop.on_drain = lambda reason: observer(Stopping(reason, stop.in_flight, stop.grace))

    def watch(
        self, safety: Safety, to_do: int, *, harmless: bool = False, tried: Collection[int] = ()
    ) -> None:
        """From now on, outcomes decide whether the run goes on, as `Watch` says."""
        self._watch = Watch(safety, to_do, harmless=harmless, tried=tried)

    def __call__(self, fact: Fact) -> None:
        match fact:
            case Trouble(message) if self._told_lately(message):
                return
            case Held(seconds) if seconds > self._patience:
                self.stop.drain(f"Leaf asks to wait {seconds:.0f} s, longer than a row's patience")
            case RowRolledBack() if self._watch and (reason := self._watch.reason_to_stop(_as_row(fact))):
                self.stop.drain(reason)
            case RowFinished() if self._watch and (reason := self._watch.reason_to_stop(fact)):
                self.stop.drain(reason)
            case _:
                pass
        self._observer(fact)

    def _told_lately(self, message: str) -> bool:
        now, before = self._clock(), self._troubles.get(message)
        if before is not None and now - before < QUIET:
            return True
        self._troubles[message] = now
        return False


def _as_row(fact: RowRolledBack) -> RowFinished:
    """What the watch makes of a row that is rolled back: only its trouble matters."""
    status = Status(fact.status) if fact.status.needs_attention else Status.EXISTING
    return RowFinished(fact.row, status, fact.code)
