"""Asking a person, beside a running event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.facts import About

# Whether a person agrees to what is about to be written to Leaf.
Confirm = Callable[[About], bool]


async def is_confirmed(confirm: Confirm, about: About, stop: StopSignal) -> bool:
    """Return the answer. A signal to stop does not wait for it, and means no."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def take(agreed: bool) -> None:
        if not answer.done():
            answer.set_result(agreed)

    def ask() -> None:
        agreed = confirm(about)
        with suppress(RuntimeError):  # the run has ended meanwhile
            loop.call_soon_threadsafe(take, agreed)

    # Not of a pool: the end of the process must not wait for a key to be pressed.
    threading.Thread(target=ask, daemon=True).start()
    while not answer.done() and not stop.draining:
        await asyncio.wait([answer], timeout=0.2)
    return answer.done() and answer.result()
