"""Growers without a leafUserId, and what Leaf replies about its users. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from bulk_onboard.domain.model import Ambiguous, Refused, Throttled, Transient, Unauthorised


class UserKey(StrEnum):
    """What a user is looked up by, in this order: Leaf's names, which are also the names of the columns."""

    EXTERNAL_ID = "externalId"
    EMAIL = "email"


# The fields of a new user by Leaf's names; the columns have the same names.
USER_FIELDS = (UserKey.EXTERNAL_ID.value, UserKey.EMAIL.value, "name", "phone", "address")
# Leaf documents `POST /users` with these; only externalId is called optional, but phone and address of
# growers are often not known, so it is left to Leaf to insist on them.
REQUIRED_USER_FIELDS = ("name", UserKey.EMAIL.value)


class UserOrigin(StrEnum):
    """How a user became known; stored as these words."""

    CREATED = "created"
    FOUND = "found"


@dataclass(frozen=True, slots=True)
class UnresolvedGrower:
    """A grower without a leafUserId. ``rows``: the numbers of its rows.

    ``keys``: keyed fingerprints by which the ledger knows the user, that of the externalId first. ``cells``:
    the filled cells, by `USER_FIELDS`. ``open_intent``: a POST of an earlier run may have created the user.
    """

    rows: tuple[int, ...]
    keys: tuple[bytes, ...] = field(repr=False)
    cells: Mapping[str, str] = field(repr=False)
    open_intent: bool = False

    def value(self, key: UserKey) -> str:
        """Return the value to look for, "" for none."""
        return self.cells.get(key.value, "")

    @property
    def lookups(self) -> tuple[tuple[UserKey, str], ...]:
        """What the user is looked up by, in this order.

        Leaf's filter may be case-sensitive: an email is also looked up in lower case, as most are written.
        """
        email = self.value(UserKey.EMAIL)
        lookups = [(UserKey.EXTERNAL_ID, self.value(UserKey.EXTERNAL_ID)), (UserKey.EMAIL, email)]
        if email != email.lower():
            lookups.append((UserKey.EMAIL, email.lower()))
        return tuple(lookup for lookup in lookups if lookup[1])

    @property
    def missing(self) -> str:
        """The first field without which no user can be created; "" if nothing is missing."""
        return next((name for name in REQUIRED_USER_FIELDS if not self.cells.get(name)), "")


class LeafUser(NamedTuple):
    """A user as Leaf shows it; "" for what it does not show."""

    leaf_user_id: str
    external_id: str
    email: str


@dataclass(frozen=True, slots=True)
class UsersPage:
    """A page of users that match a look-up. ``total``: how many are on all pages, None if not shown."""

    users: tuple[LeafUser, ...]
    total: int | None = None

    def __repr__(self) -> str:
        return f"UsersPage({len(self.users)} users)"


@dataclass(frozen=True, slots=True)
class UserCreated:
    """The reply to a POST shows the new user."""

    leaf_user_id: str


@dataclass(frozen=True, slots=True)
class UserExists:
    """Leaf refused a POST because it has such a user."""

    code: str
    message: str = ""


class UserRecord(NamedTuple):
    """What the ledger stores about a user, once for each key.

    ``leaf_user_id`` "" and ``intended_at`` a time: a POST was about to be sent, and its outcome is not
    known. Both "": the user does not exist.
    """

    keys: tuple[bytes, ...]
    leaf_user_id: str = ""
    origin: str = ""
    intended_at: str = ""


LookUpVerdict = UsersPage | Refused | Throttled | Transient | Ambiguous | Unauthorised
CreateUserVerdict = UserCreated | UserExists | Refused | Throttled | Transient | Ambiguous | Unauthorised


def same_email(one: str, other: str) -> bool:
    """Return whether two emails are the same, regardless of letter case."""
    return one.strip().casefold() == other.strip().casefold()
