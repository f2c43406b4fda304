"""`Sandbox`: the routes over one state, served on this machine only.

``/sandbox/…`` shows what it received and holds: without login, never at fault, never recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from aiohttp.typedefs import Handler as AiohttpHandler
from aiohttp.typedefs import Middleware

from bulk_onboard.domain.providers import PROVIDERS, Provider
from bulk_onboard.errors import UsageError
from bulk_onboard.sandbox.auth import Auth
from bulk_onboard.sandbox.calls import BASE, CURRENT_CALL, LOGIN, Call, Handler, area_of
from bulk_onboard.sandbox.credentials import CredentialHandlers
from bulk_onboard.sandbox.faults import FaultInjector, status_of
from bulk_onboard.sandbox.settings import Area, Behaviour, Clock, Fault
from bulk_onboard.sandbox.state import State, delete_file
from bulk_onboard.sandbox.users import UserHandlers
from bulk_onboard.sandbox.views import Views, body_of, timestamp

HOST = "127.0.0.1"
_ADMIN = "/sandbox/"
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
_GROWERS = """
SELECT leaf_user_id AS "leafUserId", provider, c.id AS "credentialId", c.fingerprint,
    coalesce(sum(p.seen), 0) AS posts, coalesce(sum(p.stored), 0) AS "postsStored",
    json_group_object(p.fingerprint, p.seen) FILTER (WHERE p.seen > 0) AS "postsByFingerprint",
    json_group_object(p.fingerprint, p.stored) FILTER (WHERE p.seen > 0) AS "storedByFingerprint"
FROM (SELECT leaf_user_id, provider FROM credentials UNION SELECT leaf_user_id, provider FROM posts)
LEFT JOIN credentials AS c USING (leaf_user_id, provider)
LEFT JOIN posts AS p USING (leaf_user_id, provider)
GROUP BY leaf_user_id, provider
"""
_NAMED_USERS = """
SELECT id AS "leafUserId", external_id AS "externalId", email, name, created > 0 AS posted
FROM users WHERE external_id || email != '' ORDER BY rowid
"""


class Sandbox:
    """An imitation of Leaf.

    ``store``: file of its state, None to keep it in memory. Opening a file that another sandbox uses, or that
    cannot be read, raises UsageError. It is closed when `serve` ends; call `close` if it never served.
    ``middlewares``: run before its own, for tests. ``stored``: the state, ``faults``: what makes requests
    go wrong. ``fingerprint`` returns what `state` and `requests` call a posted body.
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
        self._behaviour, self._clock = behaviour or Behaviour(), clock or Clock()
        self._middlewares = middlewares
        self._first_replies: dict[tuple[str, str], tuple[int, str, bytes]] = {}
        self.stored = State(store, self._behaviour.users)
        self.fingerprint, self.close = self.stored.fingerprint, self.stored.close
        views = Views({provider.name: provider for provider in table}, self._behaviour, self._now)
        self.faults = FaultInjector(views, self._clock)
        self._auth = Auth(self.stored, views)
        self._users = UserHandlers(self.stored, views)
        by_path = {provider.path: provider for provider in table}
        self._credentials = CredentialHandlers(self.stored, views, self._users, by_path)

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

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the requests seen, from that index on, in the order in which they were answered."""
        rows = self.stored.rows('SELECT * FROM requests WHERE "index" >= ? ORDER BY "index"', since)
        return [row | {"at": timestamp(row["at"]), "stored": bool(row["stored"])} for row in rows]

    def state(self) -> dict[str, Any]:
        """Return which sandbox this is, every grower with credentials or POSTs, and named users."""
        growers, users = self.stored.rows(_GROWERS), self.stored.rows(_NAMED_USERS)
        for grower in growers:
            for name in ("postsByFingerprint", "storedByFingerprint"):
                grower[name] = json.loads(grower[name])
        users = [user | {"posted": bool(user["posted"])} for user in users]
        return {"identity": self.identity, "growers": growers, "users": users}

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
        users, handle = self._users, self._credentials.handle
        user = f"{BASE}/users/{{user_id}}"
        credentials = f"{user}/{{path:{'|'.join(map(re.escape, self._credentials.by_path))}}}"
        application.add_routes(
            [
                web.post(LOGIN, self._auth.login),
                web.get(f"{BASE}/users", users.get_page),
                web.post(f"{BASE}/users", users.post),
                web.get(user, users.get),
                web.delete(user, users.delete),
                web.get(credentials, handle),
                web.post(credentials, handle),
                web.delete(credentials, handle),
                web.get(f"{credentials}/events", handle),
                web.route("*", f"{_ADMIN}{{name}}", self._administer),
            ]
        )
        return application

    async def _administer(self, request: web.Request) -> web.Response:
        match request.method, request.match_info["name"]:
            case "GET", "requests":
                since = request.query.get("since", "")
                return web.json_response(self.requests(int(since) if since.isdecimal() else 0))
            case "GET", "state":
                return web.json_response(self.state())
            case "POST", "reset":
                self.stored.reset()
                self.faults.restart()
                self._first_replies.clear()
                return web.json_response({"identity": self.identity})
        return web.Response(status=404, text="GET requests, GET state or POST reset\n")

    @web.middleware
    async def _as_leaf(self, request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
        """Handle a request in one transaction, and record it, before anything is replied."""
        if request.path.startswith(_ADMIN):
            return await handler(request)
        call = await self.faults.arrive(request)
        CURRENT_CALL.set(call)
        with self.stored.transaction():
            response = await self._reply(request, call, cast(Handler, handler))
            self._record(request, call, status_of(call, response))
        return await self.faults.deliver(request, call, response)

    async def _reply(self, request: web.Request, call: Call, handler: Handler) -> web.Response:
        is_post = request.method == "POST" and area_of(request) is Area.CREDENTIALS
        if is_post and call.posted:
            call.fingerprint = self.stored.fingerprint(call.posted)
        if call.fault is Fault.EXPIRED_LOGIN:
            self._auth.revoke(request)
        if response := self.faults.reply_instead(request, call):
            return response
        key = request.path, request.headers.get("Idempotency-Key", "")
        if first := self._first_replies.get(key):
            return web.Response(status=first[0], content_type=first[1], body=first[2])
        response = await self._auth.authenticate(request, handler)
        if request.method == "POST" and key[1] and self._behaviour.unknowns.idempotency_keys == "honoured":
            self._first_replies[key] = response.status, response.content_type, body_of(response)
        return self.faults.spoil(request, call, response)

    def _record(self, request: web.Request, call: Call, status: int | None) -> None:
        key = self._credentials.key_of(request)
        if request.method == "POST" and area_of(request) is Area.CREDENTIALS:
            self.stored.execute(_COUNT_POST, (*key, call.fingerprint, call.stored))
        seen = (call.at, call.monotonic, request.method, request.path)
        row = self.stored.execute(
            _ADD_REQUEST, (*seen, *key, call.fingerprint, status, call.fault, call.stored)
        )
        last_dropped = (row.lastrowid or 0) - self._behaviour.record_size
        self.stored.execute('DELETE FROM requests WHERE "index" <= ?', (last_dropped,))
