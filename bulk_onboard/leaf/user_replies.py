"""The meaning of Leaf's replies about users: pages of the list, single users, look-ups and new users. Pure.

The list shows credentials as embedded objects with their secrets; these become fingerprints here.
Sources: Leaf's public API documentation and Postman collection (docs.withleaf.io, 2026). It does not say
which providers a list shows, whether the total comes with it, how the filters compare, how a second POST
of the same user is answered, and how soon a new user is listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from bulk_onboard.domain.model import Absent, Ambiguous, Exists, Payload, Refused, Verdict
from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.domain.users import (
    CreateUserVerdict,
    LeafUser,
    ListedCredential,
    ListedUser,
    LookUpVerdict,
    Page,
    PageVerdict,
    Prints,
    UserCreated,
    UserExists,
    UserKey,
    UsersPage,
    same_email,
)
from bulk_onboard.leaf.comparison import is_shown
from bulk_onboard.leaf.replies import (
    OF_A_GATEWAY,
    Reply,
    common,
    credential_id,
    is_page,
    may_exist,
    parsed,
    refusal,
)
from bulk_onboard.leaf.scrub import word

# JHipster states the total of all pages in a header, Spring's own page objects in the body.
_TOTAL_HEADER = "X-Total-Count"
_NOT_A_LIST = Ambiguous("unreadable-reply", "not a list of users")
_UNREADABLE_CREDENTIAL = ListedCredential("", "", ())
# Names of fields with values that must not be copied together with an id or a status.
_SECRET = re.compile(r"token|secret|key|password", re.IGNORECASE)
_DENIES = re.compile(r"not.?found|no such|does ?n.t exist|unknown user", re.IGNORECASE)
_NOTHING = Payload({})


# --- the list ---------------------------------------------------------------------------------------


def after_page(reply: Reply, providers: Sequence[Provider], prints: Prints) -> PageVerdict:
    """Return the verdict on a GET of users. Users without a readable id are left out."""
    if reply.status == 204:
        return Page((), _total(reply, None))
    if reply.status != 200:
        return OF_A_GATEWAY if reply.status == 404 and is_page(reply) else common(reply, _NOTHING)
    data = parsed(reply)
    listed = _listed(data)
    if listed is None:
        return _NOT_A_LIST
    users = tuple(user for item in listed if (user := _listed_user(item, providers, prints)))
    if listed and not users:
        return Ambiguous("unreadable-reply", "a list of something else than users")
    return Page(users, _total(reply, data))


def after_look_up(reply: Reply) -> LookUpVerdict:
    """Return the verdict on a GET of users by a filter. Only a list proves anything."""
    if reply.status == 204:
        return Ambiguous("unreadable-reply", "an empty answer to a lookup of users")
    if reply.status in {404, 410}:
        return Ambiguous("server-error", f"HTTP {reply.status} to a lookup of users")
    if reply.status != 200:
        return common(reply, _NOTHING)
    data = parsed(reply)
    listed = _listed(data)
    if listed is None:
        return _NOT_A_LIST
    users = [user for item in listed if (user := _user(item))]
    return UsersPage(tuple(users), _total(reply, data)) if len(users) == len(listed) else _NOT_A_LIST


def _listed(data: object) -> list[Any] | None:
    entries = data.get("content") if isinstance(data, dict) else data
    return entries if isinstance(entries, list) else None


def _total(reply: Reply, data: object) -> int | None:
    """The number of users on all pages; ``data``: the body's JSON. None: the reply does not say."""
    total: object = reply.headers.get(_TOTAL_HEADER)
    if total is None and isinstance(data, dict):
        total = data.get("totalElements")
    return int(str(total)) if re.fullmatch(r"[0-9]{1,12}", str(total)) else None


def _listed_user(data: object, providers: Sequence[Provider], prints: Prints) -> ListedUser | None:
    leaf_user_id = _id(data)
    if leaf_user_id is None or not isinstance(data, dict):
        return None
    shown = {
        provider.name: credential
        for provider in providers
        if (credential := _credential(data.get(provider.embedded), provider, prints))
    }
    return ListedUser(leaf_user_id, shown)


def _credential(data: object, provider: Provider, prints: Prints) -> ListedCredential | None:
    """The credentials that a list shows; None: there are none."""
    if data is None or data in ({}, []):
        return None
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict) or (name := credential_id(data)) is None:
        return _UNREADABLE_CREDENTIAL
    status = data.get("status")
    secrets = [v for key, v in data.items() if isinstance(v, str) and _SECRET.search(key)]
    return ListedCredential(
        id=word(name, secrets),
        status=word(status, secrets) if isinstance(status, str) else "",
        prints=tuple(_print(data.get(f.name), f, prints) for f in provider.fields),
    )


def _print(shown: object, field: Field, prints: Prints) -> int:
    return prints.of_field(field, shown) if is_shown(shown) else 0


# --- one user ---------------------------------------------------------------------------------------


def after_user(reply: Reply) -> Verdict:
    """Return the verdict on a GET of one user: Exists(None) or Absent."""
    if 200 <= reply.status < 300:
        data = parsed(reply)
        known = isinstance(data, dict) and data.get("id")
        return Exists(None) if known else Ambiguous("unreadable-reply", "not a user")
    if reply.status in {404, 410}:
        return OF_A_GATEWAY if is_page(reply) else Absent()
    verdict = common(reply, _NOTHING)
    if isinstance(verdict, Refused) and _DENIES.search(f"{verdict.code} {verdict.message}"):
        return Absent()
    return verdict


def after_create_user(reply: Reply, fields: Mapping[str, str]) -> CreateUserVerdict:
    """Return the verdict on a POST of a user with these ``fields``, which no message repeats."""
    sent = Payload(fields)
    if 200 <= reply.status < 300:
        user = _user(parsed(reply))
        is_ours = user and (not user.email or same_email(user.email, fields.get(UserKey.EMAIL, "")))
        if user is None or not is_ours:
            return Ambiguous("unreadable-reply", f"HTTP {reply.status} without the user that was posted")
        return UserCreated(user.leaf_user_id)
    if reply.status == 404 and is_page(reply):
        return OF_A_GATEWAY
    if may_exist(reply):
        code, message = refusal(reply, sent)
        return UserExists(code, message)
    return common(reply, sent)


def _user(data: object) -> LeafUser | None:
    """The user that a reply shows, None if it is not a user."""
    leaf_user_id = _id(data)
    if leaf_user_id is None or not isinstance(data, dict):
        return None
    return LeafUser(leaf_user_id, *(_text(data.get(by.value)) for by in UserKey))


def _id(data: object) -> str | None:
    if not isinstance(data, dict) or not isinstance(data.get("id"), str):
        return None
    try:
        return str(UUID(data["id"]))
    except ValueError:
        return None


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
