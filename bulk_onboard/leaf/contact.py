"""Logging in, and the first request of a run, which shows whether the server is Leaf and serves our login."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, TypeVar

from bulk_onboard.domain.model import (
    Ambiguous,
    Answer,
    Payload,
    Refused,
    Secret,
    Throttled,
    Transient,
    Unauthorised,
)
from bulk_onboard.domain.turns import Urgency
from bulk_onboard.errors import LoginRefused, StoppedForSafety
from bulk_onboard.leaf.http import API, Request
from bulk_onboard.leaf.replies import Reply, common, is_page, parsed
from bulk_onboard.settings import LeafSettings

LOGIN_ATTEMPTS = 6
# The longest time, in seconds, that a login waits because Leaf asks to come back later.
LOGIN_PATIENCE = 600.0
# How long, in seconds, the first request is tried again while there is no connection at all. The causes (a
# wrong address, an unknown name or certificate) do not go away by waiting, and people wait for the message.
CONTACT_PATIENCE = 3.0
CONTACT_ATTEMPTS = 3

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Misdirected:
    """The answer is not from Leaf: the base URL is wrong, or a proxy is in between.

    ``message``: the reason.
    """

    message: str


ContactVerdict = Misdirected | Throttled | Ambiguous | Transient | Unauthorised | None


class Send(Protocol):
    """Sends a request when its turn has come, with a token or without."""

    def __call__(
        self, request: Request[V], token: Secret | None, /
    ) -> Awaitable[Answer[V | Transient | Ambiguous | Refused]]:
        """Return the answer."""


class Contact:
    """Logs in and asks whether Leaf answers. ``on_trouble`` gets a message for each attempt that failed."""

    def __init__(self, settings: LeafSettings, send: Send, on_trouble: Callable[[str], None]) -> None:
        self._settings, self._send, self._on_trouble = settings, send, on_trouble

    @property
    def silence(self) -> str:
        """The message while Leaf does not answer."""
        return f"Leaf does not answer at {self._settings.base_url}"

    def probe(self) -> Request[ContactVerdict]:
        """Return the smallest request that needs a login."""
        return Request("GET", f"{API}/users?page=0&size=1", after_contact, urgency=Urgency.COMPLETE)

    async def serves(self, token: Secret) -> bool | None:
        """Return whether Leaf serves a small request with this token; None if that is not clear."""
        verdict = (await self._send(self.probe(), token)).verdict
        if isinstance(verdict, Unauthorised):
            return False
        return True if verdict is None or isinstance(verdict, Throttled) else None

    async def first_request(
        self, call: Callable[[Request[ContactVerdict]], Awaitable[Answer[ContactVerdict | Refused]]]
    ) -> None:
        """Send the probe by ``call`` until it is clear whether Leaf answers. Raises StoppedForSafety."""
        began, failures = perf_counter(), 0
        while True:
            verdict = (await call(self.probe())).verdict
            if isinstance(verdict, Misdirected):
                raise self._misdirected(verdict)
            if isinstance(verdict, Throttled | Ambiguous) and (verdict.after or 0.0) > LOGIN_PATIENCE:
                raise StoppedForSafety(
                    f"Leaf asks to wait for {verdict.after:.0f} s; run the same command again then"
                )
            if verdict is None or isinstance(verdict, Throttled | Refused | Unauthorised):
                return  # it is Leaf; a refused login has been raised already
            failures += 1
            self._on_trouble(f"{self.silence}: {verdict.message or verdict.code}")
            if isinstance(verdict, Ambiguous) and failures >= CONTACT_ATTEMPTS:
                return  # something answers; the rows will show whether it serves them
            pause = min(0.25 * 2.0**failures, 4.0)
            if isinstance(verdict, Transient) and perf_counter() + pause - began > CONTACT_PATIENCE:
                raise StoppedForSafety(
                    f"{self.silence}: {verdict.message or verdict.code}; check LEAF_BASE_URL,"
                    " the network and any proxy"
                )
            await asyncio.sleep(pause)

    async def log_in(self) -> Secret:
        """Return a new token for the user name and password. A login may safely be repeated, so it is.

        Raises LoginRefused or StoppedForSafety.
        """
        login = self._settings.login
        if not (login.username and login.password):
            raise LoginRefused("no login is configured: set LEAF_TOKEN, or LEAF_USERNAME and LEAF_PASSWORD")
        body = {"username": login.username, "password": login.password.reveal(), "rememberMe": "true"}
        request = Request("POST", "/api/authenticate", after_login, body=body, urgency=Urgency.COMPLETE)
        began, failures, throttles = perf_counter(), 0, 0
        while True:
            verdict = (await self._send(request, None)).verdict
            match verdict:
                case Secret():
                    return verdict
                case Misdirected():
                    raise self._misdirected(verdict)
                case Refused():
                    raise LoginRefused(
                        f"Leaf refused the login of {login.username} ({verdict.message}):"
                        " check LEAF_USERNAME and LEAF_PASSWORD"
                    )
                case Throttled(after):
                    throttles += 1
                    why = "Leaf asks to log in later (HTTP 429)"
                    pause = 0.0 if after else min(0.5 * 2.0**throttles, 30.0)
                    give_up = perf_counter() + (after or pause) - began > LOGIN_PATIENCE
                case _:
                    failures += 1
                    why = f"Leaf does not answer the login: {verdict.message or verdict.code}"
                    pause, give_up = min(0.5 * 2.0**failures, 8.0), failures >= LOGIN_ATTEMPTS
                    if isinstance(verdict, Ambiguous) and verdict.after:
                        give_up = give_up or verdict.after > LOGIN_PATIENCE
            self._on_trouble(why)
            if give_up:
                raise StoppedForSafety(f"{why} (at {self._settings.base_url})")
            await asyncio.sleep(pause)  # the pace obeys a Retry-After

    def _misdirected(self, verdict: Misdirected) -> StoppedForSafety:
        return StoppedForSafety(
            f"{self._settings.base_url} does not answer like Leaf ({verdict.message}):"
            " check LEAF_BASE_URL, and any proxy or login page in between"
        )


# --- what the replies mean ----------------------------------------------------------------------------


def after_login(reply: Reply) -> Secret | Refused | Throttled | Ambiguous | Transient | Misdirected:
    """Return the verdict on a login: the token, or what came instead."""
    if reply.status < 300:
        token = _login_token(reply)
        page = ", but with a page" if is_page(reply) else ""
        return Secret(token) if token else Misdirected(f"HTTP {reply.status} without a token{page}")
    if reply.status < 400:
        return Misdirected(f"HTTP {reply.status}, a redirect")
    if reply.status == 404:
        return Misdirected("HTTP 404, there is no login")
    verdict = common(reply, Payload({}))
    # Not in Leaf's words: they may quote the password.
    if isinstance(verdict, Unauthorised | Refused):
        return Refused("login-refused", f"HTTP {reply.status}")
    return verdict


def after_contact(reply: Reply) -> ContactVerdict:
    """Return the verdict on the first request of a run. None: Leaf answered."""
    if 300 <= reply.status < 400:
        return Misdirected(f"HTTP {reply.status}, a redirect")
    if is_page(reply) and (reply.status < 300 or reply.status == 404):
        return Misdirected(f"HTTP {reply.status} with a page")
    if reply.status < 300:
        is_json = parsed(reply) is not None or not reply.body.strip()
        return None if is_json else Misdirected(f"HTTP {reply.status}, but not in JSON")
    verdict = common(reply, Payload({}))
    return None if isinstance(verdict, Refused) else verdict


def _login_token(reply: Reply) -> str | None:
    data = parsed(reply)
    token = data.get("id_token") if isinstance(data, dict) else None
    # Visible characters only: anything else must not become part of a header.
    return token if isinstance(token, str) and re.fullmatch(r"[!-~]+", token) else None
