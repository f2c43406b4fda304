"""`Sandbox`: the routes and middlewares over one state, served on this machine only."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler as AiohttpHandler
from aiohttp.typedefs import Middleware

from bulk_onboard.domain.providers import PROVIDERS, Provider
from bulk_onboard.errors import UsageError
from bulk_onboard.sandbox.admin import PREFIX, Admin
from bulk_onboard.sandbox.auth import Auth
from bulk_onboard.sandbox.calls import BASE, CURRENT_CALL, LOGIN, Handler, area_of, body_of
from bulk_onboard.sandbox.credentials import CredentialHandlers
from bulk_onboard.sandbox.faults import FaultInjector, status_of
from bulk_onboard.sandbox.settings import Area, Behaviour, Clock
from bulk_onboard.sandbox.state import State, delete_file
from bulk_onboard.sandbox.users import UserHandlers
from bulk_onboard.sandbox.views import Views

HOST = "127.0.0.1"
_LAST_REPLIES = 1.0
_BACKLOG = 1024
_COUNT_POST = """
INSERT INTO posts VALUES (?, ?, ?, 1, ?)
ON CONFLICT DO UPDATE SET seen = seen + 1, stored = stored + excluded.stored
"""
# The first index is 0; left to itself, SQLite would begin with 1.
_ADD_REQUEST = """
INSERT INTO requests SELECT coalesce(max("index"), -1) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM requests
"""
_REPLY = "SELECT status, content_type, body FROM replies WHERE path = ? AND idempotency_key = ?"


class Sandbox:
    """An imitation of Leaf.

    ``store``: file of its state, None to keep it in memory. Opening a file that another sandbox uses, or that
    cannot be read, raises UsageError. It is closed when `serve` ends; call `close` if it never served.
    ``middlewares``: run before its own, for tests. ``stored``: the state, ``faults``: what makes requests
    go wrong. ``requests`` and ``state`` return the same as ``GET /sandbox/…``; ``fingerprint`` returns what
    they call a posted body.
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
        self.stored = State(store, self._behaviour.users)
        self._views = Views(table, unknowns, self._behaviour.event_delay)
        self._auth = Auth(self.stored, self._views, self._behaviour, self._now)
        self._users = UserHandlers(self.stored, self._views, unknowns, self._now)
        by_path = {provider.path: provider for provider in table}
        self._credentials = CredentialHandlers(
            self.stored, self._views, unknowns, users=self._users, by_path=by_path, now=self._now
        )
        self.faults = FaultInjector(self._behaviour, self._views, self._auth, self._clock, self._now)
        self._admin = Admin(self.stored, self.faults.restart)
        self.requests, self.state = self._admin.show_requests, self._admin.show_state
        self.fingerprint, self.close = self.stored.fingerprint, self.stored.close

    def _now(self) -> float:
        """Return the time by Leaf's clock."""
        return self._clock.now() + self._behaviour.unknowns.clock_skew

    @property
    def identity(self) -> str:
        """Which sandbox this is, whatever its port: as old as its file, another one after a reset."""
        return self.stored.identity

    @staticmethod
    def reset(store: Path) -> None:
        """Delete the file of a sandbox. None may be using it."""
        delete_file(store)

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
        one = f"{one_user}/{{path:{'|'.join(re.escape(path) for path in credentials.by_path)}}}"
        routes: tuple[tuple[str, str, dict[str, Handler]], ...] = (
            (Area.LOGIN, LOGIN, {"POST": self._auth.login}),
            (Area.USERS, f"{BASE}/users", {"GET": users.get_page, "POST": users.post}),
            (f"{Area.USERS}.one", one_user, {"GET": users.get, "DELETE": users.delete}),
            (Area.CREDENTIALS, one, {"GET": credentials.get, "POST": credentials.post}),
            (Area.CREDENTIALS, one, {"DELETE": credentials.delete}),
            (Area.EVENTS, f"{one}/events", {"GET": credentials.events}),
        )
        for name, path, handlers in routes:
            resource = application.router.add_resource(path, name=name)
            for method, handler in handlers.items():
                resource.add_route(method, handler)
        return application

    @web.middleware
    async def _as_leaf(self, request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
        """Run the middlewares of Leaf's own calls, the last of them around the handler."""
        if request.path.startswith(PREFIX):
            return await handler(request)
        own: Handler = partial(self._auth.authenticate, handler=cast(Handler, handler))
        if self._behaviour.unknowns.idempotency_keys == "honoured":
            own = partial(self._repeat_reply, handler=own)
        own = partial(self.faults.replace_reply, handler=own)
        return await self.faults.deliver(request, partial(self._record, handler=own))

    async def _record(self, request: web.Request, handler: Handler) -> web.Response:
        """Handle a request in one transaction, and record it, before anything is replied."""
        call, key = CURRENT_CALL.get(), self._credentials.key_of(request)
        is_post = request.method == "POST" and area_of(request) is Area.CREDENTIALS
        if is_post and call.posted:
            call.fingerprint = self.stored.fingerprint(call.posted)
        with self.stored.transaction():
            response = await handler(request)
            if is_post:
                self.stored.execute(_COUNT_POST, (*key, call.fingerprint, call.stored))
            status, seen = status_of(call, response), (call.at, call.monotonic, request.method, request.path)
            row = self.stored.execute(
                _ADD_REQUEST, (*seen, *key, call.fingerprint, status, call.fault, call.stored)
            )
            last_dropped = (row.lastrowid or 0) - self._behaviour.record_size
            self.stored.execute('DELETE FROM requests WHERE "index" <= ?', (last_dropped,))
        return response

    async def _repeat_reply(self, request: web.Request, handler: Handler) -> web.Response:
        """Give the first reply again to a POST with the same idempotency key."""
        key = request.headers.get("Idempotency-Key", "")
        if request.method != "POST" or not key:
            return await handler(request)
        if reply := self.stored.execute(_REPLY, (request.path, key)).fetchone():
            status, content_type, body = reply
            return web.Response(status=status, content_type=content_type, body=body)
        response = await handler(request)
        first = (request.path, key, response.status, response.content_type, body_of(response))
        self.stored.execute("INSERT INTO replies VALUES (?, ?, ?, ?, ?)", first)
        return response
