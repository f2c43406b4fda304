"""The four calls for credentials, the same for every provider."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.sandbox.reply import Reply, bad_request, json_reply, not_found, problem
from bulk_onboard.sandbox.shapes import TOKEN, Shapes
from bulk_onboard.sandbox.unknowns import Unknowns
from bulk_onboard.sandbox.world import Fate, Key, Stored, World

REFUSED = "refused-"
_FATES = {"expired-": Fate.EXPIRED, "silent-": Fate.SILENT}


class CredentialCalls:
    """GET, POST and DELETE of credentials, and GET of their events, for users who exist."""

    def __init__(self, world: World, unknowns: Unknowns, shapes: Shapes) -> None:
        self._world = world
        self._unknowns = unknowns
        self._shapes = shapes

    def get(self, path: str, key: Key, provider: Provider, now: float) -> Reply:
        """The stored credentials, or what Leaf says when there are none."""
        stored = self._world.credential(key)
        if stored is None or now < stored.created + self._unknowns.credential_lag:
            return self._none(path)
        return self._shown(200, stored, provider, now)

    def _shown(self, status: int, stored: Stored, provider: Provider, now: float) -> Reply:
        return json_reply(status, self._shapes.credentials(stored, provider, now))

    def _none(self, path: str) -> Reply:
        match self._unknowns.get_absent:
            case "404":
                return not_found(path)
            case "204":
                return Reply(204)
            case "empty":
                return Reply(200)
            case "null":
                return json_reply(200, None)
            case "object":
                return json_reply(200, {})
            case "list":
                return json_reply(200, [])

    def delete(self, path: str, key: Key) -> Reply:
        """Delete the credentials; their events go with them."""
        if self._world.drop(key) or self._unknowns.delete_absent == "204":
            return Reply(204)
        return not_found(path)

    def events(self, path: str, key: Key, now: float) -> Reply:
        """The provider log."""
        stored = self._world.credential(key)
        if stored is None and self._unknowns.events_absent == "404":
            return not_found(path)
        return json_reply(200, self._shapes.events(stored, now) if stored else [])

    def post(self, path: str, key: Key, provider: Provider, new: Stored) -> Reply:
        """Store credentials, unless the grower has some already and this Leaf refuses then."""
        old = self._world.credential(key)
        if self._is_used_up(key, provider, new):
            new = replace(new, fate=Fate.EXPIRED)
        if old is None:
            return self._stored(key, provider, new, new.created)
        return self._again(path, key, provider, old, new)

    def _is_used_up(self, key: Key, provider: Provider, new: Stored) -> bool:
        """Whether the refresh token was exchanged before: then the provider revokes all that came of it."""
        has_token = any(field.name == TOKEN for field in provider.grower_fields)
        tally = self._world.posts().get(key, {}).get(new.fingerprint)
        return self._unknowns.rotation != "never" and has_token and tally is not None and tally.stored > 0

    def _again(self, path: str, key: Key, provider: Provider, old: Stored, new: Stored) -> Reply:
        now, title = new.created, "Credentials already exist for this user"
        match self._unknowns.post_existing:
            case "refuse":
                return bad_request(path, "credentialsexist", title)
            case "vague":
                return bad_request(path, "badrequest", "Bad Request")
            case "conflict":
                return problem(409, path, "conflict", title)
            case "overwrite":
                return self._stored(key, provider, new, now)
            case "update":
                updated = Stored(old.id, old.created, new.fingerprint, new.fate, new.posted)
                return self._stored(key, provider, updated, now)
            case "keep":
                return self._shown(int(self._unknowns.post_status), old, provider, now)
            case never:
                assert_never(never)

    def _stored(self, key: Key, provider: Provider, stored: Stored, now: float) -> Reply:
        self._world.put(key, stored)
        shown = self._shapes.credentials(stored, provider, now, posted=True)
        return json_reply(int(self._unknowns.post_status), shown, stored=True)


def new_credentials(
    posted: Mapping[str, str], provider: Provider, fingerprint: str, now: float
) -> Stored | None:
    """What a valid body becomes, None if the grower's secret asks to be refused."""
    secrets = [posted[f.name] for f in provider.grower_fields if f.secret and f.name in posted]
    if any(secret.startswith(REFUSED) for secret in secrets):
        return None
    fates = (fate for prefix, fate in _FATES.items() if any(s.startswith(prefix) for s in secrets))
    return Stored(str(uuid.uuid4()), now, fingerprint, next(fates, Fate.GOOD), posted)


def complaint(posted: Mapping[str, object], provider: Provider) -> tuple[str, str] | None:
    """What is wrong with a body, as errorKey and title; None if nothing is. Never quotes a value."""
    if unknown := [name for name in posted if name not in {f.name for f in provider.fields}]:
        return "unknownfield", f"{len(unknown)} fields are not known here"
    for field in provider.fields:
        if wrong := _wrong(posted, field):
            return wrong
    return None


def _wrong(posted: Mapping[str, object], field: Field) -> tuple[str, str] | None:
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
