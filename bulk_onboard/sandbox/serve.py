"""The sandbox as a whole: a world, its memory on disk, and a server on this machine only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from bulk_onboard.domain.providers import PROVIDERS, Provider
from bulk_onboard.errors import UsageError
from bulk_onboard.sandbox.app import App, Clock
from bulk_onboard.sandbox.behaviour import Behaviour
from bulk_onboard.sandbox.desk import PREFIX, Desk
from bulk_onboard.sandbox.store import Store, delete
from bulk_onboard.sandbox.world import World

HOST = "127.0.0.1"
_LAST_ANSWERS = 1.0
_BACKLOG = 1024


class Sandbox:
    """An imitation of Leaf.

    ``store``: where it remembers, None for a memory that ends with the process. Opening one that another
    sandbox uses, or that cannot be read, raises UsageError. It is closed when `serve` ends; call `close` if
    it never served.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider] | Iterable[Provider] = PROVIDERS,
        behaviour: Behaviour | None = None,
        store: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        table = tuple(providers.values() if isinstance(providers, Mapping) else providers)
        behaviour = behaviour or Behaviour()
        self._store = Store(store)
        self._world = World(self._store.load(), behaviour.users)
        self._app = App(self._world, self._store, behaviour, table, clock or Clock())
        self._desk = Desk(self._app, self._world, self._store)

    @property
    def identity(self) -> str:
        """Which sandbox this is, whatever its port: as old as its store, another one after a reset."""
        return self._store.identity.name

    def fingerprint(self, posted: Mapping[str, str]) -> str:
        """How `requests` and `state` name a posted body."""
        return self._store.identity.fingerprint(dict(posted))

    def requests(self, since: int = 0) -> list[dict[str, object]]:
        """The same as ``GET /sandbox/requests``."""
        return self._desk.requests(since)

    def state(self) -> dict[str, object]:
        """The same as ``GET /sandbox/state``."""
        return self._desk.state()

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    @staticmethod
    def reset(store: Path) -> None:
        """Forget what a sandbox remembers there. None may be using it."""
        delete(store)

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[str]:
        """Serve in this event loop while the context is open; gives the base URL. Port 0: any free one."""
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=_LAST_ANSWERS)
        try:
            await runner.setup()
            await _listen(runner, port)
            yield f"http://{HOST}:{runner.addresses[0][1]}"
        finally:
            self._app.close()
            await runner.cleanup()
            self.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(PREFIX):
            return self._desk.handle(request)
        return await self._app.handle(request)


async def _listen(runner: web.ServerRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, HOST, port, backlog=_BACKLOG).start()
    except OSError as error:
        raise UsageError(f"the sandbox cannot listen on port {port} of {HOST}: {error.strerror}") from None
