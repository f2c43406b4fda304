"""What makes requests go wrong, and Leaf's own rate limit."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from email.utils import formatdate

from aiohttp import web

from bulk_onboard.sandbox.calls import Call, area_of, posted_json
from bulk_onboard.sandbox.settings import Area, Clock, Fault, Faults
from bulk_onboard.sandbox.views import Views, body_of

# A server does not learn at once that its client has left: seconds between two checks.
_CHECK_EVERY = 0.05
_NO_REPLY = frozenset({Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.HANG_BEFORE, Fault.HANG_AFTER})


class Chance:
    """Draws faults: the same seed and the same number of requests give the same faults."""

    def __init__(self, faults: Faults, seed: int | None) -> None:
        self._faults = faults
        self._random = random.Random(seed)

    def draw(self, method: str, area: Area | None) -> Fault | None:
        """Return what goes wrong with the request that has just arrived, or None."""
        faults = self._faults
        if area not in faults.calls or (faults.methods and method not in faults.methods):
            return None
        weights = [*faults.shares.values(), max(0.0, 1 - faults.total)]
        return self._random.choices([*faults.shares, None], weights)[0]


class FaultInjector:
    """The life of a request around its handler: `arrive`, `reply_instead` or `spoil`, `deliver`.

    ``is_active`` False: no fault is drawn.
    """

    def __init__(self, views: Views, clock: Clock) -> None:
        self.is_active = True
        self._views = views
        self._clock = clock
        self._served: deque[float] = deque()
        self._closing = asyncio.Event()
        self.restart()

    def restart(self) -> None:
        """Draw the faults of the seed from the first one on."""
        self._chance = Chance(self._views.behaviour.faults, self._views.behaviour.seed)

    def close(self) -> None:
        """End every request that hangs or waits."""
        self._closing.set()

    async def arrive(self, request: web.Request) -> Call:
        """Draw the fault of a request that has just arrived, and read it."""
        fault = self._chance.draw(request.method, area_of(request)) if self.is_active else None
        at, monotonic = self._clock.now(), self._clock.monotonic()
        is_admitted = self._admit(monotonic)
        posted = await posted_json(request)
        if latency := self._views.behaviour.latency:
            await self._wait(latency)
        return Call(at, monotonic, fault if is_admitted else None, is_admitted, posted)

    def _admit(self, now: float) -> bool:
        """Whether Leaf's rate limit, over a sliding window, lets a request pass."""
        most, served = self._views.unknowns.rate_limit, self._served
        while served and now - served[0] >= self._views.unknowns.rate_window:
            served.popleft()
        if most and len(served) >= most:
            return False
        if most:
            served.append(now)
        return True

    def reply_instead(self, request: web.Request, call: Call) -> web.Response | None:
        """Return the reply to a request that is not handled; None if it is."""
        fault = call.fault or ""
        if not call.is_admitted:
            return self._throttled(request, self._views.unknowns.throttle_form)
        if fault.startswith("throttle-"):
            return self._throttled(request, fault.removeprefix("throttle-"))
        if fault is Fault.EXPIRED_LOGIN:
            return self._views.problem(request, 401)
        return self.spoil(request, call, web.Response()) if fault.endswith("-before") else None

    def _throttled(self, request: web.Request, form: str) -> web.Response:
        wait, headers = self._views.unknowns.throttle_seconds, {}
        match form:
            case "seconds":
                headers["Retry-After"] = str(wait)
            case "date":
                headers["Retry-After"] = formatdate(math.ceil(self._views.now() + wait), usegmt=True)
            case "plain":
                return web.Response(status=429, text="API rate limit exceeded\n")
        return self._views.problem(request, 429, headers=headers)

    def spoil(self, request: web.Request, call: Call, response: web.Response) -> web.Response:
        """Return the reply as the fault leaves it. An unreadable reply has a body: its 204 becomes a 200."""
        status = 200 if response.status == 204 else response.status
        match call.fault:
            case Fault.E500_BEFORE | Fault.E500_AFTER:
                return self._views.problem(request, 500)
            case Fault.E502_BEFORE | Fault.E502_AFTER:
                return _html(502, "Bad Gateway")
            case Fault.E503_BEFORE | Fault.E503_AFTER:
                return web.Response(status=503)
            case Fault.E504_BEFORE | Fault.E504_AFTER:
                return _html(504, "Gateway Time-out")
            case Fault.HTML:
                return _html(status, "Welcome")
            case Fault.EMPTY:
                return web.Response(status=status)
            case Fault.WRONG_SHAPE:
                is_list = body_of(response).startswith(b"[")
                return web.json_response({"unexpected": []} if is_list else ["unexpected"], status=status)
            case Fault.TRUNCATED:
                response.set_status(status)
        return response

    async def deliver(self, request: web.Request, call: Call, response: web.Response) -> web.StreamResponse:
        """Send a reply; late, in part or not at all if that is the fault."""
        if self._views.unknowns.clock_skew:
            response.headers["Date"] = formatdate(self._views.now(), usegmt=True)
        match call.fault:
            case Fault.SLOW:
                await self._wait(self._views.behaviour.faults.slow_for)
            case Fault.TRUNCATED:
                return await _break_off(request, response)
            case Fault.HANG_BEFORE | Fault.HANG_AFTER:
                while request.transport is not None and not self._closing.is_set():
                    await self._wait(_CHECK_EVERY)
        if call.fault in _NO_REPLY and request.transport is not None:
            request.transport.abort()
        return response

    async def _wait(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the server."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


def status_of(call: Call, response: web.Response) -> int | None:
    """Return the status that goes out, None if no reply does."""
    return None if call.fault in _NO_REPLY else response.status


def _html(status: int, title: str) -> web.Response:
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return web.Response(text=page, status=status, content_type="text/html")


async def _break_off(request: web.Request, reply: web.Response) -> web.StreamResponse:
    """Send half of a reply and close the connection."""
    body = body_of(reply)
    response = web.StreamResponse(status=reply.status)
    response.content_type = reply.content_type
    response.content_length = len(body) + 2
    await response.prepare(request)
    await response.write(body[: len(body) // 2] or b"{")
    if request.transport is not None:
        request.transport.close()  # sends what was written, unlike abort()
    return response
