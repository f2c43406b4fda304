"""What Leaf's objects look like: credentials, events, users."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from bulk_onboard.domain.providers import Provider
from bulk_onboard.sandbox.unknowns import Unknowns
from bulk_onboard.sandbox.world import Fate, Stored, User, World

MASK = "***"
# The field that providers with single-use tokens exchange.
TOKEN = "refreshToken"  # noqa: S105
_RETENTION = 30 * 86400.0


def timestamp(moment: float) -> str:
    """E.g. ``2026-01-15T12:00:00.000000Z``."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Shapes:
    """Shows what is in the world, as the unknowns have it. ``now`` is Leaf's own time, seconds since 1970."""

    def __init__(self, providers: Iterable[Provider], unknowns: Unknowns, event_delay: float) -> None:
        self._embedded = [p for p in providers if p.name not in unknowns.not_embedded]
        self._unknowns = unknowns
        self._event_delay = event_delay

    def credentials(
        self, stored: Stored, provider: Provider, now: float, *, posted: bool = False
    ) -> dict[str, object]:
        """A credentials object: it echoes what was posted, secrets and all.

        ``posted``: it answers the POST, when the refresh token may not have been exchanged yet.
        """
        shown: dict[str, object] = {"id": stored.id, "status": self._status(stored, now)}
        if self._unknowns.timestamps == "shown":
            shown["createdTime"] = timestamp(stored.created)
        rotated = self._unknowns.rotation != "never" and not (posted and self._unknowns.rotation == "later")
        return shown | self._echo(stored, provider, rotated=rotated)

    def _echo(self, stored: Stored, provider: Provider, *, rotated: bool) -> dict[str, str]:
        known = stored.posted
        if known is None:
            known = {field.name: MASK for field in provider.fields if field.required}
        secret = {field.name for field in provider.fields if field.secret} | {"accessToken"}
        values = {"accessToken": MASK if stored.posted is None else f"at-{stored.id}"} | dict(known)
        if rotated and TOKEN in known:
            values[TOKEN] = f"renewed-{stored.id}"
        match self._unknowns.secrets:
            case "echoed":
                return values
            case "masked":
                return {name: MASK if name in secret else value for name, value in values.items()}
            case "omitted":
                return {name: value for name, value in values.items() if name not in secret}

    def _status(self, stored: Stored, now: float) -> str:
        """Leaf looks at credentials after it stored them; until then they count as good."""
        failed = stored.fate is Fate.EXPIRED and now >= stored.created + self._event_delay
        return "FAILED" if failed else "OK"

    def events(self, stored: Stored, now: float) -> list[dict[str, object]]:
        """The provider log of the last 30 days: nothing at first, then what the provider said."""
        at = stored.created + self._event_delay
        if stored.fate is Fate.SILENT or not at <= now < at + _RETENTION:
            return []
        code, body = (401, '{"error":"invalid_grant"}') if stored.fate is Fate.EXPIRED else (200, "{}")
        event: dict[str, object] = {
            "id": str(uuid.uuid5(uuid.UUID(stored.id), "event")),
            "createdDate": timestamp(at),
            "statusCode": code,
            "headers": "{}",
            "body": body,
        }
        if self._unknowns.timestamps == "hidden":
            del event["createdDate"]
        return [event]

    def user(self, user: User, world: World, now: float, *, listed: bool) -> dict[str, object]:
        """A user, with credentials embedded where Leaf does that."""
        shown: dict[str, object] = {
            "id": user.id,
            "name": user.name,
            "email": user.email,
            "phone": user.phone,
            "address": user.address,
            "externalId": user.external_id or None,
        }
        if self._unknowns.embedded == "none" or (listed and self._unknowns.embedded == "single"):
            return shown
        for provider in self._embedded:
            if stored := world.credential((user.id, provider.name)):
                shown[provider.embedded] = self.credentials(stored, provider, now)
        return shown

    def opposite(self, shown: dict[str, object]) -> dict[str, object]:
        """A user with made-up credentials where there are none, and with none where there are some."""
        made_up = {
            provider.embedded: {"id": str(uuid.uuid5(uuid.UUID(str(shown["id"])), "lie")), "status": "OK"}
            for provider in self._embedded
            if provider.embedded not in shown
        }
        bare = {name: value for name, value in shown.items() if not isinstance(value, dict)}
        return bare | made_up
