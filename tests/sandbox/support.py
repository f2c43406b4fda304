"""A sandbox on a free port and a client for it, as the tests of the sandbox use them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.sandbox import Behaviour, Clock, Fault, Faults, Sandbox, Unknowns

BASE = "/services/usermanagement/api"
GROWER = "0b5e7f0a-6a5c-4a53-9f6e-0d5a3b1c2d01"
OTHER = "0b5e7f0a-6a5c-4a53-9f6e-0d5a3b1c2d02"
RAVEN = f"{BASE}/users/{GROWER}/raven-credentials"


def body(token: str = "rt-secret-1") -> dict[str, str]:
    return {"clientId": "cid", "clientSecret": "app-secret", "refreshToken": token}


def raven(user_id: str) -> str:
    return f"{BASE}/users/{user_id}/raven-credentials"


def always(kind: Fault, **more: Any) -> Behaviour:
    return Behaviour(faults=Faults({kind: 1.0}, **more))


def unknown(**answers: Any) -> Behaviour:
    return Behaviour(unknowns=replace(Unknowns(), **answers))


@dataclass
class FakeClock:
    """A clock that the test moves."""

    time: float = 1_800_000_000.0

    def read(self) -> Clock:
        return Clock(lambda: self.time, lambda: self.time)


@dataclass
class Got:
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Client:
    url: str
    session: aiohttp.ClientSession
    sandbox: Sandbox
    clock: FakeClock = field(default_factory=FakeClock)
    token: str = "practice"
    timeout: float = 5.0
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, data: object = None, **headers: str) -> Got:
        sent = {"Authorization": f"Bearer {self.token}"} | headers
        content = {} if data is None else {"json": data}
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        async with self.session.request(
            method, self.url + path, headers=sent, timeout=timeout, **content
        ) as r:
            return Got(r.status, r.headers, await r.text())

    async def get(self, path: str = RAVEN) -> Got:
        return await self.ask("GET", path)

    async def post(self, data: object = None, path: str = RAVEN) -> Got:
        return await self.ask("POST", path, body() if data is None else data)

    async def delete(self, path: str = RAVEN) -> Got:
        return await self.ask("DELETE", path)

    async def state(self) -> dict[str, Any]:
        """What the sandbox says of the first grower it knows."""
        return (await self.get("/sandbox/state")).json["growers"][0]

    async def seen(self, since: int = 0) -> list[dict[str, Any]]:
        return (await self.get(f"/sandbox/requests?since={since}")).json


@asynccontextmanager
async def serve_sandbox(
    behaviour: Behaviour | None = None, store: Path | None = None, clock: FakeClock | None = None
) -> AsyncIterator[Client]:
    sandbox = Sandbox(PROVIDERS, behaviour, store, clock.read() if clock else None)
    async with sandbox.serve() as url, aiohttp.ClientSession() as session:
        yield Client(url, session, sandbox, clock or FakeClock())
        await session.close()
        await asyncio.sleep(0)


async def start(*options: str) -> asyncio.subprocess.Process:
    """The command in a process of its own, on a free port."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bulk_onboard", "sandbox", "--port", "0", *options),
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def address(server: asyncio.subprocess.Process) -> str:
    """The URL in the first line that it prints."""
    assert server.stderr
    return (await server.stderr.readline()).decode().split()[2]


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another task will bring about, not long."""
    async with asyncio.timeout(0.5):
        while not condition():
            await asyncio.sleep(0.01)
