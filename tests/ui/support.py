"""A page that is served, and a client that speaks to it as a browser does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, CookieJar

from bulk_onboard.ui.server import Server
from bulk_onboard.ui.session import Session

SAMPLES = Path(__file__).parents[2] / "samples"


@dataclass
class Client:
    """A browser that has exchanged the token. ``seen``: all that it was answered."""

    server: Server
    http: ClientSession
    page: str = ""
    seen: list[bytes] = field(default_factory=list)

    async def enter(self) -> None:
        async with self.http.get(self.server.address) as response:
            text = await response.text()
        self.page = self.server.origin + text.partition("url=")[2].partition('"')[0]

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, bytes]:
        headers = {"Origin": self.server.origin, **options.pop("headers", {})}
        async with self.http.request(method, self.page + path, headers=headers, **options) as response:
            content = await response.read()
        self.seen.append(content)
        return response.status, content

    async def post(self, action: str, **body: Any) -> dict[str, Any]:
        status, content = await self.ask("POST", f"api/{action}", json=body)
        assert status == 200, content
        answer: dict[str, Any] = json.loads(content)
        return answer

    async def upload(self, name: str, content: bytes) -> dict[str, Any]:
        status, said = await self.ask("POST", "file", data=content, headers={"X-File-Name": name})
        assert status == 200, said
        return self.state()

    def state(self) -> dict[str, Any]:
        text = json.dumps(self.server.state())
        self.seen.append(text.encode())
        state: dict[str, Any] = json.loads(text)
        return state

    async def wait(self, kind: str, what: str = "ended") -> dict[str, Any]:
        for _ in range(240):
            if (live := self.state()[kind]) and live[what]:
                return live  # type: ignore[no-any-return]
            await asyncio.sleep(0.05)
        raise AssertionError(f"{kind} is not {what}: {self.state()[kind]}")


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """A page and a client that has entered."""
    server = Server(Session())
    async with server.serve(), ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
        entered = Client(server, http)
        await entered.enter()
        yield entered


@contextmanager
def served() -> Iterator[Server]:
    """A page in a thread of its own, for a browser in this one."""
    server, ready = Server(Session()), threading.Event()
    stop: list[Any] = []

    async def serve() -> None:
        end = asyncio.Event()
        stop.append((asyncio.get_running_loop(), end))
        async with server.serve():
            ready.set()
            await end.wait()
            for live in (server.session.run, server.session.dry):
                if live is not None and not live.ended:
                    live.end("the test is over")
                    live.end("the test is over")
            await server.session.finish()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield server
    finally:
        loop, end = stop[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(20)
