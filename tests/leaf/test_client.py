"""The client against a real server of this machine, which breaks in every way a server can."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

import bulk_onboard
from bulk_onboard.domain.model import (
    Absent,
    Ambiguous,
    Created,
    Exists,
    Payload,
    Refused,
    Secret,
    Throttled,
    Transient,
    Verdict,
)
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.domain.users import Page, Prints
from bulk_onboard.errors import LedgerError, LoginRefused, StoppedForSafety
from bulk_onboard.leaf.client import LeafClient
from bulk_onboard.settings import LeafSettings, Login
from tests.leaf.hostile_replies import BOUNDS_HEADERS
from tests.support.fakes import ID, PAYLOAD, TOKEN
from tests.support.raw_server import Answer, Request, Server, always, encrypted, http, never, reset, serving

GOOD = {"id": "c-1", "status": "OK", "createdTime": "2026-11-23T15:44:59Z", "refreshToken": TOKEN}
PATH = f"/services/usermanagement/api/users/{ID}/raven-credentials"
BEARER = Login(token=Secret("planted-bearer"))
PASSWORD = Login(username="me", password=Secret("planted-password"))


@dataclass
class Turns:
    """No ceiling, but a count."""

    taken: int = 0
    held: list[float] = field(default_factory=list)
    told: list[tuple[float, bool]] = field(default_factory=list)

    rate: float = 0.0

    async def turn(self, *, urgency: int, still_valid: Callable[[], bool]) -> float | None:
        if not still_valid():
            return None
        self.taken += 1
        return float(self.taken)

    def hold(self, seconds: float) -> None:
        self.held.append(seconds)

    def passed(self, turn: float) -> None:
        self.told.append((turn, True))

    def throttled(self, turn: float, after: float | None) -> None:
        self.told.append((turn, False))
        if after:
            self.hold(after)


@asynccontextmanager
async def talking(
    answer: Answer,
    login: Login = BEARER,
    timeout: float = 5.0,
    turns: Turns | None = None,
    is_sure: Callable[[], bool] = lambda: True,
) -> AsyncIterator[tuple[LeafClient, Server]]:
    async with serving(answer) as server:
        settings = LeafSettings(server.url, login, timeout)
        raven = PROVIDERS["raven"]
        async with LeafClient(settings, [raven], turns or Turns(), is_sure=is_sure) as client:
            yield client, server


async def resets(_request: Request, writer: asyncio.StreamWriter) -> None:
    reset(writer)


async def hangs_in_the_body(_request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 201 X\r\nContent-Length: 500\r\n\r\n{"id": "c-1",')
    await writer.drain()
    await asyncio.sleep(60)


async def resets_in_the_body(_request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 201 X\r\nContent-Length: 500\r\n\r\n{"id": "c-1",')
    await writer.drain()
    await asyncio.sleep(0.02)
    reset(writer)


async def endless(_request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


GZIP = "Content-Encoding: gzip"
HUGE = b"HTTP/1.1 201 X\r\nContent-Length: 1099511627776\r\n\r\n{"
FLOOD = [f"X-{n}: {'y' * 200}" for n in range(5000)]

# What a server does -> the code of the verdict on a POST.
BROKEN: dict[str, tuple[Answer, str]] = {
    "closes without a word": (always(b"", close=True), "connection-lost"),
    "resets": (resets, "connection-lost"),
    "resets in the body": (resets_in_the_body, "connection-lost"),
    "never answers": (never, "no-answer"),
    "hangs in the body": (hangs_in_the_body, "no-answer"),
    "truncates the body": (
        always(b'HTTP/1.1 201 X\r\nContent-Length: 500\r\n\r\n{"id": "c-1"}', close=True),
        "connection-lost",
    ),
    "truncates a chunk": (
        always(b'HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"id": 1}', close=True),
        "connection-lost",
    ),
    "speaks no HTTP": (always(b"220 smtp.example ESMTP\r\n\r\n", close=True), "unreadable-reply"),
    "answers HTML": (always(http(200, b"<html>Sign in to the wifi</html>")), "unreadable-reply"),
    "answers half JSON": (always(http(201, b'{"id": "c-')), "unreadable-reply"),
    "announces a huge body": (always(HUGE), "response-too-large"),
    "sends without end": (endless, "response-too-large"),
    "sends bad gzip": (always(http(201, b"no gzip at all", GZIP)), "unreadable-reply"),
    "floods with headers": (always(http(201, GOOD, *FLOOD)), "unreadable-reply"),
    "sends one huge header": (always(http(201, GOOD, "X: " + "y" * 100_000)), "unreadable-reply"),
    "fails": (always(http(500)), "server-error"),
    "is away": (always(http(503, b"", "Connection: close")), "server-error"),
    "times out behind": (always(http(504)), "server-error"),
}

if not BOUNDS_HEADERS:
    del BROKEN["floods with headers"]


@pytest.mark.parametrize(("answer", "code"), BROKEN.values(), ids=BROKEN)
async def test_a_post_with_a_broken_reply_is_ambiguous_and_sent_once(answer: Answer, code: str) -> None:
    turns = Turns()
    async with talking(answer, timeout=0.3, turns=turns) as (client, server):
        found = await client.of("raven").post(ID, PAYLOAD)
        assert isinstance(found.verdict, Ambiguous)
        assert found.verdict.code == code
        await asyncio.sleep(0.05)
        assert server.count("POST") == len(server.requests) == turns.taken == client.requests.post == 1
        assert "planted" not in repr(found)


@pytest.mark.parametrize(("answer", "code"), BROKEN.values(), ids=BROKEN)
async def test_a_get_with_a_broken_reply_is_ambiguous_and_sent_once(answer: Answer, code: str) -> None:
    turns = Turns()
    async with talking(answer, timeout=0.3, turns=turns) as (client, server):
        found = await client.of("raven").ask(ID, PAYLOAD)
        # 201 is no answer to a GET.
        assert isinstance(found.verdict, Ambiguous)
        await asyncio.sleep(0.05)
        assert server.count("GET") == len(server.requests) == turns.taken == client.requests.get == 1


async def test_a_compressed_reply_is_read() -> None:
    async with talking(always(http(201, gzip.compress(json.dumps(GOOD).encode()), GZIP))) as (client, _):
        assert isinstance((await client.of("raven").post(ID, PAYLOAD)).verdict, Created)


async def test_a_refused_connection_is_transient_and_not_counted_as_lost() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with LeafClient(LeafSettings(url, BEARER), [PROVIDERS["raven"]], Turns()) as client:
            found = await client.of("raven").post(ID, PAYLOAD)
    assert isinstance(found.verdict, Transient)
    assert found.verdict.code == "connection-refused"
    assert found.http_status is None


async def test_requests_are_as_leaf_documents_them() -> None:
    odd = Payload({**PAYLOAD, "refreshToken": 'ü"\\\n☃/+='})
    async with talking(always(http(201, GOOD))) as (client, server):
        await client.of("raven").post(ID, odd)
        await client.of("raven").ask(ID, odd)
        await client.of("raven").delete(ID)
        await client.of("raven").events(ID)
    posted, asked, deleted, looked = server.requests
    assert [(r.method, r.path) for r in server.requests] == [
        ("POST", PATH), ("GET", PATH), ("DELETE", PATH), ("GET", PATH + "/events"),
    ]  # fmt: skip
    assert json.loads(posted.body) == dict(odd)
    assert posted.headers["content-type"] == "application/json"
    assert asked.body == deleted.body == looked.body == b""
    for request in server.requests:
        assert request.headers["authorization"] == "Bearer planted-bearer"
        assert re.match(
            rf"bulk-onboard/{re.escape(bulk_onboard.__version__)} ", request.headers["user-agent"]
        )
        assert "cookie" not in request.headers


async def test_every_request_takes_a_turn_and_is_counted_by_its_kind() -> None:
    turns = Turns()
    async with talking(always(http(429, b"", "Retry-After: 7")), turns=turns) as (client, server):
        assert (await client.of("raven").ask(ID, PAYLOAD)).verdict == Throttled(7.0)
        assert (await client.of("raven").post(ID, PAYLOAD)).verdict == Throttled(7.0)
        assert (await client.of("raven").delete(ID)).verdict == Throttled(7.0)
        assert (await client.of("raven").events(ID)).verdict == Throttled(7.0)
        sent = client.requests
        assert (sent.get, sent.post, sent.delete, sent.throttled) == (2, 1, 1, 4)
        assert turns.taken == sent.total == len(server.requests)
        assert turns.held == [7.0] * 4


async def test_a_retry_after_of_a_503_holds_everybody_too() -> None:
    turns = Turns()
    async with talking(always(http(503, b"", "Retry-After: 3")), turns=turns) as (client, _):
        await client.of("raven").post(ID, PAYLOAD)
    assert turns.held == [3.0]


async def test_a_connection_closed_while_idle_is_not_used_again() -> None:
    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(http(404, {"title": "Not Found"}))
        await writer.drain()
        writer.close()

    async with talking(answer) as (client, server):
        for _ in range(5):
            assert (await client.of("raven").ask(ID, PAYLOAD)).verdict == Absent()
            await asyncio.sleep(0.02)
        assert server.count("GET") == server.connections == 5


async def test_the_callback_is_called_when_the_request_goes_out() -> None:
    class Never(Turns):
        async def turn(self, *, urgency: int, still_valid: Callable[[], bool]) -> float | None:
            await asyncio.sleep(60)
            return 0.0

    heard: list[int] = []
    async with talking(always(http(201, GOOD)), turns=Never()) as (client, server):
        task = asyncio.create_task(client.of("raven").post(ID, PAYLOAD, lambda: heard.append(1)))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (heard, server.requests, client.requests.total) == ([], [], 0)


async def test_the_callback_is_called_before_a_post_can_be_cancelled() -> None:
    heard: list[int] = []
    async with talking(never) as (client, server):
        task = asyncio.create_task(client.of("raven").post(ID, PAYLOAD, lambda: heard.append(1)))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert heard == [1]


async def test_the_pace_learns_which_turns_were_throttled() -> None:
    turns = Turns()
    async with talking(always(http(201, GOOD)), turns=turns) as (client, _):
        await client.of("raven").post(ID, PAYLOAD)
    async with talking(always(http(429, b"", "Retry-After: 7")), turns=turns) as (client, _):
        await client.of("raven").post(ID, PAYLOAD)
    assert turns.told == [(1.0, True), (2.0, False)]
    assert turns.held == [7.0]


async def test_a_reply_that_shows_the_token_of_another_grower_is_ambiguous() -> None:
    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(http(201, GOOD))  # to all alike, as a proxy that mixes up its connections

    other = Payload({**PAYLOAD, "refreshToken": "planted-other"})
    async with talking(answer) as (client, server):
        assert isinstance((await client.of("raven").post(ID, PAYLOAD)).verdict, Created)
        found = (await client.of("raven").post(grower(2), other)).verdict
        assert isinstance(found, Ambiguous)
        assert found.code == "stray-reply"
        assert server.count("POST") == 2


# --- the lock of the ledger --------------------------------------------------------------------------


async def test_no_request_goes_out_while_the_lock_is_in_doubt_and_then_it_takes_a_new_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bulk_onboard.leaf.client.DOUBT", 0.01)
    turns, answers = Turns(), iter([False, False, True])
    async with talking(always(http(200, GOOD)), turns=turns, is_sure=partial(next, answers)) as (
        client,
        server,
    ):
        await client.of("raven").ask(ID, PAYLOAD)
        assert (turns.taken, server.count("GET")) == (3, 1)


async def test_a_request_under_a_lock_that_is_lost_is_not_sent() -> None:
    def lost() -> bool:
        raise LedgerError("taken")

    async with talking(always(http(200, GOOD)), is_sure=lost) as (client, server):
        with pytest.raises(LedgerError, match="taken"):
            await client.of("raven").ask(ID, PAYLOAD)
        assert server.count("GET") == 0


# --- absence ----------------------------------------------------------------------------------------


def grower(number: int) -> str:
    return str(UUID(int=number))


async def test_an_empty_200_is_no_usual_no_where_204_is() -> None:
    replies = [http(204)] * 6 + [http(200), http(204)]

    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(replies[len(server.requests) - 1])

    async with talking(answer) as (client, server):
        found = [(await client.of("raven").ask(grower(n), PAYLOAD)).verdict for n in range(len(replies))]
    usual = [verdict.usual for verdict in found if isinstance(verdict, Absent)]
    assert usual == [False] * 5 + [True, False, True]


async def test_an_empty_200_is_a_usual_no_only_where_it_is_often_seen_and_404_is_not() -> None:
    none = http(404, {"title": "Not Found"})
    replies = [http(200), none, none] + [http(200)] * 6

    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(replies[len(server.requests) - 1])

    async with talking(answer) as (client, server):
        found = [(await client.of("raven").ask(grower(n), PAYLOAD)).verdict for n in range(len(replies))]
    unusual = Absent(bare=True, usual=False)
    assert found == [unusual, Absent(), Absent()] + [unusual] * 4 + [Absent(bare=True)] * 2


async def test_looking_again_and_again_at_one_grower_makes_no_empty_reply_usual() -> None:
    async with talking(always(http(200))) as (client, _):
        found = [(await client.of("raven").ask(ID, PAYLOAD)).verdict for _ in range(20)]
    assert found == [Absent(bare=True, usual=False)] * 20


async def test_a_plain_404_is_of_leaf_only_if_it_is_what_leaf_says_of_many() -> None:
    async with talking(always(http(404, b"404: Not Found"))) as (client, _):
        found = [(await client.of("raven").ask(grower(n), PAYLOAD)).verdict for n in range(8)]
    assert [verdict.usual for verdict in found if isinstance(verdict, Absent)] == [False] * 5 + [True] * 3


# --- login ------------------------------------------------------------------------------------------


def desk(accepts: Callable[[str], bool], token: Callable[[int], object] = lambda n: f"token-{n}") -> Answer:
    """A Leaf that takes some tokens, and hands out new ones."""
    logins = 0

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal logins
        if request.path == "/api/authenticate":
            logins += 1
            number = logins
            await asyncio.sleep(0.05)
            writer.write(http(200, {"id_token": token(number)}))
        else:
            taken = accepts(request.headers["authorization"])
            writer.write(http(201, GOOD) if taken else http(401))

    return answer


async def test_a_login_sends_user_name_and_password_once_and_no_old_token() -> None:
    async with talking(desk(lambda _: True), PASSWORD) as (client, server):
        await client.contact()
        assert isinstance((await client.of("raven").post(ID, PAYLOAD)).verdict, Created)
    login, first, posted = server.requests
    assert first.headers["authorization"] == "Bearer token-1"
    assert json.loads(login.body) == {"username": "me", "password": "planted-password", "rememberMe": "true"}
    assert "authorization" not in login.headers
    assert posted.headers["authorization"] == "Bearer token-1"


async def test_one_grower_refused_while_others_are_served_is_that_rows_refusal() -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/api/authenticate":
            writer.write(http(200, {"id_token": "fresh"}))
        else:
            writer.write(http(401 if "forbidden" in request.path else 404))

    async with talking(answer, PASSWORD) as (client, server):

        async def others() -> None:
            while True:
                await client.of("raven").ask(ID, PAYLOAD)

        busy = asyncio.create_task(others())
        await client.contact()
        for call in (
            client.of("raven").ask("forbidden", PAYLOAD),
            client.of("raven").post("forbidden", PAYLOAD),
        ):
            found = await asyncio.wait_for(call, 5)
            assert isinstance(found.verdict, Refused)
            assert (found.verdict.code, found.http_status) == ("login-forbidden", 401)
        busy.cancel()
        assert server.count("POST", "authenticate") == 1


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_wrong_password_ends_the_run_after_one_login_and_is_not_shown(status: int) -> None:
    async with talking(always(http(status, {"message": "planted-password"})), PASSWORD) as (client, server):
        ends = await asyncio.gather(
            *(client.of("raven").ask(ID, PAYLOAD) for _ in range(20)), return_exceptions=True
        )
        assert {type(end) for end in ends} == {LoginRefused}
        assert "planted" not in repr(ends)
        assert len(server.requests) == 1


async def test_a_login_that_fails_for_a_moment_is_tried_again() -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(http(503) if len(server.requests) == 1 else http(200, {"id_token": "t"}))

    turns = Turns()
    async with talking(answer, PASSWORD, turns=turns) as (client, server):
        await client.contact()
        assert (len(server.requests), turns.taken) == (3, 3)


async def test_a_login_that_is_throttled_waits_as_long_as_leaf_asks() -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if server.count("POST", "authenticate") <= 8:  # more often than a login may fail
            writer.write(http(429, b"", "Retry-After: 7"))
        else:
            writer.write(http(200, {"id_token": "t"}))

    turns = Turns()
    async with talking(answer, PASSWORD, turns=turns) as (client, server):
        await client.contact()
    assert turns.held == [7.0] * 8


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>Welcome"), (200, b""), (200, {"token": "t"}), (302, b""), (404, b"<html>"), (404, {})],
)
async def test_a_login_that_is_not_leafs_is_reported_at_once(status: int, body: object) -> None:
    async with talking(always(http(status, body)), PASSWORD) as (client, server):
        with pytest.raises(StoppedForSafety, match="LEAF_BASE_URL"):
            await client.contact()
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>Sign in"), (200, b"hello"), (307, b""), (404, b"<!doctype html>")]
)
async def test_a_base_url_that_is_not_leafs_is_reported_at_once(status: int, body: object) -> None:
    async with talking(always(http(status, body))) as (client, server):
        with pytest.raises(StoppedForSafety, match="LEAF_BASE_URL"):
            await client.contact()
        assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "body"), [(200, []), (204, b""), (403, {}), (404, {}), (429, b"")])
async def test_any_answer_of_leaf_is_contact_enough(status: int, body: object) -> None:
    async with talking(always(http(status, body))) as (client, server):
        await client.contact()
        assert len(server.requests) == 1


async def test_an_address_where_nothing_listens_is_reported_soon() -> None:
    async with serving(always(http(200, []))) as server:
        url = server.url
    await _is_reported_soon(url, "Connect call failed")


async def test_a_name_that_is_not_known_is_reported_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)  # no test asks a real name server
    await _is_reported_soon("https://leaf.invalid", "the name leaf.invalid is not known")


async def test_an_authority_that_is_not_known_is_reported_soon(certificate: Path) -> None:
    async with serving(always(http(200, [])), encrypted(certificate)) as server:
        await _is_reported_soon(server.url, "the certificate is not trusted: self.signed certificate")
        assert not server.requests


async def _is_reported_soon(url: str, why: str) -> None:
    said: list[str] = []
    async with LeafClient(LeafSettings(url, BEARER, 5.0), [], Turns(), on_trouble=said.append) as client:
        async with asyncio.timeout(5):  # what is said after 10 s, the start included, is too late
            with pytest.raises(StoppedForSafety, match=f"does not answer at {url}: {why}.*LEAF_BASE_URL"):
                await client.contact()
    assert said


# --- secrets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 403, 404, 409, 500])
async def test_no_verdict_repeats_what_a_reply_echoes(status: int) -> None:
    echo = GOOD | {"message": TOKEN, "title": "planted-client-secret", "errorKey": TOKEN, "id": TOKEN}
    async with talking(always(http(status, echo))) as (client, _):
        calls: list[Awaitable[object]] = [
            client.of("raven").post(ID, PAYLOAD),
            client.of("raven").ask(ID, PAYLOAD),
        ]
        for call in calls:
            assert "planted" not in repr(await call)


async def test_a_grower_who_is_there_is_told_apart_from_one_who_is_refused() -> None:
    verdicts: list[Verdict] = []
    for status, body in ((200, GOOD), (404, b""), (403, b"")):
        async with talking(always(http(status, body))) as (client, _):
            verdicts.append((await client.of("raven").ask(ID, PAYLOAD)).verdict)
    assert [type(v) for v in verdicts] == [Exists, Absent, Refused]


async def test_a_get_waits_for_a_leaf_that_is_unavailable_and_is_sent_again_when_it_is_back() -> None:
    left = 12

    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        left -= 1
        writer.write(http(503, {}) if left >= 0 else http(404, {"title": "Not Found"}))

    async with talking(answer) as (client, server):
        growers = [f"{ID[:-2]}{number:02}" for number in range(11)]
        asking = [client.of("raven").ask(grower, PAYLOAD) for grower in growers]
        answers = await asyncio.gather(*asking)
        verdicts = [answer.verdict for answer in answers]
        assert sum(verdict == Absent() for verdict in verdicts) == 2
        assert sum(isinstance(verdict, Ambiguous) for verdict in verdicts) == 9
        assert server.count("GET") == 14


@pytest.mark.parametrize(("sorts", "requests"), [(True, [True, True]), (False, [True, False, False])])
async def test_lists_are_sorted_unless_leaf_refuses_that(sorts: bool, requests: list[bool]) -> None:
    seen: list[bool] = []

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        seen.append("sort=name,asc" in request.path)
        refuses = seen[-1] and not sorts
        writer.write(http(400, {"errorKey": "badsort"}) if refuses else http(200, []))

    async with talking(answer) as (client, _):
        for page in range(2):
            assert (await client.users(page, 100, Prints(b"key"))).verdict == Page((), None)
    assert seen == requests
