"""Newcomers: growers whom the file names without a leafUserId, and what Leaf says of its users. Values only.

``newcomer``  a grower known by an externalId or an email
``enrol``     find the newcomer's Leaf user, or create one
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from bulk_onboard.model import Ambiguous, Refused, Throttled, Transient, Unauthorised


class By(StrEnum):
    """What a user is looked up by: Leaf's names, which are also those of the columns."""

    EXTERNAL_ID = "externalId"
    EMAIL = "email"


# What Leaf is told of a new user, by its names; the columns have the same ones.
FIELDS = (By.EXTERNAL_ID.value, By.EMAIL.value, "name", "phone", "address")
# Leaf documents `POST /users` with these; only externalId is called optional, but phone and address of
# growers are often not known, so it is left to Leaf to insist on them.
NEEDED = ("name", By.EMAIL.value)


class Origin(StrEnum):
    """How we came to know whose user it is; stored as these words."""

    CREATED = "created"
    FOUND = "found"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """One newcomer. ``rows``: the numbers of the rows that are of this grower.

    ``keys``: what the ledger knows the grower by, keyed fingerprints. ``told``: the cells that are filled
    in, by `FIELDS`. ``open_intent``: a POST of an earlier run may have created the user.
    """

    rows: tuple[int, ...]
    keys: tuple[bytes, ...] = field(repr=False)
    told: Mapping[str, str] = field(repr=False)
    open_intent: bool = False

    def value(self, by: By) -> str:
        """What to look for; "" for nothing."""
        return self.told.get(by.value, "")

    @property
    def looks(self) -> tuple[tuple[By, str], ...]:
        """What the newcomer is looked up by, in this order.

        Leaf's filter may mind the case of letters: an email is also looked for as most of them are written.
        """
        email = self.value(By.EMAIL)
        named = ((By.EXTERNAL_ID, self.value(By.EXTERNAL_ID)), (By.EMAIL, email))
        lower = ((By.EMAIL, email.lower()),) if email != email.lower() else ()
        return tuple(each for each in (*named, *lower) if each[1])

    @property
    def missing(self) -> str:
        """The first field without which no user can be created; "" if nothing is missing."""
        return next((name for name in NEEDED if not self.told.get(name)), "")


class SeenUser(NamedTuple):
    """A user as Leaf shows it; "" for what it does not show."""

    leaf_user_id: str
    external_id: str
    email: str


@dataclass(frozen=True, slots=True)
class Match:
    """One page of an answer to a look-up. ``total``: users on all pages, if the answer tells."""

    users: tuple[SeenUser, ...]
    total: int | None = None

    def __repr__(self) -> str:
        return f"Match({len(self.users)} users)"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A POST was answered with the user."""

    leaf_user_id: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A POST was refused because there is such a user, Leaf says."""

    code: str
    message: str = ""


class Enrolment(NamedTuple):
    """What the ledger stores of a newcomer, once for each key.

    ``leaf_user_id`` "" and ``intended_at`` a time: a POST was about to be sent, and what came of it is not
    known. Both "": nothing is known.
    """

    keys: tuple[bytes, ...]
    leaf_user_id: str = ""
    origin: str = ""
    intended_at: str = ""


LookVerdict = Match | Refused | Throttled | Transient | Ambiguous | Unauthorised
EnrolVerdict = Enrolled | Taken | Refused | Throttled | Transient | Ambiguous | Unauthorised


def same_email(one: str, other: str) -> bool:
    """Emails are compared without regard to case."""
    return one.strip().casefold() == other.strip().casefold()
