"""The four calls for credentials, the same for every provider."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.sandbox.calls import CURRENT_CALL, user_id_of
from bulk_onboard.sandbox.state import Credentials, Fate, Key, State
from bulk_onboard.sandbox.users import UserHandlers
from bulk_onboard.sandbox.views import TOKEN, Views

_REFUSED = "refused-"
_FATES = {"expired-": Fate.EXPIRED, "silent-": Fate.SILENT}
_STORED_BEFORE = """
SELECT 1 FROM posts WHERE leaf_user_id = ? AND provider = ? AND fingerprint = ? AND stored > 0
"""
_ABSENT: dict[str, object] = {"null": None, "object": {}, "list": []}


@dataclass(frozen=True)
class CredentialHandlers:
    """GET, POST and DELETE of credentials, and GET of their events; ``by_path``: the providers."""

    state: State
    views: Views
    users: UserHandlers
    by_path: Mapping[str, Provider]

    def key_of(self, request: web.Request) -> Key:
        """Return the leafUserId and the provider in the path, each "" without one."""
        provider = self.by_path.get(request.match_info.get("path", ""))
        return user_id_of(request), provider.name if provider else ""

    async def handle(self, request: web.Request) -> web.Response:
        """GET, POST or DELETE …/{path}, or GET …/{path}/events, of a user that exists."""
        key = self.key_of(request)
        if not self.users.exists(key[0]):
            return self.views.no_such_user(request)
        if request.path.endswith("/events"):
            return self._events(request, key)
        match request.method:
            case "POST":
                return self._post(request, key, self.views.providers[key[1]])
            case "DELETE":
                is_deleted = self.state.delete_credentials(key)
                if is_deleted or self.views.unknowns.delete_absent == "204":
                    return web.Response(status=204)
                return self.views.problem(request, 404)
            case _:
                return self._get(request, key)

    def _get(self, request: web.Request, key: Key) -> web.Response:
        stored, unknowns = self.state.credentials(key), self.views.unknowns
        if stored and self.views.now() >= stored.created + unknowns.credential_lag:
            return web.json_response(self.views.credentials(stored, self.views.providers[key[1]]))
        if unknowns.get_absent in _ABSENT:
            return web.json_response(_ABSENT[unknowns.get_absent])
        if unknowns.get_absent == "404":
            return self.views.problem(request, 404)
        return web.Response(status=204 if unknowns.get_absent == "204" else 200)

    def _events(self, request: web.Request, key: Key) -> web.Response:
        stored, unknowns = self.state.credentials(key), self.views.unknowns
        if key[1] in unknowns.no_events or (stored is None and unknowns.events_absent == "404"):
            return self.views.problem(request, 404)
        return web.json_response(self.views.events(stored) if stored else [])

    def _post(self, request: web.Request, key: Key, provider: Provider) -> web.Response:
        """Store credentials, unless they are wrong, or exist and this Leaf refuses then."""
        call = CURRENT_CALL.get()
        posted = call.posted
        if not isinstance(posted, dict):
            return self.views.problem(request, 400, "invalidbody", "The body is not a JSON object")
        if fault := _body_fault(posted, provider):
            return self.views.problem(request, 400, *fault)
        secrets = [posted[f.name] for f in provider.grower_fields if f.secret and f.name in posted]
        if any(secret.startswith(_REFUSED) for secret in secrets):
            return self.views.problem(request, 400, "credentialsrefused", "The credentials were refused")
        fate = next((f for prefix, f in _FATES.items() for s in secrets if s.startswith(prefix)), Fate.GOOD)
        if self._is_used_up(key, posted):
            fate = Fate.EXPIRED
        new = Credentials(str(uuid.uuid4()), self.views.now(), call.fingerprint, fate, posted)
        old = self.state.credentials(key)
        answer, title = self.views.unknowns.post_existing, "Credentials already exist for this user"
        match answer if old else "overwrite":
            case "refuse":
                return self.views.problem(request, 400, "credentialsexist", title)
            case "vague":
                return self.views.problem(request, 400)
            case "conflict":
                return self.views.problem(request, 409, "conflict", title)
            case "keep" if old:
                return self._stored(old, provider)
            case "update" if old:
                new = new._replace(id=old.id, created=old.created)
        self.state.put_credentials(key, new)
        call.stored = True
        return self._stored(new, provider, is_post=True)

    def _stored(self, stored: Credentials, provider: Provider, *, is_post: bool = False) -> web.Response:
        shown = self.views.credentials(stored, provider, is_post=is_post)
        return web.json_response(shown, status=int(self.views.unknowns.post_status))

    def _is_used_up(self, key: Key, posted: Mapping[str, object]) -> bool:
        """Whether the refresh token was exchanged before: the provider then revokes what came of it."""
        if self.views.unknowns.rotation == "never" or TOKEN not in posted:
            return False
        earlier = (*key, CURRENT_CALL.get().fingerprint)
        return self.state.execute(_STORED_BEFORE, earlier).fetchone() is not None


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
