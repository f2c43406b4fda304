"""``/sandbox/…``: what the sandbox saw and what it holds. Never at fault, never recorded."""

from __future__ import annotations

import json

from aiohttp import web

from bulk_onboard.sandbox.app import App
from bulk_onboard.sandbox.store import Store
from bulk_onboard.sandbox.world import Key, User, World

PREFIX = "/sandbox/"


class Desk:
    """Tells the truth that a report can be held against."""

    def __init__(self, app: App, world: World, store: Store) -> None:
        self._app = app
        self._world = world
        self._store = store

    def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one question."""
        match request.method, request.path.removeprefix(PREFIX):
            case "GET", "requests":
                return _json(self.requests(_index(request.query.get("since", ""))))
            case "GET", "state":
                return _json(self.state())
            case "POST", "reset":
                self._app.reset()
                return _json({"identity": self._store.identity.name})
            case _:
                return web.Response(status=404, text="GET requests, GET state or POST reset\n")

    def requests(self, since: int = 0) -> list[dict[str, object]]:
        """The requests seen, from that index on."""
        return list(self._app.record.since(since))

    def state(self) -> dict[str, object]:
        """Every grower and provider with credentials or POSTs, named users, and whose sandbox this is."""
        return {
            "identity": self._store.identity.name,
            "growers": [self._grower(key) for key in self._world.keys()],  # noqa: SIM118  (no mapping)
            "users": [_user(user) for user in self._world.users() if user.email or user.external_id],
        }

    def _grower(self, key: Key) -> dict[str, object]:
        stored = self._world.credential(key)
        tallies = self._world.posts().get(key, {})
        return {
            "leafUserId": key[0],
            "provider": key[1],
            "credentialId": stored.id if stored else None,
            "fingerprint": stored.fingerprint if stored else None,
            "posts": sum(tally.seen for tally in tallies.values()),
            "postsStored": sum(tally.stored for tally in tallies.values()),
            "postsByFingerprint": {print_: tally.seen for print_, tally in tallies.items()},
            "storedByFingerprint": {print_: tally.stored for print_, tally in tallies.items()},
        }


def _user(user: User) -> dict[str, object]:
    shown = {"leafUserId": user.id, "externalId": user.external_id, "email": user.email, "name": user.name}
    return {**shown, "posted": user.joined > 0}


def _index(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _json(data: object) -> web.Response:
    return web.Response(text=json.dumps(data), content_type="application/json")
