"""The calls for Leaf users."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from aiohttp import web

from bulk_onboard.sandbox.calls import CURRENT_CALL, user_id_of
from bulk_onboard.sandbox.state import State, User
from bulk_onboard.sandbox.views import Views

_LARGEST_PAGE = 100
_FILTERS = {"email": "email", "name": "name", "externalId": "external_id"}
_SORTED_BY = {**_FILTERS, "id": "id"}
_MATCHES = {
    "exact": "{0} = :{0} COLLATE NOCASE AND {0} = :{0}",  # the index ignores case
    "caseless": "casefold({0}) = casefold(:{0})",
    "part": "instr(casefold({0}), casefold(:{0})) > 0",
    "ignored": "true",
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
    _pages_read: int = 0

    def exists(self, user_id: str) -> bool:
        """Whether there is a user of that id; any UUID is one if this Leaf is like that."""
        if self.views.unknowns.users == "any" and _is_uuid(user_id):
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
        size = min(size, _LARGEST_PAGE, self.views.unknowns.page_size)
        start = page * size + self._drift(page)
        first = max(0, start)
        total, users = self._select(request, order, first, max(0, start + size - first))
        lies = self._lies(total)
        shown = [self._shown(user, is_listed=True) for user in users]
        shown = [self.views.opposite(s) if n in lies else s for n, s in enumerate(shown, first)]
        return web.json_response(shown, headers=self._headers(request, page, size, total))

    def _order(self, sort: str) -> str | None:
        """Return the order of a list; None if it is refused."""
        if not sort or self.views.unknowns.user_sort == "ignored":
            return "rowid"
        name, _, direction = sort.partition(",")
        if self.views.unknowns.user_sort == "refused" or name not in _SORTED_BY:
            return None
        direction = "DESC" if direction.lower() == "desc" else "ASC"
        return f"{_SORTED_BY[name]} {direction}, rowid {direction}"

    def _select(self, request: web.Request, order: str, start: int, count: int) -> tuple[int, list[User]]:
        """Return how many users match the filters of a request, and those of one page."""
        unknowns = self.views.unknowns
        values = {column: request.query[name] for name, column in _FILTERS.items() if name in request.query}
        conditions = [_MATCHES[unknowns.user_filter].format(column) for column in values]
        if unknowns.user_lag:
            conditions.append("created <= :latest")
        query = f"FROM users WHERE {' AND '.join(conditions) or 'true'}"
        named = values | {"latest": self.views.now() - unknowns.user_lag, "start": start, "count": count}
        ((total,),) = self.state.execute(f"SELECT count(*) {query}", named)
        page = f"SELECT * {query} ORDER BY {order} LIMIT :count OFFSET :start"
        return total, [User(*row) for row in self.state.execute(page, named)]

    def _drift(self, page: int) -> int:
        """Return by how many users the list has moved to the front since its first page was read."""
        self._pages_read = 0 if page == 0 else self._pages_read + 1
        return _DRIFT[self.views.unknowns.list_drift] * self._pages_read

    def _lies(self, users: int) -> range:
        """Return the places at which the list shows the opposite of what is stored."""
        lies = min(self.views.unknowns.list_lies, users)
        return range(0, lies * (users // lies), users // lies) if lies else range(0)

    def _shown(self, user: User, *, is_listed: bool = False) -> dict[str, object]:
        return self.views.user(user, self.state.credentials_of(user.id), is_listed=is_listed)

    def _headers(self, request: web.Request, page: int, size: int, total: int) -> dict[str, str]:
        if self.views.unknowns.total_count == "hidden":
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
        if not self.exists(user_id):
            return self.views.no_such_user(request)
        return web.json_response(self._shown(self.state.user(user_id) or User(user_id)))

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
        user = User(str(uuid.uuid4()), **texts, external_id=external_id, created=self.views.now())
        row = self.state.execute(_SAME, {"0": external_id, "1": user.email}).fetchone()
        match self.views.unknowns.user_existing if row else "allow":
            case "refuse":
                title = "A user with this email or externalId already exists"
                return self.views.problem(request, 400, "userexists", title)
            case "conflict":
                return self.views.problem(request, 409)
            case "keep":
                user = User(*row)
            case _:
                self.state.put_user(user)
        return web.json_response(self._shown(user), status=int(self.views.unknowns.user_status))

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
