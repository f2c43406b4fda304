"""The meaning of Leaf's replies about single users: to a look-up by externalId or email, and to a POST. Pure.

Sources: Leaf's public API documentation and Postman collection (docs.withleaf.io, 2026). How the filters
compare, how a second POST of the same user is answered, and how soon a new user is listed is not documented.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from bulk_onboard.domain.users import (
    CreateUserVerdict,
    LeafUser,
    LookUpVerdict,
    UserCreated,
    UserExists,
    UserKey,
    UsersPage,
    same_email,
)
from bulk_onboard.leaf.replies import Reply, common, is_page, may_exist, parsed, refusal
from bulk_onboard.leaf.user_pages import total_of
from bulk_onboard.model import Ambiguous, Payload

_UNREADABLE = Ambiguous("unreadable-reply", "not a list of users")
_NOTHING = Payload({})


def after_look_up(reply: Reply) -> LookUpVerdict:
    """Return the verdict on a GET of users by a filter. Only a list proves anything."""
    if reply.status == 204:
        return Ambiguous("unreadable-reply", "an empty answer to a lookup of users")
    if reply.status != 200:
        if reply.status in {404, 410}:
            return Ambiguous("server-error", f"HTTP {reply.status} to a lookup of users")
        return common(reply, _NOTHING)
    data = parsed(reply)
    listed = data.get("content") if isinstance(data, dict) else data
    if not isinstance(listed, list):
        return _UNREADABLE
    users = [user for each in listed if (user := _seen(each))]
    return UsersPage(tuple(users), total_of(reply, data)) if len(users) == len(listed) else _UNREADABLE


def after_create_user(reply: Reply, fields: Mapping[str, str]) -> CreateUserVerdict:
    """Return the verdict on a POST of a user with these ``fields``, which no message repeats."""
    sent = Payload(fields)
    if 200 <= reply.status < 300:
        user = _seen(parsed(reply))
        is_ours = user and (not user.email or same_email(user.email, fields.get(UserKey.EMAIL, "")))
        if user is None or not is_ours:
            return Ambiguous("unreadable-reply", f"HTTP {reply.status} without the user that was posted")
        return UserCreated(user.leaf_user_id)
    if reply.status == 404 and is_page(reply):
        return Ambiguous("server-error", "HTTP 404 with a page that is not Leaf's")
    if may_exist(reply):
        code, message = refusal(reply, sent)
        return UserExists(code, message)
    return common(reply, sent)


def _seen(data: Any) -> LeafUser | None:
    """Return the user that a reply shows, None if it is not a user."""
    if not isinstance(data, dict) or not isinstance(data.get("id"), str):
        return None
    try:
        leaf_user_id = str(UUID(data["id"]))
    except ValueError:
        return None
    return LeafUser(leaf_user_id, *(_text(data.get(by.value)) for by in UserKey))


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
