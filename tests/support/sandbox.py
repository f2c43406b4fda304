"""The sandbox as the Leaf of a test: in a thread of its own, with what it has seen and holds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from bulk_onboard.domain.providers import PROVIDERS, Providers
from bulk_onboard.sandbox import Behaviour, Sandbox

T = TypeVar("T")
# As in tests/conftest.py: every made-up secret has this in it, and must not be seen again.
PLANTED = "planted-"
CLIENT_SECRET = f"{PLANTED}client-secret"
APP = {"RAVEN_CLIENT_ID": f"{PLANTED}client-id", "RAVEN_CLIENT_SECRET": CLIENT_SECRET}


@dataclass
class Server:
    """A sandbox that serves in a thread of its own until the test is over.

    ``bodies``: the grower, path and body of each POST of credentials.
    """

    url: str
    sandbox: Sandbox
    loop: asyncio.AbstractEventLoop
    bodies: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def _asked(self, question: Callable[[], T]) -> T:
        """The answer of the server's own thread: nothing changes while it is given."""

        async def answer() -> T:
            return question()

        return asyncio.run_coroutine_threadsafe(answer(), self.loop).result(5)

    @property
    def environment(self) -> dict[str, str]:
        return {"LEAF_BASE_URL": self.url, "LEAF_TOKEN": f"practice-{PLANTED}bearer", **APP}

    def seen(self, method: str = "") -> list[dict[str, Any]]:
        """The requests, of one method or of all."""
        return [each for each in self._asked(self.sandbox.requests) if method in ("", each["method"])]

    @property
    def posts(self) -> int:
        return len(self.seen("POST"))

    def delete(self, leaf_user_id: str) -> None:
        """Somebody deletes a grower's credentials."""
        self._asked(lambda: self.sandbox.stored.delete_credentials((leaf_user_id, "raven")))

    @property
    def connected(self) -> set[str]:
        """The growers that have credentials."""
        return {user for user, known in self.held.items() if known["credentialId"]}

    def assert_stored_once(self, count: int) -> None:
        """Check that ``count`` growers have credentials, each stored by a single POST."""
        assert len(self.connected) == count
        assert all(known["postsStored"] == 1 for known in self.held.values()), "a token was stored twice"

    @property
    def held(self) -> dict[str, dict[str, Any]]:
        """What the sandbox holds, by grower."""
        return self._asked(lambda: held(self.sandbox))


def held(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    growers_: Any = sandbox.state()["growers"]
    return {each["leafUserId"]: each for each in growers_}


@contextmanager
def serving(behaviour: Behaviour | None = None, providers: Providers = PROVIDERS) -> Iterator[Server]:
    """A sandbox on a free port of this machine, until the block ends."""
    loop, ready, end = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[Server] = []

    bodies: list[tuple[str, str, dict[str, str]]] = []

    @web.middleware
    async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "POST" and request.path.endswith("-credentials"):
            user, path = request.path.split("/")[-2:]
            bodies.append((user, path, await request.json()))
        return await handler(request)

    async def serve() -> None:
        sandbox = Sandbox(providers, behaviour or Behaviour(event_delay=0), middlewares=(record,))
        async with sandbox.serve() as url:
            found.append(Server(url, sandbox, loop, bodies))
            ready.set()
            await end.wait()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    ready.wait(5)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(5)
