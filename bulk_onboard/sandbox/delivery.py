"""A good reply and a fault become what goes over the wire. Decided here; `app` does it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate

from bulk_onboard.sandbox.faults import Kind
from bulk_onboard.sandbox.reply import Reply, problem, unauthorised
from bulk_onboard.sandbox.unknowns import Unknowns


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks without an answer."""


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer, ever."""


@dataclass(frozen=True, slots=True)
class Truncated:
    """The answer breaks off in its middle."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Slow:
    """The answer takes that many seconds."""

    reply: Reply
    seconds: float


Delivery = Reply | Cut | Hang | Truncated | Slow


def status(delivery: Delivery) -> int | None:
    """The status that goes out, None if none does."""
    match delivery:
        case Reply():
            return delivery.status
        case Truncated(reply) | Slow(reply):
            return reply.status
        case Cut() | Hang():
            return None


@dataclass(frozen=True, slots=True)
class Deliveries:
    """How each fault looks."""

    unknowns: Unknowns
    slow_for: float

    def throttled(self, path: str, now: float) -> Reply:
        """429 in the form that this Leaf has."""
        return self._429(path, Kind(f"throttle-{self.unknowns.throttle_form}"), now)

    def decide(self, fault: Kind, reply: Reply, path: str, now: float) -> Delivery:
        """What goes out. ``reply`` is the good one, and of no use where the fault comes before it."""
        match fault:
            case Kind.THROTTLE_SECONDS | Kind.THROTTLE_DATE | Kind.THROTTLE_BARE:
                return self._429(path, fault, now)
            case Kind.E500_BEFORE | Kind.E500_AFTER:
                return problem(500, path, "internalservererror", "Internal Server Error")
            case Kind.E502_BEFORE | Kind.E502_AFTER:
                return _gateway(502, "Bad Gateway")
            case Kind.E503_BEFORE | Kind.E503_AFTER:
                return Reply(503, content_type="text/plain")
            case Kind.E504_BEFORE | Kind.E504_AFTER:
                return _gateway(504, "Gateway Time-out")
            case Kind.CUT_BEFORE | Kind.CUT_AFTER:
                return Cut()
            case Kind.HANG_BEFORE | Kind.HANG_AFTER:
                return Hang()
            case Kind.EXPIRED_LOGIN:
                return unauthorised(path)
            case Kind.SLOW:
                return Slow(reply, self.slow_for)
            case _:
                return _garbled(fault, reply)

    def _429(self, path: str, form: Kind, now: float) -> Reply:
        return problem(429, path, "toomanyrequests", "Too Many Requests", self._retry_after(form, now))

    def _retry_after(self, form: Kind, now: float) -> Mapping[str, str]:
        wait = self.unknowns.throttle_seconds
        match form:
            case Kind.THROTTLE_SECONDS:
                return {"Retry-After": str(wait)}
            case Kind.THROTTLE_DATE:
                return {"Retry-After": formatdate(math.ceil(now + wait), usegmt=True)}
            case _:
                return {}


def _garbled(fault: Kind, reply: Reply) -> Delivery:
    """Replies that cannot be read. A 204 has no body to be garbled, so it becomes a 200."""
    reply = replace(reply, status=200) if reply.status == 204 else reply
    match fault:
        case Kind.TRUNCATED:
            return Truncated(reply)
        case Kind.HTML:
            return replace(_gateway(reply.status, "Welcome"), stored=reply.stored)
        case Kind.EMPTY:
            return replace(reply, body=b"")
        case Kind.WRONG_SHAPE:
            return replace(reply, body=_other_shape(reply.body))
        case _:
            raise AssertionError(fault)


def _gateway(code: int, title: str) -> Reply:
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Reply(code, page.encode(), "text/html")


def _other_shape(body: bytes) -> bytes:
    """JSON, but a list where an object belongs and the other way round."""
    return json.dumps({"unexpected": []} if body.startswith(b"[") else ["unexpected"]).encode()
