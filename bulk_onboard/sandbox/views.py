"""The JSON objects of Leaf: credentials, events, users, problems."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from bulk_onboard.domain.providers import Provider
from bulk_onboard.sandbox.calls import BASE
from bulk_onboard.sandbox.settings import Behaviour, Unknowns
from bulk_onboard.sandbox.state import Credentials, Fate, User

MASK = "***"
# The field that providers with single-use tokens exchange.
TOKEN = "refreshToken"  # noqa: S105
_RETENTION = 30 * 86400.0
_PROBLEMS = {
    400: ("badrequest", "Bad Request"),
    401: ("unauthorized", "Unauthorized"),
    404: ("notfound", "Not Found"),
    405: ("methodnotallowed", "Method Not Allowed"),
    409: ("conflict", "Conflict"),
    429: ("toomanyrequests", "Too Many Requests"),
    500: ("internalservererror", "Internal Server Error"),
}
# Fields that Leaf does not show, by provider (Leaf's documentation, 2026).
_NEVER_SHOWN = {
    "sentera": "password",
    "valley": "password",
    "panorama": "password",
    "raven-slingshot": "sharedSecret",
}


def timestamp(moment: float) -> str:
    """Return e.g. ``2026-01-15T12:00:00.000000Z``."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def body_of(response: web.Response) -> bytes:
    """Return the body of a reply; b"" without one."""
    return response.body if isinstance(response.body, bytes) else b""


@dataclass(frozen=True)
class Views:
    """Shows objects as the unknowns have them.

    ``providers``: by name; ``now`` returns Leaf's own time, in seconds since 1970.
    """

    providers: Mapping[str, Provider]
    behaviour: Behaviour
    now: Callable[[], float]

    @property
    def unknowns(self) -> Unknowns:
        """The answers to open questions."""
        return self.behaviour.unknowns

    def problem(
        self,
        request: web.Request,
        status: int,
        key: str = "",
        title: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        """Return an error as a JHipster problem object; key and title default to those of the status."""
        if not key:
            key, title = _PROBLEMS[status]
        is_internal = self.unknowns.problem_path == "internal"
        data = {
            "type": "https://www.jhipster.tech/problem/problem-with-message",
            "title": title,
            "status": status,
            "path": f"/api{request.path.removeprefix(BASE)}" if is_internal else request.path,
            "message": f"error.{key}",
            "errorKey": key,
        }
        return web.json_response(
            data, status=status, headers=headers, content_type="application/problem+json"
        )

    def no_such_user(self, request: web.Request) -> web.Response:
        """Return the reply about a user that does not exist."""
        if self.unknowns.user_absent == "400":
            return self.problem(request, 400, "usernotfound", "Not found")
        return self.problem(request, 404)

    def credentials(
        self, stored: Credentials, provider: Provider, *, is_post: bool = False
    ) -> dict[str, object]:
        """Return a credentials object; it echoes what was posted, secrets included.

        ``is_post``: in the reply to the POST, when the refresh token may not have been exchanged yet.
        """
        shown: dict[str, object] = {"id": stored.id}
        if self.unknowns.status == "shown":
            # Leaf contacts the provider after it stored credentials; until then their status is OK.
            is_failed = stored.fate is Fate.EXPIRED and self.now() >= self._event_at(stored)
            shown["status"] = self.unknowns.failed_status if is_failed else "OK"
        if self.unknowns.timestamps == "shown":
            shown["createdTime"] = timestamp(stored.created)
        is_rotated = self.unknowns.rotation == "before" or (self.unknowns.rotation == "later" and not is_post)
        return shown | self._fields(stored, provider, is_rotated=is_rotated)

    def _fields(self, stored: Credentials, provider: Provider, *, is_rotated: bool) -> dict[str, object]:
        values: dict[str, object]
        if stored.posted is None:
            names = [field.name for field in provider.fields if field.required]
            values = dict.fromkeys([*names, "accessToken"], MASK)
        else:
            values = {"accessToken": f"at-{stored.id}", **stored.posted}
        if is_rotated and TOKEN in values:
            values[TOKEN] = f"renewed-{stored.id}"
        secret = {field.name for field in provider.fields if field.secret} | {"accessToken"}
        match self.unknowns.secrets:
            case "echoed":
                return values
            case "documented":
                return _documented(values, provider, stored)
            case "masked":
                return {name: MASK if name in secret else value for name, value in values.items()}
            case "omitted":
                return {name: value for name, value in values.items() if name not in secret}

    def _event_at(self, stored: Credentials) -> float:
        return stored.created + self.behaviour.event_delay

    def events(self, stored: Credentials) -> list[dict[str, object]]:
        """Return the provider log of the last 30 days: empty at first, then the provider's reply."""
        at = self._event_at(stored)
        if stored.fate is Fate.SILENT or not at <= self.now() < at + _RETENTION:
            return []
        is_good = stored.fate is Fate.GOOD
        if self.unknowns.events_order == "single":
            return [self._event(stored, at, is_good=is_good)]
        newest = self._event(stored, max(at, stored.created + 0.001), is_good=is_good)
        events = [newest, self._event(stored, stored.created, is_good=not is_good)]
        return events if self.unknowns.events_order == "newest-first" else events[::-1]

    def _event(self, stored: Credentials, at: float, *, is_good: bool) -> dict[str, object]:
        event: dict[str, object] = {
            "id": str(uuid.uuid5(uuid.UUID(stored.id), f"event {is_good}")),
            "createdDate": timestamp(at),
            "statusCode": 200 if is_good else 401,
            "headers": "{}",
            "body": "{}" if is_good else '{"error":"invalid_grant"}',
        }
        if self.unknowns.timestamps == "hidden":
            del event["createdDate"]
        return event

    def user(
        self, user: User, credentials: Mapping[str, Credentials], *, is_listed: bool
    ) -> dict[str, object]:
        """Return a user; ``credentials``, by provider, are embedded where this Leaf does that."""
        shown: dict[str, object] = {
            "id": user.id,
            "name": user.name,
            "email": user.email,
            "phone": user.phone,
            "address": user.address,
            "externalId": user.external_id or None,
        }
        if self.unknowns.embedded == "none" or (is_listed and self.unknowns.embedded == "single"):
            return shown
        for name, stored in credentials.items():
            if name in self.providers and name not in self.unknowns.not_embedded:
                shown[self.providers[name].embedded] = self.credentials(stored, self.providers[name])
        return shown

    def opposite(self, shown: Mapping[str, object]) -> dict[str, object]:
        """Return a user with invented credentials where it has none, and without those that it has."""
        invented = {
            provider.embedded: {"id": str(uuid.uuid5(uuid.UUID(str(shown["id"])), "lie")), "status": "OK"}
            for name, provider in self.providers.items()
            if provider.embedded not in shown and name not in self.unknowns.not_embedded
        }
        return {name: value for name, value in shown.items() if not isinstance(value, dict)} | invented


def _documented(values: Mapping[str, object], provider: Provider, stored: Credentials) -> dict[str, object]:
    shown = {name: value for name, value in values.items() if name != _NEVER_SHOWN.get(provider.name)}
    if provider.name == "agvance":
        shown["sessionId"] = f"session-{stored.id}"
    if TOKEN in shown:
        shown["tokenMetadata"] = {"scopes": ["read"]}
    return shown
