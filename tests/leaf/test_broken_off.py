"""Exchanges that break off: no reply reaches another request, nothing stays open, nothing goes out later."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from typing import Any

import pytest

from bulk_onboard.leaf.connections import Connection
from bulk_onboard.leaf.replies import Reply
from bulk_onboard.leaf.wire import Heard, Message, Wire
from bulk_onboard.model import Ambiguous, Transient
from bulk_onboard.window import Window
from leaf.server import Answer, Request, always, http, never, reset, serving

GET, POST = Message("GET", "/asked", "bearer"), Message("POST", "/stored", "bearer", {"refreshToken": "t"})
MEGA = 1 << 20
SLOW = 0.02  # seconds


def code(heard: Heard) -> str | int | None:
    """What came of it, in short."""
    verdict = heard.verdict
    return verdict.code if isinstance(verdict, Transient | Ambiguous) else heard.http_status


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[str]:
    """A server that does not wait for requests; its address."""
    talks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await talk(reader, writer)
        writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(5):
            await asyncio.gather(*talks)


# --- whose reply it is ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [b"101", b"099", b"000"])
async def test_a_reply_that_comes_after_something_else_is_not_the_next_requests(status: bytes) -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "POST":
            writer.write(b"HTTP/1.1 %s X\r\nContent-Length: 0\r\n\r\n" % status)
            await asyncio.sleep(SLOW)
        writer.write(http(201 if request.method == "POST" else 404))

    async with serving(answer) as server, Wire(server.url, 5.0) as wire:
        assert (await wire.exchange(POST)).http_status == int(status)
        assert (await wire.exchange(GET)).http_status == 404
        assert server.connections == 2


def _whole(request: Request) -> bytes:
    return http(200, request.path.encode())


def _chunked(request: Request) -> bytes:
    size = b"%x" % len(request.path)
    lines = [size, request.path.encode(), b"0", b"X-Trailer: y", b"", b""]
    return b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n" + b"\r\n".join(lines)


def _hinted(request: Request) -> bytes:
    return b"HTTP/1.1 100 Continue\r\n\r\n" + _whole(request)


def _last(request: Request) -> bytes:
    return http(200, request.path.encode(), "Connection: close")


def _old(request: Request) -> bytes:
    return _whole(request).replace(b"HTTP/1.1", b"HTTP/1.0")


FORMS: list[Callable[[Request], bytes]] = [_whole, _chunked, _hinted, _last, _old]


def moody(chance: random.Random) -> Answer:
    """Each reply names its request. It comes late, in pieces, twice or not to its end, as chance has it."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        reply = chance.choice(FORMS)(request)
        cut = chance.randrange(len(reply) + 1)
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.004]))
        match chance.randrange(12):
            case 0:
                reset(writer)
            case 1:
                writer.write(reply[:cut])
                writer.close()
            case 2:
                writer.write(reply[:cut])
                await writer.drain()
                reset(writer)
            case 3:
                writer.write(reply)
                writer.close()
            case 4:
                writer.write(reply)
                writer.write_eof()
            case 5:
                writer.write(reply + _whole(request))
            case 6 | 7 | 8:
                writer.write(reply[:cut])
                await asyncio.sleep(chance.choice([0, 0.002]))
                writer.write(reply[cut:])
            case _:
                writer.write(reply)

    return answer


@pytest.mark.parametrize("seed", range(4))
async def test_a_reply_is_the_one_to_its_own_request_whatever_breaks_off(seed: int) -> None:
    chance = random.Random(seed)
    right, unsent = 0, set[str]()

    async def ask(number: int) -> None:
        nonlocal right
        path = f"/{number}"
        task = asyncio.create_task(wire.exchange(GET._replace(target=path)))
        if chance.random() < 0.3:
            await asyncio.sleep(chance.choice([0, 0, 0.0005, 0.001, 0.003]))
            task.cancel()
        with suppress(asyncio.CancelledError):
            heard = await task
            if isinstance(heard.verdict, Transient):
                unsent.add(path)
            elif isinstance(heard.verdict, Reply):
                assert heard.verdict.body == path.encode()
                right += 1

    async def some(first: int) -> None:
        for number in range(first, first + 40):
            await ask(number)

    async with serving(moody(chance)) as server, Wire(server.url, 0.006) as wire:
        await asyncio.gather(*(some(100 * one) for one in range(6)))
        connections = wire._connections
        assert len(connections._connector._acquired) == len(connections._idle) <= 6
        sent = [request.path for request in server.requests]
        assert len(sent) == len(set(sent))
        assert not unsent & set(sent)
    assert right > 40


async def test_a_connection_that_is_being_closed_is_not_used() -> None:
    async with serving(always(http(200))) as server, Wire(server.url, 5.0) as wire:
        await wire.exchange(GET)
        wire._connections._idle[0]._protocol.transport.close()  # type: ignore[union-attr]
        assert (await wire.exchange(POST)).http_status == 200
        assert (server.count("POST"), server.connections) == (1, 2)


# --- what surely was not sent -----------------------------------------------------------------------


def opening_slowly(wire: Wire) -> None:
    """The server has time to do something between the opening of a connection and its use."""
    connector: Any = wire._connections._connector
    connect = connector.connect

    async def slowly(*asked: object) -> object:
        found = await connect(*asked)
        await asyncio.sleep(SLOW)
        return found

    connector.connect = slowly


@pytest.mark.parametrize("first", [http(201, {"id": "c-1"}), http(408), b"", b"\x00"])
async def test_who_answers_before_being_asked_is_not_asked(first: bytes) -> None:
    got = bytearray()

    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        if first:
            got.extend(await reader.read(-1))

    async with listening(eager) as url, Wire(url, 5.0) as wire:
        opening_slowly(wire)
        assert code(await wire.exchange(POST)) == "connection-refused"
        assert not wire._connections._connector._acquired
    assert got == b""


async def test_what_was_given_up_does_not_go_out_later() -> None:
    """It may be asked for again meanwhile: the rest of it, sent late, would be a second request."""
    got, look = 0, asyncio.Event()

    async def busy(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await look.wait()
        while piece := await reader.read(MEGA):
            got += len(piece)

    async with listening(busy) as url, Wire(url, 0.1) as wire:
        heard = await wire.exchange(POST._replace(body={"refreshToken": "t" * (32 * MEGA)}))
        assert code(heard) == "no-answer"
        look.set()
    assert 0 < got < 32 * MEGA  # what the system had taken already


@pytest.mark.parametrize("lost", ["opening", "refused"])
async def test_what_never_got_a_connection_counts_once(lost: str) -> None:
    window = Window(2)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        async with Wire(f"http://127.0.0.1:{nobody.getsockname()[1]}", 5.0, window) as wire:
            before = perf_counter()
            if lost == "opening":
                wire._connections.open = asyncio.Event().wait  # type: ignore[assignment, method-assign]
                task = asyncio.create_task(wire.exchange(POST))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                assert code(await wire.exchange(POST)) == "connection-refused"
            assert len(window._recent) == 1
            assert window.last is not None
            assert before <= window.last <= perf_counter()


# --- the end ----------------------------------------------------------------------------------------

HALF = b"HTTP/1.1 201 X\r\nContent-Length: 9\r\n\r\nhalf"


@pytest.mark.parametrize("halfway", [never, always(HALF)])
async def test_who_still_waits_when_the_wire_is_closed_does_not_wait_for_ever(halfway: Answer) -> None:
    async with serving(halfway) as server:
        async with Wire(server.url, 60.0) as wire:
            waiting = asyncio.create_task(wire.exchange(POST))
            while not server.requests:
                await asyncio.sleep(0.001)
            await asyncio.sleep(SLOW)
        async with asyncio.timeout(1):
            assert isinstance((await waiting).verdict, Ambiguous)


async def test_no_connection_outlives_the_wire() -> None:
    opened: list[Connection] = []
    async with serving(always(http(200))) as server:
        async with Wire(server.url, 5.0) as wire:
            await asyncio.gather(*(wire.exchange(GET) for _ in range(5)))
            opened += wire._connections._idle
        assert len(opened) == server.connections == 5
        assert not any(connection.clean for connection in opened)


@pytest.mark.parametrize("more", ["\r\nX: y", "\x00", "\u201d", "\udcff"])
async def test_no_token_brings_a_header_of_its_own(more: str) -> None:
    async with serving(always(http(200))) as server, Wire(server.url, 5.0) as wire:
        with pytest.raises(ValueError, match=r"^a token that no header can hold$"):
            await wire.exchange(GET._replace(bearer=f"planted{more}"))
        assert not server.requests
