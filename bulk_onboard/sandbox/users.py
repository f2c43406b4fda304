"""The calls for Leaf users, and who counts as one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

from bulk_onboard.domain.providers import Provider
from bulk_onboard.sandbox.reply import Reply, bad_request, json_reply, not_found, problem
from bulk_onboard.sandbox.routes import is_uuid
from bulk_onboard.sandbox.shapes import Shapes
from bulk_onboard.sandbox.unknowns import Unknowns
from bulk_onboard.sandbox.world import User, World

_LARGEST_PAGE = 100
_FILTERS = {"email": "email", "name": "name", "externalId": "external_id"}


class UserCalls:
    """List, look up, create and delete users."""

    def __init__(
        self, world: World, unknowns: Unknowns, shapes: Shapes, providers: Iterable[Provider]
    ) -> None:
        self._world = world
        self._unknowns = unknowns
        self._shapes = shapes
        self._provider_names = tuple(provider.name for provider in providers)
        self._pages_read = 0

    def find(self, user_id: str) -> User | None:
        """The user of that id; where any UUID is a user, one without a name."""
        known = self._world.user(user_id)
        if known is None and self._unknowns.users == "any" and is_uuid(user_id):
            return User(user_id)
        return known

    def absent(self, path: str) -> Reply:
        """What Leaf says about a user who does not exist."""
        return (
            bad_request(path, "usernotfound", "Not found")
            if self._unknowns.user_absent == "400"
            else not_found(path)
        )

    def page(self, path: str, query: Mapping[str, str], now: float) -> Reply:
        """One page of users, from page 0."""
        try:
            page, size = int(query.get("page", "0")), int(query.get("size", "20"))
        except ValueError:
            page = size = -1
        if page < 0 or size < 1:
            return bad_request(path, "invalidpage", "page or size is not a valid number")
        users = self._listable(query, now)
        size = min(size, _LARGEST_PAGE, self._unknowns.page_size)
        start = page * size + self._drift(page)
        shown = range(max(0, start), min(max(0, start + size), len(users)))
        lies = self._lies(len(users))
        headers = {"X-Total-Count": str(len(users))} if self._unknowns.total_count == "shown" else {}
        return json_reply(200, [self._listed(users[n], now, lie=n in lies) for n in shown], headers)

    def _listable(self, query: Mapping[str, str], now: float) -> Sequence[User]:
        users, lag = self._world.users(), self._unknowns.user_lag
        if lag:
            users = [user for user in users if user.joined + lag <= now]
        if not any(name in query for name in _FILTERS) or self._unknowns.user_filter == "ignored":
            return users
        matches = _MATCHES[self._unknowns.user_filter]
        wanted = [(attribute, query[name]) for name, attribute in _FILTERS.items() if name in query]
        return [u for u in users if all(matches(getattr(u, name), text) for name, text in wanted)]

    def _drift(self, page: int) -> int:
        """By how many users the list has moved to the front since its first page was read."""
        if page == 0:
            self._pages_read = 0
        else:
            self._pages_read += 1
        return {"none": 0, "gone": 1, "come": -1}[self._unknowns.list_drift] * self._pages_read

    def _lies(self, users: int) -> range:
        """The places in the list at which it shows the opposite of what is stored."""
        lies = min(self._unknowns.list_lies, users)
        return range(0, lies * (users // lies), users // lies) if lies else range(0)

    def _listed(self, user: User, now: float, *, lie: bool) -> dict[str, object]:
        shown = self._shapes.user(user, self._world, now, listed=True)
        return self._shapes.opposite(shown) if lie else shown

    def get(self, path: str, user_id: str, now: float) -> Reply:
        """One user."""
        user = self.find(user_id)
        return (
            json_reply(200, self._shapes.user(user, self._world, now, listed=False))
            if user
            else self.absent(path)
        )

    def post(self, path: str, posted: object, now: float) -> Reply:
        """Create a user."""
        if not isinstance(posted, dict) or not all(isinstance(v, str | None) for v in posted.values()):
            return bad_request(path, "invalidbody", "The body is not a JSON object of texts")
        for name in ("name", "email"):
            if not posted.get(name):
                return bad_request(path, "missingfield", f"{name} is missing")
        texts = {name: posted.get(name) or "" for name in ("name", "email", "phone", "address")}
        user = User(str(uuid.uuid4()), **texts, external_id=posted.get("externalId") or "", joined=now)
        first = next((u for u in self._world.users() if _is_same(u, user)), None)
        match self._unknowns.user_existing if first else "allow":
            case "refuse":
                return bad_request(path, "userexists", "A user with this email or externalId already exists")
            case "conflict":
                return problem(409, path, "conflict", "Conflict")
            case "keep" if first:
                user = first
            case _:
                self._world.join(user)
        status = int(self._unknowns.user_status)
        return json_reply(status, self._shapes.user(user, self._world, now, listed=False))

    def delete(self, path: str, user_id: str) -> Reply:
        """Delete a user, credentials and all."""
        if self._world.user(user_id) is None:
            return self.absent(path)
        self._world.leave(user_id, self._provider_names)
        return Reply(204)


_MATCHES: Mapping[str, Callable[[str, str], bool]] = {
    "exact": lambda text, wanted: text == wanted,
    "caseless": lambda text, wanted: text.casefold() == wanted.casefold(),
    "part": lambda text, wanted: wanted.casefold() in text.casefold(),
}


def _is_same(one: User, other: User) -> bool:
    """Whether two users have an externalId or an email in common."""
    if one.external_id and one.external_id == other.external_id:
        return True
    return bool(one.email) and one.email.casefold() == other.email.casefold()
