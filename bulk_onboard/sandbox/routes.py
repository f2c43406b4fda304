"""What a path asks for."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from bulk_onboard.domain.providers import Provider
from bulk_onboard.sandbox.faults import Area

LOGIN = "/api/authenticate"
BASE = "/services/usermanagement/api"


@dataclass(frozen=True, slots=True)
class ToLogin:
    """``/api/authenticate``"""

    area = Area.LOGIN


@dataclass(frozen=True, slots=True)
class ToUsers:
    """``/users``"""

    area = Area.USERS


@dataclass(frozen=True, slots=True)
class ToUser:
    """``/users/{id}``"""

    user_id: str
    area = Area.USERS


@dataclass(frozen=True, slots=True)
class ToCredentials:
    """``/users/{id}/{path}``"""

    user_id: str
    provider: Provider
    area = Area.CREDENTIALS


@dataclass(frozen=True, slots=True)
class ToEvents:
    """``/users/{id}/{path}/events``"""

    user_id: str
    provider: Provider
    area = Area.EVENTS


Target = ToLogin | ToUsers | ToUser | ToCredentials | ToEvents


def target(path: str, by_path: Mapping[str, Provider]) -> Target | None:
    """What a path means, None if there is no such call. ``by_path``: providers by their segment of it."""
    if path == LOGIN:
        return ToLogin()
    if not path.startswith(f"{BASE}/users"):
        return None
    match path.removeprefix(BASE).strip("/").split("/"):
        case ["users"]:
            return ToUsers()
        case ["users", user_id]:
            return ToUser(_one_spelling(user_id))
        case ["users", user_id, segment] if segment in by_path:
            return ToCredentials(_one_spelling(user_id), by_path[segment])
        case ["users", user_id, segment, "events"] if segment in by_path:
            return ToEvents(_one_spelling(user_id), by_path[segment])
        case _:
            return None


def _one_spelling(user_id: str) -> str:
    """A UUID in lower case with its dashes, anything else as it is: nobody has such an id."""
    try:
        return str(uuid.UUID(user_id))
    except ValueError:
        return user_id


def is_uuid(user_id: str) -> bool:
    """Whether an id can be a user's at all."""
    try:
        uuid.UUID(user_id)
    except ValueError:
        return False
    return True
