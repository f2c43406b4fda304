"""Ctrl-C and SIGTERM: after the first, no new row starts; the second ends the run at once."""

from __future__ import annotations

import asyncio
import math
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Protocol, TypeVar

from bulk_onboard.errors import ExitCode

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop(Protocol):
    """The stop requests that a run accepts."""

    def drain(self, reason: str, exit_code: ExitCode) -> None:
        """Start no new row; let rows in flight finish."""

    def abort(self) -> None:
        """Stop at once."""


class Interrupts:
    """Turns the first signal into a stop of new rows, and the second into a stop at once."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._count = 0

    def __call__(self) -> None:
        """Handle a signal."""
        self._count += 1
        if self._count == 1:
            self._stop.drain("interrupted", ExitCode.INTERRUPTED)
        else:
            self._stop.abort()
            _restore()  # a third one ends the process even if the loop hangs


def run(work: Callable[[], Coroutine[Any, Any, T]], stop: Stop) -> T:
    """Run a coroutine to its end, on uvloop if it is installed; signals stop it gracefully."""

    async def watched() -> T:
        # In debug mode asyncio logs slow tasks with all their values, including texts of exceptions.
        asyncio.get_running_loop().slow_callback_duration = math.inf
        with _listening(Interrupts(stop)):
            return await work()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(watched())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  (there is none on Windows)
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


@contextmanager
def _listening(heard: Callable[[], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number in _SIGNALS:
            loop.add_signal_handler(number, heard)
    except NotImplementedError:  # Windows: the loop does not support signals, so a plain handler wakes it
        for number in _SIGNALS:
            signal.signal(number, _waking(loop, heard))
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            if handler is not None:
                signal.signal(number, handler)


def _waking(
    loop: asyncio.AbstractEventLoop, heard: Callable[[], None]
) -> Callable[[int, FrameType | None], None]:
    def handler(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(heard)

    return handler


def _restore() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
