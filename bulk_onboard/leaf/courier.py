"""A process of its own that sends for us, so that both sides have a core: the engine here, HTTP there.

What it gets and what it answers goes through two pipes that nobody else sees. It has no record of rows: when
it dies, nobody can say what of its requests reached Leaf, and that is what their answers say.
"""

from __future__ import annotations

import asyncio
import marshal
import os
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bulk_onboard.leaf.comparison import Fields
from bulk_onboard.leaf.replies import Reply, after_post
from bulk_onboard.leaf.wire import Heard, Message
from bulk_onboard.model import Ambiguous, Answer, Created, Credential, Echo, Payload, Transient

# Who waits for so much longer than an exchange may take waits for a process that is stuck.
STUCK = 5.0  # seconds
# For so many seconds its start is waited for; it takes a fraction of one.
STARTING = 5.0
SIZE = 4  # bytes; before every batch, its length
_PROGRAM = "from bulk_onboard.leaf.courier_process import main; main()"


class Courier:
    """Exchanges messages by way of the process. Use as ``async with``.

    ``ready`` tells whether to hand something in: not before the process has started, nor after it has died.
    ``on_loss`` is told once, in words, if it died. ``rate``: requests that may go out in any second, 0: any.
    """

    def __init__(
        self,
        base_url: str,
        timeout: float,
        connections: int,
        on_loss: Callable[[str], None],
        rate: float = 0.0,
    ) -> None:
        self._setup, self._rate = (base_url, timeout, connections, rate), rate
        self._started = asyncio.Event()
        self._patience = timeout + STUCK
        self._on_loss = on_loss
        self._waiting: dict[int, asyncio.Future[Heard]] = {}
        self._outbox: list[tuple[Any, ...]] = []
        self._last = 0
        self.ready = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._process = await _start()
        self._put([self._setup])
        self._tasks = [self._loop.create_task(work) for work in (self._listen(), self._watch())]
        if self._rate:  # what went out by another way meanwhile would not be counted over there
            with suppress(TimeoutError):
                await asyncio.wait_for(self._started.wait(), STARTING)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ready = False
        for task in self._tasks:
            task.cancel()
        self._kill()  # whatever it still has in hand is nobody's concern any more
        await self._process.wait()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def exchange(self, message: Message) -> Heard:
        """Have the request sent, once, and return what came of it."""
        self._last += 1
        if not self._outbox:
            self._loop.call_soon(self._flush)  # with all others that are handed in until then
        self._outbox.append((self._last, *message))
        answer: asyncio.Future[Heard] = self._loop.create_future()
        self._waiting[self._last] = answer
        return await answer

    def _flush(self) -> None:
        batch, self._outbox = self._outbox, []
        self._put(batch)

    def _put(self, batch: list[tuple[Any, ...]]) -> None:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101  (narrows the type)
        with suppress(OSError, RuntimeError):  # if it died, `_listen` hears of it
            stdin.write(packed(batch))

    async def _listen(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101  (narrows the type)
        try:
            while True:
                batch = await taken(stdout)
                self.ready = True
                self._started.set()
                for number, *told in batch:
                    if (waiting := self._waiting.pop(number, None)) and not waiting.done():
                        waiting.set_result(_heard(*told))
        except Exception:  # whatever it is, nobody hears of what is under way any more
            self._kill()
            self._lose()

    async def _watch(self) -> None:
        """End a process that keeps somebody waiting for longer than any exchange may take."""
        while True:
            oldest = next(iter(self._waiting), None)
            await asyncio.sleep(self._patience)
            if oldest in self._waiting:
                self._kill()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    def _lose(self) -> None:
        self.ready = False
        self._started.set()
        lost = Ambiguous("connection-lost", "the process that sent it has ended")
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(Answer(lost))
        self._waiting.clear()
        self._on_loss("the sending process has ended; continuing without it")


async def _start() -> Process:
    # A session of its own: Ctrl-C on the terminal is for us, who then let it finish.
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-c",
        _PROGRAM,
        stdin=PIPE,
        stdout=PIPE,
        stderr=subprocess.DEVNULL,  # a traceback is nothing for people; what is lost with it, `_lose` tells
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
    )


# --- what both sides do alike ---------------------------------------------------------------------------


def packed(batch: Iterable[tuple[Any, ...]]) -> bytes:
    """Plain values for the pipe. marshal: the fastest, and the other side is the same Python."""
    data = marshal.dumps(list(batch))
    return len(data).to_bytes(SIZE) + data


async def taken(stream: asyncio.StreamReader) -> list[Any]:
    """The next batch. Raises IncompleteReadError at the end."""
    size = int.from_bytes(await stream.readexactly(SIZE))
    found: list[Any] = marshal.loads(await stream.readexactly(size))  # noqa: S302  (from our own process)
    return found


def read(heard: Heard, message: Message) -> Heard:
    """The same, but read already if it says what nearly all replies to a POST of credentials say.

    So that both sides have as much to do, and a body that echoes secrets goes no further than it must.
    """
    if message.fields is None or not isinstance(heard.verdict, Reply):
        return heard
    verdict = after_post(heard.verdict, Payload(message.body or {}), Fields(*message.fields))
    return heard._replace(verdict=verdict) if isinstance(verdict, Created) else heard


def told(heard: Heard) -> tuple[Any, ...]:
    """An answer as plain values."""
    match heard.verdict:
        case Created(Credential(name, status, created, echo, shown, app, environment, other)):
            at = created and created.isoformat()
            seen = (name, status, at, echo.value, shown, app.value, environment, other)
            return ("created", heard.seconds, heard.http_status, *seen)
        case Reply(status, headers, body, at):
            return ("reply", heard.seconds, status, dict(headers), body, at.timestamp())
        case Transient(code, message):
            return ("transient", heard.seconds, code, message)
        case Ambiguous(code, message, _, accepted):
            return ("ambiguous", heard.seconds, code, message, accepted)


def _heard(kind: str, seconds: float, *told: Any) -> Heard:
    """The answer that was `told`."""
    match kind:
        case "created":
            http_status, name, status, at, echo, shown, app, environment, other = told
            time = at and datetime.fromisoformat(at)
            created = Credential(name, status, time, Echo(echo), shown, Echo(app), environment, other)
            return Answer(Created(created), http_status, seconds)
        case "reply":
            status, headers, body, at = told
            return Answer(Reply(status, headers, body, datetime.fromtimestamp(at, UTC)), status, seconds)
        case "transient":
            return Answer(Transient(*told), None, seconds)
        case _:
            code, message, accepted = told
            return Answer(Ambiguous(code, message, accepted=accepted), None, seconds)
