"""`Sandbox`: the routes and middlewares over one state, served on this machine only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware

from bulk_onboard.domain.providers import PROVIDERS, Provider
from bulk_onboard.errors import UsageError
from bulk_onboard.sandbox.admin import PREFIX, Admin
from bulk_onboard.sandbox.auth import Auth
from bulk_onboard.sandbox.calls import BASE, CURRENT_CALL, LOGIN, Handler, area_of
from bulk_onboard.sandbox.credentials import CredentialHandlers
from bulk_onboard.sandbox.faults import FaultInjector, status_of
from bulk_onboard.sandbox.settings import Area, Behaviour, Clock
from bulk_onboard.sandbox.state import SeenRequest, State, delete_file
from bulk_onboard.sandbox.users import UserHandlers
from bulk_onboard.sandbox.views import Views

HOST = "127.0.0.1"
_LAST_REPLIES = 1.0
_BACKLOG = 1024


class Sandbox:
    """An imitation of Leaf.

    ``store``: file of its state, None to keep it in memory. Opening a file that another sandbox uses, or that
    cannot be read, raises UsageError. It is closed when `serve` ends; call `close` if it never served.
    ``middlewares``: run before its own, for tests. ``stored``: the state, ``faults``: what makes requests
    go wrong.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider] | Iterable[Provider] = PROVIDERS,
        behaviour: Behaviour | None = None,
        store: Path | None = None,
        clock: Clock | None = None,
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        table = tuple(providers.values() if isinstance(providers, Mapping) else providers)
        self._behaviour = behaviour or Behaviour()
        self._clock = clock or Clock()
        self._middlewares = middlewares
        unknowns = self._behaviour.unknowns
        self.stored = State(store, self._behaviour.users, self._behaviour.record_size)
        self._views = Views(table, unknowns, self._behaviour.event_delay)
        self._auth = Auth(self.stored, self._views, self._behaviour, self._now)
        self._users = UserHandlers(self.stored, self._views, unknowns, self._now)
        self._credentials = CredentialHandlers(
            self.stored, self._views, unknowns, providers=table, users=self._users, now=self._now
        )
        self.faults = FaultInjector(self._behaviour, self._views, self._auth, self._clock, self._now)
        self._admin = Admin(self.stored, self._reset_all)

    def _now(self) -> float:
        """Return the time by Leaf's clock."""
        return self._clock.now() + self._behaviour.unknowns.clock_skew

    @property
    def identity(self) -> str:
        """Which sandbox this is, whatever its port: as old as its file, another one after a reset."""
        return self.stored.identity

    def fingerprint(self, posted: Mapping[str, str]) -> str:
        """Return the name that `requests` and `state` give to a posted body."""
        return self.stored.fingerprint(dict(posted))

    def requests(self, since: int = 0) -> list[dict[str, object]]:
        """Return the same as ``GET /sandbox/requests``."""
        return self._admin.requests(since)

    def state(self) -> dict[str, object]:
        """Return the same as ``GET /sandbox/state``."""
        return self._admin.state()

    def close(self) -> None:
        """Close the state."""
        self.stored.close()

    @staticmethod
    def reset(store: Path) -> None:
        """Delete the file of a sandbox. None may be using it."""
        delete_file(store)

    def _reset_all(self) -> None:
        self.stored.reset()
        self.faults.restart()

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[str]:
        """Serve in this event loop while the context is open; yields the base URL. Port 0: any free one."""
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=_LAST_REPLIES)
        try:
            await runner.setup()
            try:
                await web.TCPSite(runner, HOST, port, backlog=_BACKLOG).start()
            except OSError as error:
                raise UsageError(
                    f"the sandbox cannot listen on port {port} of {HOST}: {error.strerror}"
                ) from None
            yield f"http://{HOST}:{runner.addresses[0][1]}"
        finally:
            self.faults.close()
            await runner.cleanup()
            self.close()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[*self._middlewares, self._as_leaf])
        self._admin.add_routes(application.router)
        users, credentials = self._users, self._credentials
        one_user = f"{BASE}/users/{{user_id}}"
        one = f"{one_user}/{{path:{'|'.join(credentials.paths)}}}"
        routes: tuple[tuple[str, str, dict[str, Handler]], ...] = (
            (Area.LOGIN, LOGIN, {"POST": self._auth.login}),
            (Area.USERS, f"{BASE}/users", {"GET": users.get_page, "POST": users.post}),
            (f"{Area.USERS}.one", one_user, {"GET": users.get, "DELETE": users.delete}),
            (
                Area.CREDENTIALS,
                one,
                {"GET": credentials.get, "POST": credentials.post, "DELETE": credentials.delete},
            ),
            (Area.EVENTS, f"{one}/events", {"GET": credentials.events}),
        )
        for name, path, handlers in routes:
            resource = application.router.add_resource(path, name=name)
            for method, handler in handlers.items():
                resource.add_route(method, handler)
        return application

    @web.middleware
    async def _as_leaf(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Run the middlewares of Leaf's own calls, the last of them around the handler."""
        if request.path.startswith(PREFIX):
            return await handler(request)
        handler = partial(self._auth.authenticate, handler=handler)
        if self._behaviour.unknowns.idempotency_keys == "honoured":
            handler = partial(self._repeat_reply, handler=handler)
        handler = partial(self.faults.replace_reply, handler=handler)
        handler = partial(self._record, handler=handler)
        return await self.faults.deliver(request, handler)

    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request in one transaction, and record it, before anything is replied."""
        call, key = CURRENT_CALL.get(), self._credentials.key_of(request)
        is_post = request.method == "POST" and area_of(request) is Area.CREDENTIALS
        if is_post and call.posted:
            call.fingerprint = self.stored.fingerprint(call.posted)
        with self.stored.transaction():
            response = await handler(request)
            if is_post:
                self.stored.count_post(key, call.fingerprint, call.stored)
            seen = (call.at, call.monotonic, request.method, request.path, *key, call.fingerprint)
            self.stored.add_request(SeenRequest(*seen, status_of(call, response), call.fault, call.stored))
        return response

    async def _repeat_reply(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Give the first reply again to a POST with the same idempotency key."""
        key = request.headers.get("Idempotency-Key", "")
        if request.method != "POST" or not key:
            return await handler(request)
        if reply := self.stored.reply(request.path, key):
            status, content_type, body = reply
            return web.Response(status=status, content_type=content_type, body=body)
        response = await handler(request)
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            self.stored.add_reply(request.path, key, (response.status, response.content_type, response.body))
        return response
