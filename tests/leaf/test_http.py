"""The session: every request goes out at most once, and only its own reply is taken for its reply."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from bulk_onboard.domain.model import Ambiguous, Answer, Transient
from bulk_onboard.leaf import http as module
from bulk_onboard.leaf.http import Http, Request
from bulk_onboard.leaf.replies import Reply
from bulk_onboard.settings import LeafSettings
from tests.support.raw_server import Answer as Answering
from tests.support.raw_server import Request as Received
from tests.support.raw_server import Server, always, http, never, reset, serving


def reply_itself(reply: Reply) -> Reply:
    return reply


GET = Request("GET", "/asked", reply_itself)
POST = Request("POST", "/stored", reply_itself, body={"refreshToken": "t"})
BEARER = "bearer"


@asynccontextmanager
async def session(url: str, timeout: float = 5.0, connections: int = 100) -> AsyncIterator[Http]:
    opened = Http(LeafSettings(url, timeout=timeout), connections)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def talking(answer: Answering, timeout: float = 5.0) -> AsyncIterator[tuple[Http, Server]]:
    async with serving(answer) as server, session(server.url, timeout) as opened:
        yield opened, server


def code(answer: Answer[Reply | Transient | Ambiguous]) -> str | int | None:
    verdict = answer.verdict
    return verdict.code if isinstance(verdict, Transient | Ambiguous) else answer.http_status


async def test_connections_are_reused() -> None:
    async def answer(_request: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.01)
        writer.write(http(200))

    async with talking(answer) as (client, server):
        for _ in range(5):
            await asyncio.gather(*(client.exchange(GET, BEARER) for _ in range(20)))
        assert (len(server.requests), server.connections) == (100, 20)


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE", 0.01)
    async with talking(always(http(200))) as (client, server):
        await client.exchange(GET, BEARER)
        await asyncio.sleep(0.05)
        await client.exchange(GET, BEARER)
        assert server.connections == 2


async def test_only_the_expected_headers_are_sent() -> None:
    async with talking(always(http(200))) as (client, server):
        for request, token in ((GET, BEARER), (POST, BEARER), (POST, "renewed"), (GET, "")):
            await client.exchange(request, token)
        headers = [request.headers for request in server.requests]
    assert [each.get("authorization") for each in headers] == [
        "Bearer bearer", "Bearer bearer", "Bearer renewed", None,
    ]  # fmt: skip
    assert [each.get("content-type") for each in headers] == [
        None, "application/json", "application/json", None,
    ]  # fmt: skip
    assert {each["accept-encoding"] for each in headers} == {"identity"}
    common = {"host", "user-agent", "accept", "accept-encoding"}
    assert set(headers[0]) == common | {"authorization"}
    assert set(headers[1]) == common | {"authorization", "content-type", "content-length"}


async def test_a_netrc_file_does_not_replace_the_login(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with talking(always(http(200))) as (client, server):
        assert code(await client.exchange(GET, BEARER)) == 200
        assert server.requests[0].headers["authorization"] == "Bearer bearer"


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/ü", "a", "", "/\x7f"])
async def test_a_target_that_is_not_encoded_is_refused(target: str) -> None:
    async with talking(always(http(200))) as (client, server):
        with pytest.raises(ValueError, match="not encoded"):
            await client.exchange(GET._replace(target=target), BEARER)
        assert not server.requests


@pytest.mark.parametrize("more", ["\r\nX: y", "\x00", "\u201d", "\udcff"])
async def test_a_token_cannot_add_a_header(more: str) -> None:
    async with talking(always(http(200))) as (client, server):
        with pytest.raises(ValueError, match=r"^a token that no header can hold$"):
            await client.exchange(GET, f"planted{more}")
        assert not server.requests


# --- bodies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", [b"Content-Length: %d\r\n\r\n%s", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"]
)
async def test_a_body_is_read_up_to_its_largest_size(form: bytes) -> None:
    body = b"x" * 11
    reply = b"HTTP/1.1 200 X\r\n" + form % (len(body), body)
    async with talking(always(reply)) as (client, _):
        assert code(await client.exchange(GET._replace(largest=11), BEARER)) == 200
        assert code(await client.exchange(GET._replace(largest=10), BEARER)) == "response-too-large"


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    bare = always(b"HTTP/1.0 200 OK\r\n\r\n[1,2]", close=True)
    async with talking(bare) as (client, server):
        for _ in range(2):
            verdict = (await client.exchange(GET, BEARER)).verdict
            assert isinstance(verdict, Reply)
            assert verdict.body == b"[1,2]"
        assert server.connections == 2


# --- one request, one reply -------------------------------------------------------------------------


async def test_informational_replies_are_skipped() -> None:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with talking(always(hints + http(201, {"id": "c-1"}))) as (client, server):
        for _ in range(2):
            assert code(await client.exchange(POST, BEARER)) == 201
        assert (server.count("POST"), server.connections) == (2, 1)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_request_whose_idle_connection_breaks_is_not_sent_again(method: str) -> None:
    async def answer(_request: Received, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) == 1:
            writer.write(http(404))
        else:
            reset(writer)

    async with talking(answer) as (client, server):
        await client.exchange(GET, BEARER)
        assert code(await client.exchange(GET._replace(method=method), BEARER)) == "connection-lost"
        await asyncio.sleep(0.05)
        assert len(server.requests) == 2


@pytest.mark.parametrize("wait", [0.0, 0.02])
async def test_the_reply_to_a_cancelled_request_is_dropped(wait: float) -> None:
    async def answer(request: Received, writer: asyncio.StreamWriter) -> None:
        if request.method == "POST":
            await asyncio.sleep(0.05)
        writer.write(http(201 if request.method == "POST" else 404))

    async with talking(answer) as (client, server):
        await client.exchange(GET, BEARER)
        cancelled = asyncio.create_task(client.exchange(POST, BEARER))
        await asyncio.sleep(wait)
        cancelled.cancel()
        with suppress(asyncio.CancelledError):
            await cancelled
        assert code(await client.exchange(GET, BEARER)) == 404
        await asyncio.sleep(0.1)
        assert code(await client.exchange(GET, BEARER)) == 404
        assert server.count("POST") <= 1


def _whole(request: Received) -> bytes:
    return http(200, request.path.encode())


def _chunked(request: Received) -> bytes:
    size = b"%x" % len(request.path)
    lines = [size, request.path.encode(), b"0", b"X-Trailer: y", b"", b""]
    return b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n" + b"\r\n".join(lines)


def _hinted(request: Received) -> bytes:
    return b"HTTP/1.1 100 Continue\r\n\r\n" + _whole(request)


def _last(request: Received) -> bytes:
    return http(200, request.path.encode(), "Connection: close")


FORMS: list[Callable[[Received], bytes]] = [_whole, _chunked, _hinted, _last]


def unreliable(chance: random.Random) -> Answering:
    """Each reply contains its request's path. It comes late, in pieces, twice or incomplete, at random."""

    async def answer(request: Received, writer: asyncio.StreamWriter) -> None:
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
                writer.write(reply)
                writer.write_eof()
            case 3:
                writer.write(reply + _whole(request))
            case 4 | 5 | 6:
                writer.write(reply[:cut])
                await asyncio.sleep(chance.choice([0, 0.002]))
                writer.write(reply[cut:])
            case _:
                writer.write(reply)

    return answer


@pytest.mark.parametrize("seed", range(4))
async def test_each_reply_belongs_to_its_request(seed: int) -> None:
    chance = random.Random(seed)
    right, unsent = 0, set[str]()

    async def ask(path: str) -> None:
        nonlocal right
        task = asyncio.create_task(client.exchange(GET._replace(target=path), BEARER))
        if chance.random() < 0.3:
            await asyncio.sleep(chance.choice([0, 0, 0.0005, 0.001, 0.003]))
            task.cancel()
        with suppress(asyncio.CancelledError):
            verdict = (await task).verdict
            if isinstance(verdict, Transient):
                unsent.add(path)
            elif isinstance(verdict, Reply):
                assert verdict.body == path.encode()
                right += 1

    async def ask_some(first: int) -> None:
        for number in range(first, first + 40):
            await ask(f"/{number}")

    async with talking(unreliable(chance), 0.02) as (client, server):
        await asyncio.gather(*(ask_some(100 * worker) for worker in range(6)))
        sent = [request.path for request in server.requests]
        assert len(sent) == len(set(sent))
        assert not unsent & set(sent)
    assert right > 40


# --- time -------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue answers in other ways")
async def test_without_a_connection_in_time_nothing_was_sent() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = [socket.socket() for _ in range(3)]
        try:
            for other in others:  # never accepted
                other.setblocking(False)
                other.connect_ex(full.getsockname())
            async with session(f"http://127.0.0.1:{full.getsockname()[1]}", 0.1) as client:
                answer = await client.exchange(POST, BEARER)
        finally:
            for other in others:
                other.close()
    assert answer.verdict == Transient("connect-timeout", "no connection in time")


async def test_without_a_reply_in_time_the_request_may_have_arrived() -> None:
    async with talking(never, 0.1) as (client, _):
        assert code(await client.exchange(POST, BEARER)) == "no-answer"


async def test_requests_under_way_end_when_the_session_is_closed() -> None:
    async with serving(never) as server:
        async with session(server.url, 60.0) as client:
            waiting = asyncio.create_task(client.exchange(POST, BEARER))
            while not server.requests:
                await asyncio.sleep(0.001)
        async with asyncio.timeout(1):
            assert isinstance((await waiting).verdict, Ambiguous)
