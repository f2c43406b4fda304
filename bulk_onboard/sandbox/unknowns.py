"""What Leaf's documentation leaves open. Every answer it could have is a setting here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bulk_onboard.errors import UsageError


@dataclass(frozen=True, slots=True)
class Unknowns:
    """One possible Leaf.

    ``post_existing``     a POST where credentials are stored already. ``refuse``: 400 that says so;
                          ``vague``: 400 that does not; ``conflict``: 409; ``overwrite``: new ones in their
                          place; ``update``: new secrets under the old id; ``keep``: 2xx with the old ones
    ``post_status``       a POST that stored
    ``get_absent``        a GET where there are none: 404, 204, or 200 with nothing, null, {} or []
    ``delete_absent``     a DELETE where there are none
    ``events_absent``     a GET of events where there are no credentials: 404, or an empty ``list``
    ``user_absent``       anything for a user who does not exist
    ``user_existing``     a POST of a user whose externalId or email another one has. ``allow``: a second
                          user; ``refuse``: 400 that says so; ``conflict``: 409; ``keep``: 2xx with the first
    ``user_status``       a POST that created a user
    ``user_filter``       how lists of users are filtered: ``exact``; ``caseless``; by ``part`` of a text; or
                          it is ``ignored``
    ``user_lag``          seconds until a new user is listed
    ``users``             who exists: ``any`` UUID, or only who is ``listed``
    ``page_size``         most users on one page, whatever ``size`` asks for
    ``total_count``       whether lists carry ``X-Total-Count``
    ``list_lies``         for how many users, spread evenly, lists show the opposite of what is stored
    ``list_drift``        what happens to lists while they are read: with every page that was read, one user
                          at the front has ``gone``, or one more has ``come``
    ``embedded``          which replies on users show credentials: ``all``, on a ``single`` user, ``none``
    ``not_embedded``      names of providers that users never show
    ``credential_lag``    seconds until a GET shows new credentials
    ``rotation``          when the provider exchanges a refresh token for another, as single-use tokens are:
                          ``never``; ``before`` the POST is answered; ``later``: the first GET shows it. A
                          token that is posted again after it was exchanged ends the new credentials
    ``secrets``           whether replies show secrets
    ``timestamps``        whether replies show times
    ``rate_limit``        requests served in any sliding second, 0 for no limit
    ``throttle_form``     what Retry-After holds in a 429: seconds, a date, or there is none
    ``throttle_seconds``  how long that is
    ``idempotency_keys``  whether a repeated ``Idempotency-Key`` gets the first answer again
    ``clock_skew``        seconds by which Leaf's clock is ahead
    """

    post_existing: Literal["refuse", "vague", "conflict", "overwrite", "update", "keep"] = "refuse"
    post_status: Literal["201", "200"] = "201"
    get_absent: Literal["404", "204", "empty", "null", "object", "list"] = "404"
    delete_absent: Literal["404", "204"] = "404"
    events_absent: Literal["404", "list"] = "404"
    user_absent: Literal["404", "400"] = "404"
    user_existing: Literal["allow", "refuse", "conflict", "keep"] = "allow"
    user_status: Literal["201", "200"] = "201"
    user_filter: Literal["exact", "caseless", "part", "ignored"] = "exact"
    user_lag: float = 0.0
    users: Literal["any", "listed"] = "any"
    page_size: int = 100
    total_count: Literal["shown", "hidden"] = "shown"
    list_lies: int = 0
    list_drift: Literal["none", "gone", "come"] = "none"
    embedded: Literal["all", "single", "none"] = "all"
    not_embedded: tuple[str, ...] = ()
    credential_lag: float = 0.0
    rotation: Literal["never", "before", "later"] = "never"
    secrets: Literal["echoed", "masked", "omitted"] = "echoed"
    timestamps: Literal["shown", "hidden"] = "shown"
    rate_limit: int = 0
    throttle_form: Literal["seconds", "date", "bare"] = "seconds"
    throttle_seconds: int = 1
    idempotency_keys: Literal["ignored", "honoured"] = "ignored"
    clock_skew: float = 0.0


NAMES = tuple(field.name for field in fields(Unknowns))


def with_answers(unknowns: Unknowns, answers: Mapping[str, object]) -> Unknowns:
    """The same with other answers by name, texts allowed. Raises UsageError that names what is possible."""
    named = {name.strip().lower().replace("-", "_"): value for name, value in answers.items()}
    changes: dict[str, Any] = {name: _answer(name, value) for name, value in named.items()}
    return replace(unknowns, **changes)


def _answer(name: str, value: object) -> object:
    if name not in NAMES:
        raise UsageError(f"{name!r} is not an unknown of the sandbox; choose from {', '.join(NAMES)}")
    kind = get_type_hints(Unknowns)[name]
    if get_origin(kind) is Literal:
        return _choice(name, str(value), get_args(kind))
    if get_origin(kind) is tuple:
        listed = value if isinstance(value, list | tuple) else str(value).split(",")
        return tuple(str(each).strip() for each in listed if str(each).strip())
    return _number(name, value, kind)


def _choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise UsageError(f"the sandbox's {name} cannot be {value!r}; it is one of {', '.join(choices)}")
    return value


def _number(name: str, value: object, kind: type[int] | type[float]) -> float:
    smallest = {"page_size": 1, "clock_skew": float("-inf")}.get(name, 0)
    try:
        number = kind(str(value))
    except ValueError:
        number = None
    if number is None or number < smallest:
        raise UsageError(f"the sandbox's {name} cannot be {value!r}; it is a number, at least {smallest}")
    return number
