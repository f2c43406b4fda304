"""The process that sends for us: what it hears is what we would have heard, and its death loses no safety."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import cast

import pytest
from fakes import ID, PAYLOAD, TOKEN
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.leaf import courier as module
from bulk_onboard.leaf.client import LeafClient
from bulk_onboard.leaf.comparison import Fields
from bulk_onboard.leaf.courier import SIZE, Courier, _heard, packed, taken, told
from bulk_onboard.leaf.courier_process import _Delivery
from bulk_onboard.leaf.replies import Reply, after_post
from bulk_onboard.leaf.wire import Message, Wire
from bulk_onboard.model import Ambiguous, Answer, Created, Credential, Echo, Secret, Transient
from bulk_onboard.settings import LeafSettings, Login
from bulk_onboard.window import Window
from leaf.server import Request, always, http, never, serving
from leaf.test_client import Turns

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is none on Windows")
FIELDS = Fields(("refreshToken",), (), ("clientId",))
POST = Message("POST", "/created", "planted-bearer", {"refreshToken": "planted-token"})


@asynccontextmanager
async def hired(url: str, timeout: float = 5.0, told: list[str] | None = None) -> AsyncIterator[Courier]:
    """A courier that is ready."""
    async with Courier(url, timeout, 4, on_loss=(told if told is not None else []).append) as courier:
        await until_ready(courier)
        yield courier


async def until_ready(courier: Courier) -> None:
    async with asyncio.timeout(20):
        while not courier.ready:
            await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether a process has ended, also where nobody has taken notice yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def by_path(request: Request, writer: asyncio.StreamWriter) -> None:
    """Each path is answered in its own way."""
    match request.path.split("?")[0]:
        case "/created":
            writer.write(http(201, {"id": "c-1", "status": "OK", "refreshToken": TOKEN}))
        case "/other":
            writer.write(http(201, {"id": "c-2", "status": "OK", "refreshToken": f"other-{TOKEN}"}))
        case "/throttled":
            writer.write(http(429, b"", "retry-after: 7", "Date: Tue, 24 Nov 2026 13:00:00 GMT", "X: y"))
        case "/bytes":
            writer.write(http(200, bytes(range(256)) * 300))
        case "/hangs":
            await asyncio.sleep(60)
        case _:
            writer.close()


@pytest.mark.parametrize("path", ["/created", "/throttled", "/bytes?page=1&a=b", "/hangs", "/closes"])
async def test_what_is_heard_by_way_of_the_process_is_what_is_heard_without_it(path: str) -> None:
    message = POST._replace(target=path)
    async with (
        serving(by_path) as server,
        Wire(server.url, 0.3) as wire,
        hired(server.url, 0.3) as courier,
    ):
        here, there = await wire.exchange(message), await courier.exchange(message)
        assert there.http_status == here.http_status
        if isinstance(here.verdict, Reply) and isinstance(there.verdict, Reply):
            assert there.verdict.headers == here.verdict.headers
            assert there.verdict.body == here.verdict.body
            assert 0 <= (there.verdict.at - here.verdict.at).total_seconds() < 10
        else:
            assert there.verdict == here.verdict
        first, second = server.requests
        assert (first.method, first.path, first.body) == (second.method, second.path, second.body)
        assert first.headers == second.headers


@pytest.mark.parametrize(
    ("path", "fields", "comes"),
    [
        ("/created", FIELDS, Created),
        ("/created", None, Reply),
        ("/other", FIELDS, Created),  # an echo of other secrets
        ("/throttled", FIELDS, Reply),
        ("/bytes", FIELDS, Reply),
        ("/closes", FIELDS, Ambiguous),
    ],
)
async def test_only_what_says_created_is_read_there_and_says_the_same(
    path: str, fields: Fields | None, comes: type
) -> None:
    message = POST._replace(target=path, body=PAYLOAD.reveal(), fields=fields and tuple(fields))
    async with (
        serving(by_path) as server,
        Wire(server.url, 5.0) as wire,
        hired(server.url) as courier,
    ):
        here, there = await wire.exchange(message), await courier.exchange(message)
        assert isinstance(there.verdict, comes)
        assert there.http_status == here.http_status
        if isinstance(there.verdict, Created):
            assert isinstance(here.verdict, Reply)
            assert there.verdict == after_post(here.verdict, PAYLOAD, FIELDS)


async def test_a_connection_that_is_refused_there_is_known_not_to_have_sent_anything() -> None:
    async with hired("http://127.0.0.1:9") as courier:
        assert isinstance((await courier.exchange(POST)).verdict, Transient)


async def test_of_all_that_a_dead_process_had_in_hand_nobody_knows_what_came() -> None:
    words: list[str] = []
    async with serving(never) as server, hired(server.url, told=words) as courier:
        waiting = [asyncio.ensure_future(courier.exchange(POST)) for _ in range(6)]
        async with asyncio.timeout(5):
            while server.count("POST") < 4:
                await asyncio.sleep(0.01)
        os.kill(courier.pid, signal.SIGKILL)
        for answer in await asyncio.gather(*waiting):
            assert isinstance(answer.verdict, Ambiguous)
        assert not courier.ready
        assert server.count("POST") == 4
    assert len(words) == 1
    assert "planted" not in words[0]


async def test_who_sends_what_nobody_can_read_is_not_listened_to_any_more() -> None:
    words: list[str] = []
    async with serving(never) as server, hired(server.url, told=words) as courier:
        waiting = asyncio.ensure_future(courier.exchange(POST))
        async with asyncio.timeout(5):
            while not server.requests:
                await asyncio.sleep(0.01)
            stdout = courier._process.stdout
            assert stdout is not None
            stdout.feed_data((3).to_bytes(SIZE) + b"?!?")
            assert isinstance((await waiting).verdict, Ambiguous)
            await courier._process.wait()
    assert len(words) == 1


async def test_when_the_process_has_died_rows_go_out_without_it() -> None:
    words: list[str] = []
    async with serving(always(http(201, {"id": "c-1", "refreshToken": TOKEN}))) as server:
        there = LeafSettings(server.url, Login(token=Secret("planted-bearer")), 5.0)
        client = LeafClient(there, [PROVIDERS["raven"]], Turns(), apart=True, on_trouble=words.append)
        async with client:
            assert client._courier
            await until_ready(client._courier)
            calls = client.of("raven")
            assert isinstance((await calls.post(ID, PAYLOAD)).verdict, Created)
            os.kill(client._courier.pid, signal.SIGKILL)
            async with asyncio.timeout(5):
                while not words:
                    await asyncio.sleep(0.01)
            assert isinstance((await calls.post(ID, PAYLOAD)).verdict, Created)
        assert server.count("POST") == client.requests.post == 2
        assert server.connections == 2


async def test_a_process_that_is_stuck_is_ended_and_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STUCK", 0.1)
    async with serving(always(http(201))) as server, hired(server.url, timeout=0.1) as courier:
        os.kill(courier.pid, signal.SIGSTOP)
        async with asyncio.timeout(5):
            assert isinstance((await courier.exchange(POST)).verdict, Ambiguous)


async def test_signals_for_us_do_not_end_the_process_that_sends() -> None:
    async with serving(by_path) as server, hired(server.url) as courier:
        assert os.getpgid(courier.pid) != os.getpgid(0)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(courier.pid, number)
        assert (await courier.exchange(POST)).http_status == 201


async def test_the_process_list_shows_no_secret() -> None:
    async with serving(by_path) as server, hired(server.url) as courier:
        await courier.exchange(POST)
        shown = await asyncio.to_thread(
            subprocess.check_output, ["ps", "-o", "args=", "-p", str(courier.pid)], text=True
        )
        assert "courier" in shown
        assert "planted" not in shown


_KILLED = """
import asyncio, os, sys
from bulk_onboard.leaf.courier import Courier
from bulk_onboard.leaf.wire import Message

async def main():
    async with Courier(sys.argv[1], 5.0, 4, print) as courier:
        while not courier.ready:
            await asyncio.sleep(0.01)
        print(courier.pid, flush=True)
        asyncio.ensure_future(courier.exchange(Message("POST", "/hangs", "planted", {})))
        await asyncio.sleep(0.1)
        os.kill(os.getpid(), 9)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_the_process_does_not_outlive_who_started_it() -> None:
    async with serving(by_path) as server:
        command = [sys.executable, "-c", textwrap.dedent(_KILLED), server.url]
        ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        assert ran.returncode == -signal.SIGKILL
        async with asyncio.timeout(10):
            while not gone(int(ran.stdout)):
                await asyncio.sleep(0.01)


_words = st.text(st.characters(exclude_categories=["Cs"]))
_replies = st.builds(
    Reply,
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["Date", "Retry-After"]), _words),
    st.binary(),
    st.integers(0, 1 << 32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)
_answers = st.one_of(
    st.builds(lambda reply, s: Answer(reply, reply.status, s), _replies, st.floats(0, 1e6)),
    st.builds(
        lambda credential, s: Answer(Created(credential), 201, s),
        st.builds(
            Credential,
            _words,
            _words,
            st.none() | st.datetimes(timezones=st.just(UTC)),
            st.sampled_from(Echo),
        ),
        st.floats(0, 1e6),
    ),
    st.builds(lambda v, s: Answer(v, None, s), st.builds(Transient, _words, _words), st.floats(0, 1e6)),
    st.builds(
        lambda v, s: Answer(v, None, s),
        st.builds(Ambiguous, _words, _words, st.none(), st.booleans()),
        st.floats(0, 1e6),
    ),
)


@given(st.lists(_answers, max_size=3))
def test_an_answer_is_the_same_on_the_other_side_of_the_pipe(answers: list[Answer[Reply]]) -> None:
    async def piped() -> list[object]:
        stream = asyncio.StreamReader()
        stream.feed_data(packed(told(answer) for answer in answers))
        return [_heard(*each) for each in await taken(stream)]

    for sent, came in zip(answers, asyncio.run(piped()), strict=True):
        assert came == sent


async def test_what_comes_to_it_in_a_crowd_goes_out_at_the_ceiling() -> None:
    async with serving(by_path) as server, Courier(server.url, 5.0, 4, print, rate=20.0) as courier:
        assert courier.ready  # else something would have gone out by another way, uncounted
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(courier.exchange(POST) for _ in range(21)))
        assert 1.0 <= asyncio.get_running_loop().time() - began < 2.0


async def test_of_many_that_wait_for_the_ceiling_one_wakes_up_at_a_time() -> None:
    looks, many, apart = 0, 40, 0.01

    class Watched(Window):
        def opens(self) -> float:
            nonlocal looks
            looks += 1
            return super().opens()

    window = Watched(many)
    for number in range(many):  # so that there is room for one more every hundredth of a second from now on
        window.take(perf_counter() - 1 + apart * (number + 1))
    output = cast("asyncio.WriteTransport", SimpleNamespace(write=lambda _data: None))
    async with serving(by_path) as server, Wire(server.url, 5.0, window) as wire, asyncio.timeout(10):
        delivery = _Delivery(wire, output, many, window)
        for number in range(many):
            delivery.begin(number, POST)
        while len(server.requests) < many:
            await asyncio.sleep(apart)
    assert looks < 6 * many  # a crowd that wakes up for each place looks twenty times as often


@pytest.mark.parametrize("dies", [False, True])
async def test_the_start_is_waited_for_where_there_is_a_rate_but_no_longer_than_it_lasts(
    dies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STARTING", 600.0)
    if dies:
        monkeypatch.setattr(module, "_PROGRAM", "")
    said: list[str] = []
    async with asyncio.timeout(20), Courier("http://127.0.0.1:1", 5.0, 4, said.append, rate=10.0) as courier:
        assert courier.ready is not dies
        assert len(said) == dies


async def test_what_a_run_handed_in_that_is_dead_does_not_go_out_any_more() -> None:
    """The next run may be at work already, with the same growers."""
    run = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {module._PROGRAM!r}])"
    async with serving(by_path) as server, asyncio.timeout(20):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", run, stdin=PIPE, stdout=PIPE)
        assert process.stdin
        assert process.stdout
        process.stdin.write(packed([(server.url, 5.0, 4, 0.0)]))
        assert await taken(process.stdout) == []
        process.stdin.write(packed([(1, *POST)]))
        assert [number for number, *_ in await taken(process.stdout)] == [1]
        process.kill()
        while not gone(process.pid):
            await asyncio.sleep(0.01)
        process.stdin.write(packed([(2, *POST)]))
        with pytest.raises(asyncio.IncompleteReadError):
            await taken(process.stdout)
        await process.wait()
        assert server.count("POST") == 1
