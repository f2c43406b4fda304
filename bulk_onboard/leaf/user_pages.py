"""What a page of Leaf users, or a single one, tells. Pure.

The list shows credentials as embedded objects, secrets and all: these become fingerprints here.
Sources: Leaf's public API documentation and Postman collection (docs.withleaf.io, 2026). Whether the total
comes with it, and which providers are shown, is not documented: all but the users themselves may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.domain.user_list import ListedCredential, ListedUser, Page, PageVerdict, Prints
from bulk_onboard.leaf.comparison import is_shown
from bulk_onboard.leaf.replies import Reply, common, is_page, parsed
from bulk_onboard.leaf.scrub import word
from bulk_onboard.model import Absent, Ambiguous, Exists, Payload, Refused, Verdict

# Spring's own page objects say it like this; JHipster's lists in a header.
_TOTAL_HEADER = "X-Total-Count"
_OF_A_GATEWAY = Ambiguous("server-error", "HTTP 404 with a page that is not Leaf's")
_UNREADABLE = ListedCredential("", "", ())
# Names of fields whose values must not come along with an id or a status.
_SECRET = re.compile(r"token|secret|key|password", re.IGNORECASE)
_DENIES = re.compile(r"not.?found|no such|does ?n.t exist|unknown user", re.IGNORECASE)


def after_page(reply: Reply, providers: Sequence[Provider], prints: Prints) -> PageVerdict:
    """The verdict on a GET of users. Users without a readable id are left out."""
    if reply.status == 204:
        return Page((), _number(reply.headers.get(_TOTAL_HEADER)))
    if reply.status != 200:
        return _OF_A_GATEWAY if reply.status == 404 and is_page(reply) else common(reply, Payload({}))
    data = parsed(reply)
    listed = data.get("content") if isinstance(data, dict) else data
    if not isinstance(listed, list):
        return Ambiguous("unreadable-reply", "not a list of users")
    users = tuple(user for each in listed if (user := _user(each, providers, prints)))
    if listed and not users:
        return Ambiguous("unreadable-reply", "a list of something else than users")
    return Page(users, total_of(reply, data))


def total_of(reply: Reply, data: object) -> int | None:
    """How many users there are on all pages; ``data``: the body's JSON. None: it is not told."""
    total = reply.headers.get(_TOTAL_HEADER)
    return _number(data.get("totalElements") if total is None and isinstance(data, dict) else total)


def after_user(reply: Reply) -> Verdict:
    """The verdict on a GET of one user: Exists(None) or Absent."""
    if 200 <= reply.status < 300:
        data = parsed(reply)
        known = isinstance(data, dict) and data.get("id")
        return Exists(None) if known else Ambiguous("unreadable-reply", "not a user")
    if reply.status in {404, 410}:
        return _OF_A_GATEWAY if is_page(reply) else Absent()
    verdict = common(reply, Payload({}))
    if isinstance(verdict, Refused) and _DENIES.search(f"{verdict.code} {verdict.message}"):
        return Absent()
    return verdict


def _user(data: object, providers: Sequence[Provider], prints: Prints) -> ListedUser | None:
    if not isinstance(data, dict) or not isinstance(data.get("id"), str):
        return None
    try:
        leaf_user_id = str(UUID(data["id"]))
    except ValueError:
        return None
    shown = {
        provider.name: credential
        for provider in providers
        if (credential := _credential(data.get(provider.embedded), provider, prints))
    }
    return ListedUser(leaf_user_id, shown)


def _credential(data: object, provider: Provider, prints: Prints) -> ListedCredential | None:
    """None: there are none."""
    if data is None or data in ({}, []):
        return None
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict) or isinstance(data.get("id"), bool):
        return _UNREADABLE
    if not isinstance(data.get("id"), str | int) or data["id"] == "":
        return _UNREADABLE
    status = data.get("status")
    secrets = [v for name, v in data.items() if isinstance(v, str) and _SECRET.search(name)]
    return ListedCredential(
        id=word(data["id"], secrets),
        status=word(status, secrets) if isinstance(status, str) else "",
        prints=tuple(_print(data.get(f.name), f, prints) for f in provider.fields),
    )


def _print(shown: object, field: Field, prints: Prints) -> int:
    return prints.of_field(field, shown) if is_shown(shown) else 0


def _number(text: object) -> int | None:
    return int(str(text)) if re.fullmatch(r"[0-9]{1,12}", str(text)) else None
