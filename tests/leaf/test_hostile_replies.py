"""The server as an enemy, seen by the client: the verdict is right, and memory and time are bounded."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bulk_onboard.domain.model import Absent, Ambiguous, Created, Event, Events, Exists, Secret, Throttled
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.errors import StoppedForSafety
from bulk_onboard.leaf import contact as module
from bulk_onboard.leaf.client import LeafClient
from bulk_onboard.settings import LeafSettings, Login
from tests.leaf.hostile_replies import GOOD, HOSTILE, MEGA, head, streaming
from tests.support.command import LINUX
from tests.support.fakes import ID, PAYLOAD
from tests.support.raw_server import Answer, Request, Server, always, http, serving

TIMEOUT = 0.4
# What a hostile reply may cost: the largest body that is read, unpacked pieces, buffers; of both sides.
ALLOWED = 48 * MEGA
BEARER = Login(token=Secret("planted-bearer"))


class Turns:
    """No ceiling."""

    def __init__(self) -> None:
        self.held: list[float] = []

    rate = 0.0

    async def turn(self, *, urgency: int, still_valid: Callable[[], bool]) -> float | None:
        return 0.0

    def hold(self, seconds: float) -> None:
        self.held.append(seconds)

    def passed(self, turn: float) -> None:
        pass

    def throttled(self, turn: float, after: float | None) -> None:
        if after:
            self.held.append(after)


@asynccontextmanager
async def talking(
    answer: Answer, timeout: float = 5.0, turns: Turns | None = None, login: Login = BEARER
) -> AsyncIterator[tuple[LeafClient, Server]]:
    async with serving(answer) as server:
        settings = LeafSettings(server.url, login, timeout)
        async with LeafClient(settings, [PROVIDERS["raven"]], turns or Turns()) as client:
            yield client, server


def gzipped() -> bytes:
    return http(201, gzip.compress(json.dumps(GOOD).encode()), "Content-Encoding: gzip")


def peak() -> int:
    """The most memory this process has held since `begin_peak`, in bytes."""
    if not LINUX:
        return 0
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def begin_peak() -> int:
    """Forget earlier peaks (Linux: 5 in clear_refs); the memory held now."""
    if LINUX:
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_replies_to_a_post_are_ambiguous_and_cheap(
    answer: Answer,
) -> None:
    async with talking(answer, TIMEOUT) as (client, server):
        before, began = begin_peak(), time.monotonic()
        found = await client.of("raven").post(ID, PAYLOAD)
        took, grown = time.monotonic() - began, peak() - before
        assert isinstance(found.verdict, Ambiguous), found
        assert server.count("POST") == len(server.requests) == 1
        assert "planted" not in repr(found)
        assert found.verdict.message.isprintable()
        assert grown < ALLOWED, f"{grown / MEGA:.0f} MB"
        assert took < TIMEOUT + 2


LARGE = {way: answer for way, answer in HOSTILE.items() if re.search("gigabyte|bomb|nests|Early", way)}


@pytest.mark.parametrize("answer", LARGE.values(), ids=LARGE)
async def test_hostile_replies_to_an_events_check_are_cheap(answer: Answer) -> None:
    async with talking(answer, TIMEOUT) as (client, _):
        before = begin_peak()
        await client.of("raven").events(ID)
        assert peak() - before < ALLOWED


# --- where secrets go -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
@pytest.mark.parametrize("header", ["Location", "Refresh", "Content-Location"])
async def test_redirects_are_not_followed(status: int, header: str) -> None:
    async with serving(always(http(201, GOOD))) as other:
        elsewhere = f"{header}: {'0; url=' if header == 'Refresh' else ''}{other.url}/x"
        async with talking(always(http(status, b"", elsewhere))) as (client, server):
            for call in (
                client.of("raven").post(ID, PAYLOAD),
                client.of("raven").ask(ID, PAYLOAD),
                client.of("raven").events(ID),
            ):
                assert (await call).verdict.code == "redirected"  # type: ignore[union-attr]
            assert isinstance((await client.of("raven").delete(ID)).verdict, Ambiguous)
            assert len(server.requests) == 4
        assert other.connections == 0


async def test_a_redirected_login_sends_the_password_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOGIN_ATTEMPTS", 1)
    password = Login(username="me", password=Secret("planted-password"))
    async with serving(always(http(200, {"id_token": "t"}))) as other:
        moved = always(http(307, b"", f"Location: {other.url}/api/authenticate"))
        async with talking(moved, login=password) as (client, server):
            with pytest.raises(StoppedForSafety):
                await client.contact()
            assert len(server.requests) == 1
        assert other.connections == 0


@pytest.mark.parametrize("token", ["a\r\nX-Injected: 1", "a\x00", 7])
async def test_a_login_with_an_invalid_token_fails(monkeypatch: pytest.MonkeyPatch, token: object) -> None:
    monkeypatch.setattr(module, "LOGIN_ATTEMPTS", 1)
    password = Login(username="me", password=Secret("planted-password"))
    async with talking(always(http(200, {"id_token": token})), login=password) as (client, _):
        with pytest.raises(StoppedForSafety):
            await client.contact()


COOKIES = [
    "a=b; Domain=example.com",
    "a=b; Path=/; Max-Age=999999999999999999999",
    "=;=;=;",
    "a=b; expires=Thu, 99 Foo 99999 99:99:99 GMT",
    "\x1b[31ma=\x1b]0;title\x07",
    "bad[]name=planted-cookie",
    "a=" + "b" * 8000,
]


@pytest.mark.parametrize("cookie", COOKIES)
async def test_cookies_are_neither_kept_nor_logged(cookie: str, caplog: pytest.LogCaptureFixture) -> None:
    async with talking(always(http(404, b"", f"Set-Cookie: {cookie}"))) as (client, server):
        await client.of("raven").ask(ID, PAYLOAD)
        await client.of("raven").ask(ID, PAYLOAD)
        assert all("cookie" not in request.headers for request in server.requests)
    assert not [record for record in caplog.records if record.name != "asyncio"]


# --- whose reply it is ------------------------------------------------------------------------------


async def test_bytes_after_a_reply_do_not_answer_the_next_request() -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "GET":
            writer.write(http(404) + http(201, GOOD))

    async with talking(answer) as (client, server):
        await client.of("raven").ask(ID, PAYLOAD)
        found = await client.of("raven").post(ID, PAYLOAD)
        assert isinstance(found.verdict, Ambiguous)
        assert server.count("POST") == 1


@pytest.mark.parametrize(
    ("late", "result"),
    [
        (http(201, GOOD), "stray-reply"),
        (http(408), "stray-reply"),
        (b"HTTP/1.1 201 X\r\nContent-Length: 9\r\n\r\nhalf", "stray-reply"),
        (b"HTTP/1.1 201 X\r\nContent-Le", "refused"),
        (b"\x00" * 9, "refused"),
    ],
)
async def test_a_reply_that_came_before_the_request_is_not_believed(late: bytes, result: str) -> None:
    """Some servers say 408 on an idle connection; a broken proxy may deliver another request's reply."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "GET":
            writer.write(http(404))
            await writer.drain()
            await asyncio.sleep(0.03)
            writer.write(late)
        else:
            writer.write(http(409))

    async with talking(answer) as (client, server):
        await client.of("raven").ask(ID, PAYLOAD)
        await asyncio.sleep(0.1)
        found = (await client.of("raven").post(ID, PAYLOAD)).verdict
        assert isinstance(found, Ambiguous if result == "stray-reply" else Exists), found
        assert result in {"refused", getattr(found, "code", "")}
        assert isinstance((await client.of("raven").ask(ID, PAYLOAD)).verdict, Absent)
        assert server.count("POST") <= 1


# --- Retry-After, ids, dates ------------------------------------------------------------------------

FAR = [
    "9" * 12,
    "1" + "0" * 12,
    "9" * 400,
    "-1",
    "-0.5",
    "NaN",
    "inf",
    "1e9",
    "0x10",
    "١٢",
    "",
    "1,2",
    "soon",
]
FAR_DATES = [
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 99999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Mon, 99 Foo 2026 99:99:99 GMT",
]


@pytest.mark.parametrize("value", FAR + FAR_DATES)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_strange_retry_after_is_none_or_a_finite_time(value: str, status: int) -> None:
    turns = Turns()
    raw = http(status).replace(b"Content", f"Retry-After: {value}\r\nContent".encode(), 1)
    async with talking(always(raw), turns=turns) as (client, _):
        verdict = (await client.of("raven").post(ID, PAYLOAD)).verdict
    assert isinstance(verdict, Throttled if status == 429 else Ambiguous)
    assert all(0 < seconds < float("inf") for seconds in turns.held)
    if value in FAR:
        assert turns.held == []


ODD_IDS = [
    "x" * 100_000,
    "\x1b[31mred\x1b]0;title\x07",
    "=cmd|'/C calc'!A0",
    "<script>",
    "a\r\nb",
    "\u202eevil",
    -5,
]
ODD_IDS += [10**4000, "\ud800", "../../etc/passwd", "😀" * 5000]


@pytest.mark.parametrize("given", ODD_IDS, ids=range(len(ODD_IDS)))
async def test_an_odd_id_is_cut_to_a_harmless_word(given: object) -> None:
    for status in (200, 201):
        async with talking(always(http(status, GOOD | {"id": given, "status": given}))) as (client, _):
            call = client.of("raven").post if status == 201 else client.of("raven").ask
            verdict = (await call(ID, PAYLOAD)).verdict
        assert isinstance(verdict, Created | Exists)
        assert verdict.credential
        for word in (verdict.credential.id, verdict.credential.status):
            assert len(word) <= 64
            assert word.isprintable()
            assert not set(word) & set("\x1b<>=|/'\r\n\u202e")


DATES = ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "99999-01-01T00:00:00Z", "NaN", "", "9" * 5000]
DATES += [None, 1e308, -1, [], "2026-02-30T00:00:00Z", "2026-11-23T15:44:59+99:99", "0000-00-00", 10**400]


@pytest.mark.parametrize("created", DATES, ids=range(len(DATES)))
@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "x"])
async def test_absurd_dates_are_ignored(created: object, date: str) -> None:
    events = [{"statusCode": 200, "createdDate": created}, {"statusCode": 401, "createdDate": "2026-01-01"}]

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        body: object = events if request.path.endswith("events") else GOOD | {"createdTime": created}
        writer.write(http(200, body, f"Date: {date}"))

    async with talking(answer) as (client, _):
        assert isinstance((await client.of("raven").ask(ID, PAYLOAD)).verdict, Exists)
        assert isinstance((await client.of("raven").post(ID, PAYLOAD)).verdict, Created)
        assert isinstance((await client.of("raven").events(ID)).verdict, Events)


# --- events -----------------------------------------------------------------------------------------

NASTY = "\x1b]0;owned\x07\x1b[2J<script>alert(1)</script>=HYPERLINK(planted-event)"


async def test_texts_of_events_are_not_passed_on() -> None:
    event = {
        "id": NASTY,
        "statusCode": 401,
        "createdDate": NASTY,
        "headers": NASTY,
        "body": NASTY,
        NASTY: NASTY,
    }
    async with talking(always(http(200, [event]))) as (client, _):
        found = await client.of("raven").events(ID)
    assert isinstance(found.verdict, Events)
    assert found.verdict.latest
    assert (found.verdict.latest.status_code, found.verdict.latest.at) == (401, None)
    assert "planted" not in repr(found)
    assert "\\x1b" not in repr(found)


@pytest.mark.parametrize("code", [True, 10**4000, -1, 1e308, "２００", "+20", "2e2", None, [], {}, "9999"])
async def test_an_event_with_a_strange_code_shows_no_status(code: object) -> None:
    async with talking(always(http(200, [{"statusCode": code}]))) as (client, _):
        assert (await client.of("raven").events(ID)).verdict == Events(Event(0, None))


async def test_a_list_of_a_million_events_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk_onboard.leaf.event_log.LARGEST_LOG", 4 << 20)  # reading all of it takes seconds
    many = streaming(
        head("Transfer-Encoding: chunked", status="HTTP/1.1 200 X") + b"1\r\n[\r\n",
        b"ff\r\n" + b'{"statusCode":200},{"statusCode":200},'.ljust(255) + b"\r\n",
        500_000 * 255,
    )
    async with talking(many) as (client, _):
        before = begin_peak()
        found = await client.of("raven").events(ID)
        assert peak() - before < ALLOWED
    assert isinstance(found.verdict, Ambiguous)
    assert found.verdict.code == "response-too-large"


async def test_the_largest_list_of_events_that_is_read_costs_little() -> None:
    full = b"[" + b",".join([b"{}"] * 300_000) + b"]"
    async with talking(always(http(200, full))) as (client, _):
        before = begin_peak()
        assert (await client.of("raven").events(ID)).verdict == Events(Event(0, None))
        assert peak() - before < ALLOWED


# --- everything else --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
async def test_no_damage_to_a_reply_makes_the_client_raise(seed: int) -> None:
    chance = random.Random(seed)
    good = http(201, GOOD, "Transfer-Encoding: identity", "Content-Encoding: gzip", "Set-Cookie: a=b")
    whole = [
        good,
        http(201, GOOD),
        gzipped(),
        b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ]

    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        raw = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(raw))
            raw[place : place + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        writer.write(bytes(raw))
        await writer.drain()
        writer.close()

    async with talking(answer, timeout=0.5) as (client, server):
        for sent in range(1, 40):
            found = await client.of("raven").post(ID, PAYLOAD)
            assert not isinstance(found.verdict, Absent)
            assert server.count("POST") <= sent
