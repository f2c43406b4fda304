"""The four calls for credentials, the same for every provider."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from aiohttp import web

from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.sandbox.calls import CURRENT_CALL, json_reply, user_id_of
from bulk_onboard.sandbox.settings import Unknowns
from bulk_onboard.sandbox.state import Credentials, Fate, Key, State
from bulk_onboard.sandbox.users import UserHandlers
from bulk_onboard.sandbox.views import TOKEN, Views

_REFUSED = "refused-"
_STORED_BEFORE = """
SELECT 1 FROM posts WHERE leaf_user_id = ? AND provider = ? AND fingerprint = ? AND stored > 0
"""
_ABSENT: dict[str, object] = {"null": None, "object": {}, "list": []}
_FATES = {"expired-": Fate.EXPIRED, "silent-": Fate.SILENT}


@dataclass(frozen=True)
class CredentialHandlers:
    """GET, POST and DELETE of credentials, and GET of their events; ``by_path``: the providers."""

    state: State
    views: Views
    unknowns: Unknowns
    users: UserHandlers
    by_path: Mapping[str, Provider]
    now: Callable[[], float]

    def key_of(self, request: web.Request) -> Key:
        """Return the leafUserId and the provider in the path, each "" without one."""
        provider = self.by_path.get(request.match_info.get("path", ""))
        return user_id_of(request), provider.name if provider else ""

    async def get(self, request: web.Request) -> web.Response:
        """GET …/{path}: the stored credentials, or what this Leaf says when there are none."""
        provider, key = self.by_path[request.match_info["path"]], self.key_of(request)
        if not self.users.exists(key[0]):
            return self.views.no_such_user(request)
        stored, now = self.state.credentials(key), self.now()
        if stored is None or now < stored.created + self.unknowns.credential_lag:
            return self._none(request)
        return json_reply(200, self.views.credentials(stored, provider, now))

    def _none(self, request: web.Request) -> web.Response:
        answer = self.unknowns.get_absent
        if answer in _ABSENT:
            return json_reply(200, _ABSENT[answer])
        if answer == "404":
            return self.views.problem(request, 404)
        return web.Response(status=204 if answer == "204" else 200)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE …/{path}: the credentials and their events."""
        key = self.key_of(request)
        if not self.users.exists(key[0]):
            return self.views.no_such_user(request)
        if self.state.delete_credentials(key) or self.unknowns.delete_absent == "204":
            return web.Response(status=204)
        return self.views.problem(request, 404)

    async def events(self, request: web.Request) -> web.Response:
        """GET …/{path}/events: the provider log."""
        key = self.key_of(request)
        if not self.users.exists(key[0]):
            return self.views.no_such_user(request)
        stored = self.state.credentials(key)
        if key[1] in self.unknowns.no_events or (stored is None and self.unknowns.events_absent == "404"):
            return self.views.problem(request, 404)
        return json_reply(200, self.views.events(stored, self.now()) if stored else [])

    async def post(self, request: web.Request) -> web.Response:
        """POST …/{path}: store credentials, unless they are wrong, or exist and this Leaf refuses then."""
        posted = CURRENT_CALL.get().posted
        provider = self.by_path[request.match_info["path"]]
        if not isinstance(posted, dict):
            return self.views.problem(request, 400, "invalidbody", "The body is not a JSON object")
        if fault := _body_fault(posted, provider):
            return self.views.problem(request, 400, *fault)
        key = self.key_of(request)
        if not self.users.exists(key[0]):
            return self.views.no_such_user(request)
        secrets = [posted[f.name] for f in provider.grower_fields if f.secret and f.name in posted]
        if any(secret.startswith(_REFUSED) for secret in secrets):
            return self.views.problem(request, 400, "credentialsrefused", "The credentials were refused")
        fate = Fate.EXPIRED if self._is_used_up(key, provider) else _fate(secrets)
        new = Credentials(str(uuid.uuid4()), self.now(), CURRENT_CALL.get().fingerprint, fate, posted)
        old = self.state.credentials(key)
        if old is None:
            return self._store(key, provider, new)
        return self._replace(request, key, provider, old, new)

    def _is_used_up(self, key: Key, provider: Provider) -> bool:
        """Whether the refresh token was exchanged before: the provider then revokes what came of it."""
        has_token = any(field.name == TOKEN for field in provider.grower_fields)
        if self.unknowns.rotation == "never" or not has_token:
            return False
        earlier = (*key, CURRENT_CALL.get().fingerprint)
        return self.state.execute(_STORED_BEFORE, earlier).fetchone() is not None

    def _replace(
        self, request: web.Request, key: Key, provider: Provider, old: Credentials, new: Credentials
    ) -> web.Response:
        title = "Credentials already exist for this user"
        match self.unknowns.post_existing:
            case "refuse":
                return self.views.problem(request, 400, "credentialsexist", title)
            case "vague":
                return self.views.problem(request, 400)
            case "conflict":
                return self.views.problem(request, 409, "conflict", title)
            case "overwrite":
                return self._store(key, provider, new)
            case "update":
                updated = new._replace(id=old.id, created=old.created)
                return self._store(key, provider, updated)
            case "keep":
                shown = self.views.credentials(old, provider, new.created)
                return json_reply(int(self.unknowns.post_status), shown)
            case never:
                assert_never(never)

    def _store(self, key: Key, provider: Provider, new: Credentials) -> web.Response:
        self.state.put_credentials(key, new)
        CURRENT_CALL.get().stored = True
        shown = self.views.credentials(new, provider, self.now(), is_post=True)
        return json_reply(int(self.unknowns.post_status), shown)


def _fate(secrets: list[str]) -> Fate:
    fates = (fate for prefix, fate in _FATES.items() if any(s.startswith(prefix) for s in secrets))
    return next(fates, Fate.GOOD)


def _body_fault(posted: Mapping[str, object], provider: Provider) -> tuple[str, str] | None:
    """Return what is wrong with a body, as errorKey and title, or None. Never quotes a value."""
    if unknown := [name for name in posted if name not in {f.name for f in provider.fields}]:
        return "unknownfield", f"{len(unknown)} fields are not known here"
    return next((fault for field in provider.fields if (fault := _field_fault(posted, field))), None)


def _field_fault(posted: Mapping[str, object], field: Field) -> tuple[str, str] | None:
    if field.name not in posted:
        return ("missingfield", f"{field.name} is missing") if field.required else None
    value = posted[field.name]
    if not isinstance(value, str):
        return "invalidfield", f"{field.name} is not a string"
    if not value.strip():
        return "missingfield", f"{field.name} is empty"
    if field.allowed and value not in field.allowed:
        return "invalidfield", f"{field.name} is not one of {', '.join(field.allowed)}"
    return None
