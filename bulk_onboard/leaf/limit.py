"""One timer for all exchanges. Each may take as long as any other, so the oldest is the next to be late.

aiohttp's own timeouts set and cancel a timer for every request: flat out that was a tenth of what HTTP costs.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Limit:
    """Ends what takes longer than so many seconds. Use as ``with limit.kept():``, in a task."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[_Kept, None] = {}  # the oldest first
        self._timer: asyncio.TimerHandle | None = None

    def kept(self) -> _Kept:
        """A block that raises TimeoutError when its time is over."""
        return _Kept(self)

    def close(self) -> None:
        """Nobody is waited for any more: the time of all who are left is over."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        for one in list(self._open):
            self.end(one)
            one.cancel()

    def begin(self, one: _Kept) -> float:
        """Wait for this one too: until when, by the loop's clock."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._seconds
        self._open[one] = None
        if self._timer is None:
            self._timer = loop.call_at(due, self._look)
        return due

    def end(self, one: _Kept) -> None:
        """This one has ended by itself, or is known to be late."""
        self._open.pop(one, None)

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for one in list(self._open):
            if one.due > now:
                self._timer = loop.call_at(one.due, self._look)
                return
            self.end(one)
            one.cancel()


class _Kept:
    """A block of one task, as `asyncio.timeout` makes them."""

    __slots__ = ("_before", "_late", "_limit", "_task", "due")

    def __init__(self, limit: Limit) -> None:
        self._limit, self._late, self.due = limit, False, 0.0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (whoever awaits is a task)
        self._task, self._before = task, task.cancelling()
        self.due = self._limit.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit.end(self)
        # Whoever was cancelled by others as well stays cancelled.
        if self._late and self._task.uncancel() <= self._before and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def cancel(self) -> None:
        """The time is over."""
        self._late = True
        self._task.cancel()
