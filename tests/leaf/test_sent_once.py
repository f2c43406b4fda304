"""aiohttp itself never sends a POST a second time, on any loop, however the connection breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import uvloop

from bulk_onboard.domain.model import Absent, Ambiguous, Secret
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.leaf.client import LeafClient
from bulk_onboard.settings import LeafSettings, Login
from tests.leaf.test_hostile_replies import Turns
from tests.support.fakes import ID, PAYLOAD
from tests.support.raw_server import http, reset

NEW_LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
ROUNDS = 15

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


async def rest(reader: Reader) -> None:
    """Read the request to the end of its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = [
        line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    ]
    await reader.readexactly(int(length[0]) if length else 0)


async def closes_after_the_request(reader: Reader, writer: Writer) -> None:
    await rest(reader)
    writer.close()


async def resets_after_the_request(reader: Reader, writer: Writer) -> None:
    await rest(reader)
    reset(writer)


async def closes_in_the_request(reader: Reader, writer: Writer) -> None:
    writer.close()


async def resets_in_the_request(reader: Reader, writer: Writer) -> None:
    reset(writer)


async def closes_in_the_head_of_the_reply(reader: Reader, writer: Writer) -> None:
    await rest(reader)
    writer.write(b"HTTP/1.1 201 Cre")
    writer.close()


async def says_that_it_waited_too_long(reader: Reader, writer: Writer) -> None:
    await rest(reader)
    writer.write(http(408, b"", "Connection: close"))
    writer.close()


async def asks_for_it_again(reader: Reader, writer: Writer) -> None:
    await rest(reader)
    writer.write(http(503, b"", "Retry-After: 0", "Connection: close"))
    writer.close()


async def sends_it_elsewhere_unchanged(reader: Reader, writer: Writer) -> None:
    await rest(reader)
    writer.write(http(307, b"", "Location: /elsewhere", "Connection: close"))
    writer.close()


async def asks_for_another_login(reader: Reader, writer: Writer) -> None:
    await rest(reader)
    writer.write(http(407, b"", 'Proxy-Authenticate: Basic realm="x"', "Connection: close"))
    writer.close()


ENDS = [
    closes_after_the_request,
    resets_after_the_request,
    closes_in_the_request,
    resets_in_the_request,
    closes_in_the_head_of_the_reply,
    says_that_it_waited_too_long,
    asks_for_it_again,
    sends_it_elsewhere_unchanged,
    asks_for_another_login,
]


class Counting:
    """Says that there is nothing to whoever asks, and lets ``end`` deal with a POST. Counts first words."""

    def __init__(
        self, end: Callable[[Reader, Writer], Awaitable[None]], after_get: Callable[[Writer], object]
    ) -> None:
        self._end, self._after_get = end, after_get
        self.methods: list[bytes] = []
        self.tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task
        self.tasks.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                method = await reader.readuntil(b" ")
                self.methods.append(method.strip())
                if method == b"POST ":
                    await self._end(reader, writer)
                else:
                    await rest(reader)
                    writer.write(http(404))
                    await writer.drain()
                    self._after_get(writer)
        writer.close()


def stays(_writer: Writer) -> None:
    """The connection may be used again."""


def run(
    new_loop: Callable[[], asyncio.AbstractEventLoop], server: Counting, pauses: list[float], timeout: float
) -> list[object]:
    """Ask, wait and post, once per pause; what the POSTs came to."""

    async def talk() -> list[object]:
        listener = await asyncio.start_server(server, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        found: list[object] = []
        settings = LeafSettings(url, Login(token=Secret("planted-bearer")), timeout)
        async with LeafClient(settings, [PROVIDERS["raven"]], Turns()) as client:
            for pause in pauses:
                assert isinstance((await client.of("raven").ask(ID, PAYLOAD)).verdict, Absent)
                await asyncio.sleep(pause)
                found.append((await client.of("raven").post(ID, PAYLOAD)).verdict)
                await asyncio.sleep(0.002)
        listener.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        return found

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(talk())


@pytest.mark.parametrize("new_loop", NEW_LOOPS.values(), ids=NEW_LOOPS)
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_a_post_is_sent_once(
    end: Callable[[Reader, Writer], Awaitable[None]], new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    server = Counting(end, stays)
    found = run(new_loop, server, [0.0] * 5, timeout=5.0)
    assert server.methods == [b"GET", b"POST"] * 5
    if end is not asks_for_another_login:  # a plain no
        assert all(isinstance(verdict, Ambiguous) for verdict in found)


@pytest.mark.parametrize("new_loop", NEW_LOOPS.values(), ids=NEW_LOOPS)
@pytest.mark.parametrize("leaves", [Writer.close, reset], ids=["closes", "resets"])
def test_a_connection_that_ends_during_a_post_carries_it_at_most_once(
    leaves: Callable[[Writer], None], new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """The server tires of the idle connection in the very moment of the POST, before and after it."""
    delay = 0.01

    def tires(writer: Writer) -> None:
        asyncio.get_running_loop().call_later(delay, leaves, writer)

    async def hears_and_says_nothing(reader: Reader, _writer: Writer) -> None:
        await rest(reader)

    server = Counting(hears_and_says_nothing, tires)
    pauses = [delay + (n - ROUNDS // 2) * 0.0004 for n in range(ROUNDS)]
    # On a connection of its own nobody tires, and the POST waits in vain.
    settled = run(new_loop, server, pauses[: ROUNDS // 2 + 1], timeout=1.0)
    assert all(isinstance(verdict, Ambiguous) for verdict in settled)
    posts = "".join("P" if method == b"POST" else "G" for method in server.methods)
    assert "PP" not in posts
    assert posts.count("G") == len(settled)
