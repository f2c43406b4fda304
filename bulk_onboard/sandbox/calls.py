"""A request becomes the reply of a Leaf in good health."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from bulk_onboard.domain.providers import Provider
from bulk_onboard.sandbox.behaviour import Behaviour
from bulk_onboard.sandbox.credentials import CredentialCalls, complaint, new_credentials
from bulk_onboard.sandbox.logins import Logins
from bulk_onboard.sandbox.reply import Reply, bad_request, json_reply, not_found, problem, unauthorised
from bulk_onboard.sandbox.routes import Target, ToCredentials, ToEvents, ToLogin, ToUser, ToUsers
from bulk_onboard.sandbox.shapes import Shapes
from bulk_onboard.sandbox.users import UserCalls
from bulk_onboard.sandbox.world import World

_REMEMBERED_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it arrived.

    ``target`` None: there is no such call. ``posted``: the body's JSON, None for anything else.
    """

    method: str
    path: str
    target: Target | None
    query: Mapping[str, str] = field(default_factory=dict)
    bearer: str = field(default="", repr=False)
    posted: object = field(default=None, repr=False)
    fingerprint: str = ""
    idempotency_key: str = ""


class Calls:
    """Leaf's documented calls over a world."""

    def __init__(
        self, world: World, behaviour: Behaviour, providers: Iterable[Provider], logins: Logins
    ) -> None:
        providers, unknowns = tuple(providers), behaviour.unknowns
        shapes = Shapes(providers, unknowns, behaviour.event_delay)
        self._logins = logins
        self._users = UserCalls(world, unknowns, shapes, providers)
        self._credentials = CredentialCalls(world, unknowns, shapes)
        self._replays = unknowns.idempotency_keys == "honoured"
        self._replies: OrderedDict[tuple[str, str], Reply] = OrderedDict()

    def answer(self, call: Call, now: float) -> Reply:
        """The reply; a repeated idempotency key gets the first one again, where Leaf has such keys."""
        if not (self._replays and call.method == "POST" and call.idempotency_key):
            return self._answer(call, now)
        key = (call.path, call.idempotency_key)
        if key in self._replies:
            return replace(self._replies[key], stored=False)
        self._replies[key] = self._answer(call, now)
        if len(self._replies) > _REMEMBERED_KEYS:
            self._replies.popitem(last=False)
        return self._replies[key]

    def forget(self) -> None:
        """Forget the first answers."""
        self._replies.clear()

    def _answer(self, call: Call, now: float) -> Reply:
        match call.target:
            case ToLogin():
                return self._login(call, now)
            case _ if not self._logins.accept(call.bearer, now):
                return unauthorised(call.path)
            case None:
                return not_found(call.path)
            case ToUsers():
                return self._on_users(call, now)
            case ToUser(user_id):
                return self._on_user(call, user_id, now)
            case ToCredentials(user_id, provider):
                return self._on_credentials(call, user_id, provider, now)
            case ToEvents(user_id, provider):
                return self._on_events(call, user_id, provider, now)
            case never:
                assert_never(never)

    def _login(self, call: Call, now: float) -> Reply:
        if call.method != "POST":
            return _no_such_method(call.path)
        data = call.posted
        username, password = (
            data.get(k) if isinstance(data, dict) else None for k in ("username", "password")
        )
        if not (isinstance(data, dict) and isinstance(username, str) and isinstance(password, str)):
            return bad_request(call.path, "invalidbody", "username and password are expected, as JSON")
        remember = str(data.get("rememberMe", "")).lower() == "true"
        token = self._logins.login(username, password, remember, now)
        return json_reply(200, {"id_token": token}) if token else unauthorised(call.path)

    def _on_users(self, call: Call, now: float) -> Reply:
        match call.method:
            case "GET":
                return self._users.page(call.path, call.query, now)
            case "POST":
                return self._users.post(call.path, call.posted, now)
            case _:
                return _no_such_method(call.path)

    def _on_user(self, call: Call, user_id: str, now: float) -> Reply:
        match call.method:
            case "GET":
                return self._users.get(call.path, user_id, now)
            case "DELETE":
                return self._users.delete(call.path, user_id)
            case _:
                return _no_such_method(call.path)

    def _on_events(self, call: Call, user_id: str, provider: Provider, now: float) -> Reply:
        if call.method != "GET":
            return _no_such_method(call.path)
        if self._users.find(user_id) is None:
            return self._users.absent(call.path)
        return self._credentials.events(call.path, (user_id, provider.name), now)

    def _on_credentials(self, call: Call, user_id: str, provider: Provider, now: float) -> Reply:
        if call.method == "POST":
            return self._post_credentials(call, user_id, provider, now)
        if self._users.find(user_id) is None:
            return self._users.absent(call.path)
        match call.method:
            case "GET":
                return self._credentials.get(call.path, (user_id, provider.name), provider, now)
            case "DELETE":
                return self._credentials.delete(call.path, (user_id, provider.name))
            case _:
                return _no_such_method(call.path)

    def _post_credentials(self, call: Call, user_id: str, provider: Provider, now: float) -> Reply:
        if not isinstance(call.posted, dict):
            return bad_request(call.path, "invalidbody", "The body is not a JSON object")
        if wrong := complaint(call.posted, provider):
            return bad_request(call.path, *wrong)
        if self._users.find(user_id) is None:
            return self._users.absent(call.path)
        new = new_credentials(call.posted, provider, call.fingerprint, now)
        if new is None:
            return bad_request(call.path, "credentialsrefused", "The credentials were refused")
        return self._credentials.post(call.path, (user_id, provider.name), provider, new)


def _no_such_method(path: str) -> Reply:
    return problem(405, path, "methodnotallowed", "Method Not Allowed")
