"""What the answers to a login, and to the first request of a run, mean. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bulk_onboard.leaf.replies import Reply, common, is_page, parsed
from bulk_onboard.model import Ambiguous, Payload, Refused, Secret, Throttled, Transient, Unauthorised


@dataclass(frozen=True, slots=True)
class Misdirected:
    """What answered is not Leaf, so the base URL is wrong or something is in between. ``message``: why."""

    message: str


def after_login(reply: Reply) -> Secret | Refused | Throttled | Ambiguous | Transient | Misdirected:
    """The verdict on a login: the token, or what came instead."""
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


def after_contact(reply: Reply) -> Misdirected | Throttled | Ambiguous | Transient | Unauthorised | None:
    """The verdict on the small request that a run begins with. None: it is Leaf that answered."""
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
    # Visible characters only: anything else does not go into a header.
    return token if isinstance(token, str) and re.fullmatch(r"[!-~]+", token) else None
