"""From the wire to a call and back. Each request is drawn its fault when it arrives, before anything else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import assert_never

from aiohttp import web

from bulk_onboard.domain.providers import Provider
from bulk_onboard.sandbox.behaviour import Behaviour
from bulk_onboard.sandbox.calls import Call, Calls
from bulk_onboard.sandbox.delivery import Cut, Deliveries, Delivery, Hang, Slow, Truncated, status
from bulk_onboard.sandbox.faults import Chance, Kind
from bulk_onboard.sandbox.limit import Limit
from bulk_onboard.sandbox.logins import Logins
from bulk_onboard.sandbox.record import Record, Seen
from bulk_onboard.sandbox.reply import Reply
from bulk_onboard.sandbox.routes import Target, ToCredentials, ToEvents, ToUser, target
from bulk_onboard.sandbox.store import Store
from bulk_onboard.sandbox.world import World

# How often a hanging answer looks whether its client has left: a server is not told.
_GLANCE = 0.05


@dataclass(frozen=True, slots=True)
class Clock:
    """Times in seconds: since 1970, and for measuring distances."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a request came and what is to go wrong with it."""

    at: float
    monotonic: float
    fault: Kind | None
    admitted: bool


class App:
    """Answers requests with the calls, the faults and the limit of a behaviour, and keeps the record."""

    def __init__(
        self, world: World, store: Store, behaviour: Behaviour, providers: Sequence[Provider], clock: Clock
    ) -> None:
        self.record = Record(behaviour.record_size)
        self._world = world
        self._store = store
        self._behaviour = behaviour
        self._clock = clock
        self._by_path = {provider.path: provider for provider in providers}
        self._logins = Logins(behaviour.account, behaviour.token_lifetime)
        self._calls = Calls(world, behaviour, providers, self._logins)
        self._deliveries = Deliveries(behaviour.unknowns, behaviour.faults.slow_for)
        self._chance = Chance(behaviour.faults, behaviour.seed)
        self._limit = Limit(behaviour.unknowns.rate_limit)
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let go of every request that hangs or is slow."""
        self._closing.set()

    def reset(self) -> None:
        """Forget all but the logins, begin the faults anew, and be another sandbox."""
        self._world.clear()
        self._store.clear()
        self.record.clear()
        self._calls.forget()
        self._chance = Chance(self._behaviour.faults, self._behaviour.seed)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of Leaf's API."""
        where = target(request.path, self._by_path)
        arrival = self._arrive(request.method, where)
        call = self._call(request, where, await request.read())
        if self._behaviour.latency:
            await self._wait(self._behaviour.latency)
        delivery = self._settle(call, arrival)
        return await self._deliver(request, delivery)

    def _arrive(self, method: str, where: Target | None) -> Arrival:
        fault = self._chance.draw(method, where.area if where else None)
        monotonic = self._clock.monotonic()
        return Arrival(self._clock.now(), monotonic, fault, self._limit.admit(monotonic))

    def _call(self, request: web.BaseRequest, where: Target | None, body: bytes) -> Call:
        posted = _json(body) if body and request.content_type == "application/json" else None
        is_credentials = isinstance(where, ToCredentials)
        return Call(
            method=request.method,
            path=request.path,
            target=where,
            query=request.query,
            bearer=_bearer(request.headers),
            posted=posted,
            fingerprint=self._store.identity.fingerprint(posted) if posted and is_credentials else "",
            idempotency_key=request.headers.get("Idempotency-Key", ""),
        )

    def _settle(self, call: Call, arrival: Arrival) -> Delivery:
        """Do what is asked, put it down, commit, and only then have an answer."""
        now = self._clock.now() + self._behaviour.unknowns.clock_skew
        fault = arrival.fault if arrival.admitted else None
        reply = self._good_reply(call, arrival.admitted, fault, now)
        delivery = self._deliveries.decide(fault, reply, call.path, now) if fault else reply
        self._note(call, arrival, fault, status(delivery), reply.stored)
        self._store.save(self._world.changes())
        return delivery

    def _good_reply(self, call: Call, admitted: bool, fault: Kind | None, now: float) -> Reply:
        if not admitted:
            return self._deliveries.throttled(call.path, now)
        if fault is Kind.EXPIRED_LOGIN:
            self._logins.revoke(call.bearer)
        if fault and not fault.handled:
            return Reply(200)
        return self._calls.answer(call, now)

    def _note(self, call: Call, arrival: Arrival, fault: Kind | None, code: int | None, stored: bool) -> None:
        where = call.target
        user_id = where.user_id if isinstance(where, ToUser | ToCredentials | ToEvents) else ""
        provider = where.provider.name if isinstance(where, ToCredentials | ToEvents) else ""
        if isinstance(where, ToCredentials) and call.method == "POST":
            self._world.count((user_id, provider), call.fingerprint, stored)
        self.record.add(
            Seen(
                at=arrival.at,
                monotonic=arrival.monotonic,
                method=call.method,
                path=call.path,
                leaf_user_id=user_id,
                provider=provider,
                fingerprint=call.fingerprint,
                status=code,
                fault=fault,
                stored=stored,
            )
        )

    async def _deliver(self, request: web.BaseRequest, delivery: Delivery) -> web.StreamResponse:
        match delivery:
            case Reply():
                return self._response(delivery)
            case Slow(reply, seconds):
                await self._wait(seconds)
                return self._response(reply)
            case Truncated(reply):
                return await self._break_off(request, reply)
            case Hang():
                await self._hang(request)
                return _cut(request)
            case Cut():
                return _cut(request)
            case never:
                assert_never(never)

    def _response(self, reply: Reply) -> web.Response:
        headers = dict(reply.headers)
        if skew := self._behaviour.unknowns.clock_skew:
            headers["Date"] = formatdate(self._clock.now() + skew, usegmt=True)
        if not reply.body:
            return web.Response(status=reply.status, headers=headers)
        return web.Response(
            body=reply.body, status=reply.status, headers=headers, content_type=reply.content_type
        )

    async def _break_off(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status)
        response.content_type = reply.content_type
        response.content_length = len(reply.body) + 2
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2] or b"{")
        if request.transport is not None:
            request.transport.close()  # sends what was written, unlike abort()
        return response

    async def _hang(self, request: web.BaseRequest) -> None:
        while request.transport is not None and not self._closing.is_set():
            await self._wait(_GLANCE)

    async def _wait(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the server."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


def _cut(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # goes nowhere


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
