"""Growers without a leafUserId, what Leaf replies about its users, and its list of users. Values only.

A page of the list echoes secrets; they become fingerprints under a key that lives as long as the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

from bulk_onboard.domain.model import Ambiguous, Echo, Payload, Refused, Throttled, Transient, Unauthorised
from bulk_onboard.domain.providers import Field, Scope


class UserKey(StrEnum):
    """The keys for looking up a user, in this order; Leaf and the columns use the same names."""

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


# --- Leaf's list of users -------------------------------------------------------------------------------


class ListedCredential(NamedTuple):
    """Credentials as listed. ``id`` "": unreadable. ``prints``: of all fields, 0 for a field not shown."""

    id: str
    status: str
    prints: tuple[int, ...]


class ListedUser(NamedTuple):
    """A user, and the credentials that are shown by provider name; those that are not are missing."""

    leaf_user_id: str
    shown: Mapping[str, ListedCredential]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list. ``total``: the number of users on all pages, if the reply has it."""

    users: tuple[ListedUser, ...]
    total: int | None


PageVerdict = Page | Refused | Throttled | Transient | Ambiguous | Unauthorised


class Prints:
    """Fingerprints of single fields under a key of their own; equal ones can be recognised."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=8)

    def of(self, text: str) -> int:
        """Return the fingerprint of a text, more than 0."""
        one = self._keyed.copy()
        one.update(text.encode("utf-8", "surrogatepass"))
        return int.from_bytes(one.digest(), "little") or 1

    def of_field(self, field: Field, text: str) -> int:
        """Return the fingerprint of a field; upper and lower case are the same in one that is not secret."""
        return self.of(text if field.secret else text.casefold())

    def echo(self, shown: Sequence[int], fields: Sequence[Field], ours: Payload) -> Echo:
        """Compare what was shown, in the order of these fields, with ours.

        The same secrets of another user name or organization are other credentials; the same name alone says
        nothing about the secrets.
        """
        result = Echo.UNKNOWN
        for theirs, known in zip(shown, fields, strict=False):
            if not theirs or known.scope is Scope.APP or known.name not in ours:
                continue
            if theirs != self.of_field(known, ours[known.name]):
                return Echo.DIFFERENT
            if known.secret:
                result = Echo.SAME
        return result

    def is_other_app(self, shown: Sequence[int], fields: Sequence[Field], ours: Payload) -> bool:
        """Return whether a field of another application or environment than ours was shown."""
        return any(
            theirs and theirs != self.of_field(known, ours[known.name])
            for theirs, known in zip(shown, fields, strict=False)
            if known.scope is Scope.APP and known.name in ours
        )
