"""The calls for Leaf users."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from bulk_onboard.sandbox.calls import CURRENT_CALL, json_reply, user_id_of
from bulk_onboard.sandbox.settings import Unknowns
from bulk_onboard.sandbox.state import State, User
from bulk_onboard.sandbox.views import Views

_LARGEST_PAGE = 100
_FILTERS = {"email": "email", "name": "name", "externalId": "external_id"}
_SORTED_BY = {**_FILTERS, "id": "id"}
_MATCHES = {
    "exact": "{0} = :{0} COLLATE NOCASE AND {0} = :{0}",  # the index ignores case
    "caseless": "casefold({0}) = casefold(:{0})",
    "part": "instr(casefold({0}), casefold(:{0})) > 0",
}
_SAME = """
SELECT * FROM users WHERE (external_id = :0 COLLATE NOCASE AND external_id = :0 AND external_id != '')
    OR (email = :1 COLLATE NOCASE AND email != '')
ORDER BY rowid LIMIT 1
"""
_DRIFT = {"none": 0, "gone": 1, "come": -1}


@dataclass
class UserHandlers:
    """Lists, shows, creates and deletes users."""

    state: State
    views: Views
    unknowns: Unknowns
    now: Callable[[], float]
    _pages_read: int = 0
    # The list of all users, with the version of the users and the order that it is valid for.
    _kept: tuple[tuple[int, str], list[int]] = ((-1, ""), [])

    def exists(self, user_id: str) -> bool:
        """Whether there is a user of that id; any UUID is one if this Leaf is like that."""
        if self.unknowns.users == "any" and _is_uuid(user_id):
            return True
        return self.state.user(user_id) is not None

    async def get_page(self, request: web.Request) -> web.Response:
        """GET /users: one page; pages start at 0."""
        try:
            page, size = int(request.query.get("page", "0")), int(request.query.get("size", "20"))
        except ValueError:
            page = size = -1
        if page < 0 or size < 1:
            return self.views.problem(request, 400, "invalidpage", "page or size is not a valid number")
        order = self._order(request.query.get("sort", ""))
        if order is None:
            return self.views.problem(request, 400, "invalidsort", "The list cannot be sorted by this")
        listing = self._listing(request.query, order)
        size = min(size, _LARGEST_PAGE, self.unknowns.page_size)
        start = page * size + self._drift(page)
        places = range(max(0, start), min(max(0, start + size), len(listing)))
        lies = self._lies(len(listing))
        shown = [self._listed(listing[n], is_lie=n in lies) for n in places]
        return json_reply(200, shown, self._headers(request, page, size, len(listing)))

    def _order(self, sort: str) -> str | None:
        """Return the order of a list; None if it is refused."""
        if not sort or self.unknowns.user_sort == "ignored":
            return "rowid"
        name, _, direction = sort.partition(",")
        if self.unknowns.user_sort == "refused" or name not in _SORTED_BY:
            return None
        return f"{_SORTED_BY[name]} {'DESC' if direction.lower() == 'desc' else 'ASC'}"

    def _listing(self, query: Mapping[str, str], order: str) -> list[int]:
        """Return row numbers of users; a list of all is kept, as a page must not cost a walk through it."""
        match, lag = self.unknowns.user_filter, self.unknowns.user_lag
        columns = (
            {} if match == "ignored" else {c: query[name] for name, c in _FILTERS.items() if name in query}
        )
        key = (self.state.users_version, order)
        if not columns and not lag and self._kept[0] == key:
            return self._kept[1]
        conditions = " AND ".join(["created <= :latest", *(_MATCHES[match].format(c) for c in columns)])
        rows = self.state.execute(
            f"SELECT rowid FROM users WHERE {conditions} ORDER BY {order}, rowid",  # noqa: S608
            {**columns, "latest": self.now() - lag},
        )
        listing = [number for (number,) in rows]
        if not columns and not lag:
            self._kept = (key, listing)
        return listing

    def _drift(self, page: int) -> int:
        """Return by how many users the list has moved to the front since its first page was read."""
        self._pages_read = 0 if page == 0 else self._pages_read + 1
        return _DRIFT[self.unknowns.list_drift] * self._pages_read

    def _lies(self, users: int) -> range:
        """Return the places at which the list shows the opposite of what is stored."""
        lies = min(self.unknowns.list_lies, users)
        return range(0, lies * (users // lies), users // lies) if lies else range(0)

    def _listed(self, row_number: int, *, is_lie: bool) -> dict[str, object]:
        row = self.state.execute("SELECT * FROM users WHERE rowid = ?", (row_number,)).fetchone()
        shown = self._shown(User(*row), is_listed=True)
        return self.views.opposite(shown) if is_lie else shown

    def _shown(self, user: User, *, is_listed: bool = False) -> dict[str, object]:
        return self.views.user(user, self.state.credentials_of(user.id), self.now(), is_listed=is_listed)

    def _headers(self, request: web.Request, page: int, size: int, total: int) -> dict[str, str]:
        if self.unknowns.total_count == "hidden":
            return {}
        last = max(0, (total - 1) // size)
        pages = {"next": page + 1, "prev": page - 1, "last": last, "first": 0}
        links = (
            f'<{request.url.update_query(page=number, size=size)}>; rel="{name}"'
            for name, number in pages.items()
            if 0 <= number <= last
        )
        return {"X-Total-Count": str(total), "Link": ",".join(links)}

    async def get(self, request: web.Request) -> web.Response:
        """GET /users/{id}."""
        user_id = user_id_of(request)
        user = self.state.user(user_id)
        if user is None and self.exists(user_id):
            user = User(user_id)
        return json_reply(200, self._shown(user)) if user else self.views.no_such_user(request)

    async def post(self, request: web.Request) -> web.Response:
        """POST /users."""
        posted = CURRENT_CALL.get().posted
        if not isinstance(posted, dict) or not all(isinstance(v, str | None) for v in posted.values()):
            return self.views.problem(request, 400, "invalidbody", "The body is not a JSON object of texts")
        for name in ("name", "email"):
            if not posted.get(name):
                return self.views.problem(request, 400, "missingfield", f"{name} is missing")
        texts = {name: posted.get(name) or "" for name in ("name", "email", "phone", "address")}
        external_id = posted.get("externalId") or ""
        user = User(str(uuid.uuid4()), **texts, external_id=external_id, created=self.now())
        row = self.state.execute(_SAME, {"0": external_id, "1": user.email}).fetchone()
        first = User(*row) if row else None
        match self.unknowns.user_existing if first else "allow":
            case "refuse":
                title = "A user with this email or externalId already exists"
                return self.views.problem(request, 400, "userexists", title)
            case "conflict":
                return self.views.problem(request, 409)
            case "keep" if first:
                user = first
            case _:
                self.state.put_user(user)
        return json_reply(int(self.unknowns.user_status), self._shown(user))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /users/{id}: the user and its credentials."""
        if self.state.delete_user(user_id_of(request)):
            return web.Response(status=204)
        return self.views.no_such_user(request)


def _is_uuid(text: str) -> bool:
    try:
        return bool(uuid.UUID(text))
    except ValueError:
        return False
