"""An event loop whose time passes by itself: whoever sleeps wakes at once, and the clock says it is later."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

BEGINNING = datetime(2026, 11, 23, 12, tzinfo=UTC)
# Smaller steps than this would let the clock stand still for rounding.
TICK = 1e-9


class Stuck(AssertionError):
    """Everybody waits, and nothing will ever happen."""


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Never waits: it turns the clock instead."""

    pass_time: Callable[[float], None]

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Stuck
            self.pass_time(timeout)
        return ready


class WarpLoop(asyncio.SelectorEventLoop):
    """``late``: how many seconds after its time a wake-up comes. Threads' work is done at once, in place."""

    def __init__(self, late: Callable[[], float] = lambda: 0.0) -> None:
        selector = _Selector()
        selector.pass_time = self._pass
        super().__init__(selector)
        self._late = late
        self._seconds = 1000.0

    def time(self) -> float:
        return self._seconds

    def now(self) -> datetime:
        """The time of day that goes with `time`."""
        return BEGINNING + timedelta(seconds=self._seconds - 1000.0)

    def _pass(self, seconds: float) -> None:
        # Also without a sleep: who asks "is it time?" and is told "not quite" must get there.
        self._seconds += max(seconds, TICK) + (self._late() if seconds > 0 else 0.0)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def warp(main: Coroutine[Any, Any, T], late: Callable[[], float] = lambda: 0.0) -> T:
    """Run to the end, in no time."""
    with asyncio.Runner(loop_factory=lambda: WarpLoop(late)) as runner:
        return runner.run(main)


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Decorator: run an asynchronous test in virtual time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        warp(test(*args, **kwargs))

    return run


def now() -> datetime:
    """The time of day of the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, WarpLoop)
    return loop.now()
