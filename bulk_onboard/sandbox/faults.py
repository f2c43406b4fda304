"""Middlewares that make requests go wrong, and Leaf's own rate limit."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable
from email.utils import formatdate

from aiohttp import web

from bulk_onboard.sandbox.auth import Auth
from bulk_onboard.sandbox.calls import CURRENT_CALL, Call, Handler, area_of, body_of, json_reply, posted_json
from bulk_onboard.sandbox.settings import Area, Behaviour, Clock, Fault, Faults
from bulk_onboard.sandbox.views import Views

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
        if area not in self._faults.calls or (self._faults.methods and method not in self._faults.methods):
            return None
        point = self._random.random()
        for fault, share in self._faults.shares.items():
            point -= share
            if point < 0:
                return fault
        return None


class Limit:
    """Leaf's own rate limit, over a sliding window. Times are monotonic seconds."""

    def __init__(self, requests: int, window: float) -> None:
        self._requests = requests
        self._window = window
        self._served: deque[float] = deque()

    def admit(self, now: float) -> bool:
        """Whether a request that arrives now is served."""
        if not self._requests:
            return True
        while self._served and now - self._served[0] >= self._window:
            self._served.popleft()
        if len(self._served) >= self._requests:
            return False
        self._served.append(now)
        return True


def status_of(call: Call, response: web.Response) -> int | None:
    """Return the status that goes out, None if no reply does."""
    return None if call.fault in _NO_REPLY else response.status


class FaultInjector:
    """Two middlewares: `deliver` around everything, `replace_reply` around the handlers.

    ``is_active`` False: no fault is drawn.
    """

    def __init__(
        self, behaviour: Behaviour, views: Views, auth: Auth, clock: Clock, now: Callable[[], float]
    ) -> None:
        self.is_active = True
        self._behaviour = behaviour
        self._unknowns = behaviour.unknowns
        self._views = views
        self._auth = auth
        self._clock = clock
        self._now = now
        self._limit = Limit(self._unknowns.rate_limit, self._unknowns.rate_window)
        self._closing = asyncio.Event()
        self.restart()

    def restart(self) -> None:
        """Draw the faults of the seed from the first one on."""
        self._chance = Chance(self._behaviour.faults, self._behaviour.seed)

    def close(self) -> None:
        """End every request that hangs or waits."""
        self._closing.set()

    async def deliver(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Draw the fault when the request arrives; delay, cut or keep back the reply."""
        fault = self._chance.draw(request.method, area_of(request)) if self.is_active else None
        monotonic = self._clock.monotonic()
        is_admitted = self._limit.admit(monotonic)
        call = Call(self._clock.now(), monotonic, fault if is_admitted else None, is_admitted)
        CURRENT_CALL.set(call)
        call.posted = await posted_json(request)
        if self._behaviour.latency:
            await self._wait(self._behaviour.latency)
        response = await handler(request)
        if skew := self._unknowns.clock_skew:
            response.headers["Date"] = formatdate(self._clock.now() + skew, usegmt=True)
        match call.fault:
            case Fault.SLOW:
                await self._wait(self._behaviour.faults.slow_for)
            case Fault.TRUNCATED:
                return await _break_off(request, response)
            case Fault.HANG_BEFORE | Fault.HANG_AFTER:
                while request.transport is not None and not self._closing.is_set():
                    await self._wait(_CHECK_EVERY)
        if call.fault in _NO_REPLY and request.transport is not None:
            request.transport.abort()
        return response

    async def replace_reply(self, request: web.Request, handler: Handler) -> web.Response:
        """Reply in place of the handler, or change its reply. Does not wait: it is part of a transaction."""
        call = CURRENT_CALL.get()
        fault = call.fault or ""
        if not call.is_admitted:
            return self._throttled(request, self._unknowns.throttle_form)
        if fault.startswith("throttle-"):
            return self._throttled(request, fault.removeprefix("throttle-"))
        if fault is Fault.EXPIRED_LOGIN:
            self._auth.revoke(request)
            return self._views.problem(request, 401)
        response = await handler(request) if call.fault is None or call.fault.is_handled else web.Response()
        if fault[:3] in ("502", "504"):
            return _html(int(fault[:3]), "Bad Gateway" if fault[:3] == "502" else "Gateway Time-out")
        if fault[:3] == "503":
            return web.Response(status=503)
        if fault[:3] == "500":
            return self._views.problem(request, 500)
        return _unreadable(response, call.fault)

    def _throttled(self, request: web.Request, form: str) -> web.Response:
        wait, headers = self._unknowns.throttle_seconds, {}
        match form:
            case "seconds":
                headers["Retry-After"] = str(wait)
            case "date":
                headers["Retry-After"] = formatdate(math.ceil(self._now() + wait), usegmt=True)
            case "plain":
                return web.Response(status=429, text="API rate limit exceeded\n")
        return self._views.problem(request, 429, headers=headers)

    async def _wait(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the server."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


def _unreadable(response: web.Response, fault: Fault | None) -> web.Response:
    """Return the reply as the fault leaves it. A 204 has no body to be unreadable: it becomes a 200."""
    status = 200 if response.status == 204 else response.status
    match fault:
        case Fault.HTML:
            return _html(status, "Welcome")
        case Fault.EMPTY:
            return web.Response(status=status)
        case Fault.TRUNCATED:
            response.set_status(status)
        case Fault.WRONG_SHAPE:
            is_list = body_of(response).startswith(b"[")
            return json_reply(status, {"unexpected": []} if is_list else ["unexpected"])
    return response


def _html(status: int, title: str) -> web.Response:
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return web.Response(body=page.encode(), status=status, content_type="text/html")


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
