"""Connections: kept for the next exchange, but only if what comes on them can be nothing but its reply."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import pytest
from yarl import URL

from bulk_onboard.leaf import connections
from bulk_onboard.leaf.connections import Connection, Connections
from bulk_onboard.leaf.replies import Reply
from bulk_onboard.leaf.wire import Message, Wire
from bulk_onboard.model import Ambiguous, Transient
from bulk_onboard.window import Window
from leaf.server import Request, always, encrypted, http, never, serving
from leaf.test_courier import hired

GET, POST = Message("GET", "/asked", "bearer"), Message("POST", "/stored", "bearer", {"refreshToken": "t"})
SLOW = 0.02  # seconds


class SlowlyOpened(Connections):
    """As over a long way, or while hundreds are opened at once."""

    async def open(self) -> Connection:
        await asyncio.sleep(SLOW)
        return await super().open()


async def test_a_request_goes_out_when_its_connection_is_open_and_at_once_on_one_that_is() -> None:
    window = Window(1)
    async with serving(always(http(200))) as server, Wire(server.url, 5.0, window) as wire:
        wire._connections = SlowlyOpened(URL(server.url), {})
        for kept_back in (SLOW, 0.0):
            asked = perf_counter()
            await wire.exchange(GET)
            assert window.last is not None
            assert asked + kept_back <= window.last <= perf_counter()
            assert window.opens() == window.last + 1.0  # it was counted once
        assert (len(server.requests), server.connections) == (2, 1)


async def test_as_many_connections_are_opened_as_are_needed_at_a_time() -> None:
    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.01)
        writer.write(http(200))

    async with serving(answer) as server, Wire(server.url, 5.0) as wire:
        for _ in range(5):
            await asyncio.gather(*(wire.exchange(GET) for _ in range(20)))
        assert (len(server.requests), server.connections) == (100, 20)


async def test_those_that_are_not_needed_any_more_are_left_to_grow_old() -> None:
    async with serving(always(http(200))) as server, Wire(server.url, 5.0) as wire:
        await asyncio.gather(*(wire.exchange(GET) for _ in range(3)))
        for _ in range(6):
            await wire.exchange(POST)
        assert len({request.connection for request in server.requests if request.method == "POST"}) == 1


@pytest.mark.parametrize(
    ("base", "host"),
    [
        ("https://leaf.example", "leaf.example"),
        ("https://leaf.example:443/prefix", "leaf.example"),
        ("https://leaf.example:8443", "leaf.example:8443"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://b\u00fccher.example", "xn--bcher-kva.example"),
    ],
)
async def test_every_request_names_the_host(base: str, host: str) -> None:
    found = Connections(URL(base), {})
    assert found.headers["Host"] == host
    await found.close()


async def test_only_what_has_a_body_tells_of_one_and_each_goes_out_as_whom_it_says() -> None:
    async with serving(always(http(200))) as server, Wire(server.url, 5.0) as wire:
        for message in (GET, POST, GET, POST._replace(bearer="renewed"), GET._replace(bearer=""), POST):
            await wire.exchange(message)
        said = [request.headers for request in server.requests]
    bearers = ["bearer", "bearer", "bearer", "renewed", None, "bearer"]
    assert [each.get("authorization") for each in said] == [name and f"Bearer {name}" for name in bearers]
    assert [each.get("content-type") for each in said] == [None, "application/json"] * 3
    assert ["content-length" in each for each in said] == [False, True] * 3
    assert {each["accept"] for each in said} == {"application/json"}


async def test_a_token_that_was_renewed_is_not_kept() -> None:
    async with serving(always(http(200))) as server, Wire(server.url, 5.0) as wire:
        for name in ("planted", "renewed"):
            await wire.exchange(GET._replace(bearer=name))
        assert "planted" not in repr(vars(wire))


async def test_what_only_hints_at_the_reply_is_not_taken_for_it() -> None:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with serving(always(hints + http(201, {"id": "c-1"}))) as server, Wire(server.url, 5.0) as wire:
        for _ in range(2):
            heard = await wire.exchange(POST)
            assert isinstance(heard.verdict, Reply)
            assert (heard.http_status, heard.verdict.body) == (201, b'{"id": "c-1"}')
            assert abs(heard.verdict.at - datetime.now(UTC)) < timedelta(seconds=5)
        assert (server.count("POST"), server.connections) == (2, 1)


async def test_a_server_that_goes_over_to_something_else_is_not_asked_again_that_way() -> None:
    other = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    async with serving(always(other)) as server, Wire(server.url, 5.0) as wire:
        for _ in range(2):
            assert (await wire.exchange(POST)).http_status == 101
        assert (server.count("POST"), server.connections) == (2, 2)


@pytest.mark.parametrize(
    "form", [b"Content-Length: %d\r\n\r\n%s", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"]
)
async def test_no_more_is_read_than_a_reply_may_have(form: bytes) -> None:
    body = b"x" * 11
    reply = b"HTTP/1.1 200 X\r\n" + form % (len(body), body)
    async with serving(always(reply)) as server, Wire(server.url, 5.0) as wire:
        assert (await wire.exchange(GET._replace(largest=11))).http_status == 200
        heard = await wire.exchange(GET._replace(largest=10))
        assert isinstance(heard.verdict, Ambiguous)
        assert heard.verdict.code == "response-too-large"


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    bare = always(b"HTTP/1.0 200 OK\r\n\r\n[1,2]", close=True)
    async with serving(bare) as server, Wire(server.url, 5.0) as wire:
        for _ in range(2):
            heard = await wire.exchange(GET)
            assert isinstance(heard.verdict, Reply)
            assert heard.verdict.body == b"[1,2]"
        assert server.connections == 2


@pytest.mark.parametrize("wait", [0.0, 0.02])
async def test_the_reply_to_a_request_that_was_given_up_is_nobody_elses(wait: float) -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "POST":
            await asyncio.sleep(0.05)
        writer.write(http(201 if request.method == "POST" else 404))

    async with serving(answer) as server, Wire(server.url, 5.0) as wire:
        await wire.exchange(GET)
        given_up = asyncio.create_task(wire.exchange(POST))
        await asyncio.sleep(wait)
        given_up.cancel()
        with suppress(asyncio.CancelledError):
            await given_up
        assert (await wire.exchange(GET)).http_status == 404
        await asyncio.sleep(0.1)
        assert (await wire.exchange(GET)).http_status == 404
        assert server.count("POST") <= 1


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(always(http(200))) as server, Wire(server.url, 5.0) as wire:
        await wire.exchange(GET)
        monkeypatch.setattr(connections, "KEEP_ALIVE", 0.0)
        await wire.exchange(GET)
        assert server.connections == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue answers in other ways")
async def test_who_gets_no_connection_in_time_has_sent_nothing() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = [socket.socket() for _ in range(3)]
        try:
            for other in others:  # nobody takes them off the queue
                other.setblocking(False)
                other.connect_ex(full.getsockname())
            async with Wire(f"http://127.0.0.1:{full.getsockname()[1]}", 0.1) as wire:
                heard = await wire.exchange(POST)
        finally:
            for other in others:
                other.close()
    assert heard.verdict == Transient("connect-timeout", "no connection in time")


async def test_who_gets_no_reply_in_time_may_have_sent_it() -> None:
    async with serving(never) as server, Wire(server.url, 0.1) as wire:
        heard = await wire.exchange(POST)
        assert isinstance(heard.verdict, Ambiguous)
        assert heard.verdict.code == "no-answer"


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/ü", "a", "", "/\x7f"])
async def test_nothing_in_a_target_becomes_a_part_of_the_request_of_its_own(target: str) -> None:
    async with serving(always(http(200))) as server, Wire(server.url, 5.0) as wire:
        with pytest.raises(ValueError, match="not encoded"):
            await wire.exchange(GET._replace(target=target))
        assert not server.requests


# --- TLS --------------------------------------------------------------------------------------------


async def test_who_cannot_prove_to_be_the_server_is_told_nothing(certificate: Path) -> None:
    async with serving(always(http(201)), encrypted(certificate)) as server, Wire(server.url, 5.0) as wire:
        assert server.url.startswith("https:")
        heard = await wire.exchange(POST)
        assert isinstance(heard.verdict, Transient)
        assert heard.verdict.code == "tls-failure"
        assert not server.requests


async def test_requests_go_out_encrypted_and_share_a_connection(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # read when aiohttp is imported: by the process
    async with serving(always(http(201)), encrypted(certificate)) as server, hired(server.url) as courier:
        for _ in range(3):
            assert (await courier.exchange(POST)).http_status == 201
        # Far more than goes out at a time.
        large = POST._replace(bearer="b" * 60_000, body={"refreshToken": "\u00fc" * (1 << 20)})
        assert (await courier.exchange(large)).http_status == 201
        assert server.requests[-1].headers["authorization"] == f"Bearer {large.bearer}"
        assert json.loads(server.requests[-1].body) == large.body
        assert (server.count("POST"), server.connections) == (4, 1)
