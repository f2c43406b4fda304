"""Blocking work in a thread that never outlives its caller."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def _nothing() -> None:
    pass


async def in_thread(function: Callable[[], T], on_cancel: Callable[[], None] = _nothing) -> T:
    """Return the function's result, like `asyncio.to_thread`; a cancellation waits for the end of the thread.

    `asyncio.to_thread` would leave the thread behind, which might go on writing to a ledger that by then
    another run holds. ``on_cancel``: called at once, to end the work soon.
    """
    context = contextvars.copy_context()
    work = asyncio.get_running_loop().run_in_executor(None, partial(context.run, function))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        on_cancel()
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        with suppress(BaseException):
            work.result()
        raise
