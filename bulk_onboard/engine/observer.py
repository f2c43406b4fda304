"""The link between engine and observer: it passes events on, and stops the run if a rule requires it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from bulk_onboard.domain.run_events import (
    Fact,
    Observer,
    Paused,
    RowFinished,
    Stopping,
    Trouble,
)
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.policy.stop_rules import StopRules
from bulk_onboard.settings import Safety

# Seconds during which the same problem is reported only once, rather than for each of a hundred rows.
QUIET = 10.0


class StoppingObserver:
    """Calls the observer, and stops the run if an event requires it. ``patience`` in seconds."""

    def __init__(
        self,
        observer: Observer,
        stop: StopSignal,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observer, self._patience, self._clock = observer, patience, clock
        self.stop = stop
        self._rules: StopRules | None = None
        self._troubles: dict[str, float] = {}
        stop.on_drain = lambda reason: observer(Stopping(reason, stop.in_flight, stop.grace))

    def watch(
        self, safety: Safety, to_do: int, *, read_only: bool = False, tried: Collection[int] = ()
    ) -> None:
        """Apply `StopRules` to the outcomes from now on."""
        self._rules = StopRules(safety, to_do, read_only=read_only, tried=tried)

    def __call__(self, fact: Fact) -> None:
        """Handle an event of the run, and stop the run if a rule requires it."""
        match fact:
            case Trouble(message) if self._is_repeated(message):
                return
            case Paused(seconds) if seconds > self._patience:
                self.stop.drain(f"Leaf asks to wait {seconds:.0f} s, longer than a row's patience")
            case RowFinished() if self._rules and (reason := self._rules.reason_to_stop(fact)):
                self.stop.drain(reason)
            case _:
                pass
        self._observer(fact)

    def _is_repeated(self, message: str) -> bool:
        now, before = self._clock(), self._troubles.get(message)
        if before is not None and now - before < QUIET:
            return True
        self._troubles[message] = now
        return False
