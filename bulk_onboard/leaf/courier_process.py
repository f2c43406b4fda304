"""The other side of `courier`: a process that sends what it is handed, until nobody hands it anything."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, NoReturn

from bulk_onboard.leaf.courier import packed, read, taken, told
from bulk_onboard.leaf.wire import Message, Wire
from bulk_onboard.window import Window

# Little of what an exchange leaves behind needs a collector; the usual threshold would start it all the time.
GARBAGE = 20_000
# Answers wait so long for company: waking up the other side once for ten of them is a tenth of the work.
LINGER = 0.001  # seconds
# Longer where so many come in that time: then it is the work that takes time, and not the wait.
CROWD, LONGER = 8, 0.003


def main() -> NoReturn:
    """Serve standard input and output. Signals are for who started us; the end of the input is ours."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(GARBAGE)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve())
    os._exit(0)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes event loops: uvloop's where there is one; None for asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415  (not everywhere)
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve() -> None:
    loop, parent = asyncio.get_running_loop(), os.getppid()
    inputs = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(inputs), sys.stdin)
    output, _ = await loop.connect_write_pipe(asyncio.Protocol, sys.stdout)
    try:
        [(base_url, timeout, connections, rate)] = await taken(inputs)
        window = Window(rate)
        async with Wire(base_url, timeout, window) as wire:
            delivery = _Delivery(wire, output, connections, window)
            output.write(packed([]))  # ready
            while True:
                batch = await taken(inputs)
                # Who handed this in may be dead, and the next run at work: then nothing more goes out.
                if os.getppid() != parent:
                    break
                for number, *message in batch:
                    delivery.begin(number, Message(*message))
    finally:
        os._exit(0)  # at once: whatever is still on its way counts as unknown


class _Delivery:
    """Messages under way, one at a time for each connection, and the answers that go back together."""

    def __init__(self, wire: Wire, output: asyncio.WriteTransport, connections: int, window: Window) -> None:
        self._wire, self._output, self._window = wire, output, window
        self._loop = asyncio.get_running_loop()
        # Half the time of an asyncio.Queue: nobody who waits here is ever cancelled.
        self._queue: deque[tuple[int, Message]] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._answers: list[tuple[Any, ...]] = []
        self._order = asyncio.Lock()
        self._most = connections
        self._linger = LINGER
        self._workers: list[asyncio.Task[None]] = []

    def begin(self, number: int, message: Message) -> None:
        """Send it as soon as there is a connection."""
        self._queue.append((number, message))
        if self._idle:
            self._idle.popleft().set_result(None)
        elif len(self._workers) < self._most:
            self._workers.append(asyncio.create_task(self._work()))

    async def _work(self) -> None:
        while True:
            while not self._queue:  # whoever was busy may have been faster
                self._idle.append(self._loop.create_future())
                await self._idle[-1]
            # Turns are given out over there; what this side was late for must not come in a crowd.
            if self._window.opens() > perf_counter():
                await self._room()
                continue
            number, message = self._queue.popleft()
            try:
                heard = read(await self._wire.exchange(message), message)
            except Exception:  # a bug; where there are words for it, it will happen again
                os._exit(70)
            if not self._answers:
                self._loop.call_later(self._linger, self._flush)
            self._answers.append((number, *told(heard)))

    async def _room(self) -> None:
        """Return when there is room for one more. One waits for it at a time: all would wake up for one."""
        async with self._order:
            while (left := self._window.opens() - perf_counter()) > 0:  # noqa: ASYNC110  (time passes by itself)
                await asyncio.sleep(left)

    def _flush(self) -> None:
        answers, self._answers = self._answers, []
        self._linger = LONGER if len(answers) >= CROWD else LINGER
        self._output.write(packed(answers))
