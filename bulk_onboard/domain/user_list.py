"""Leaf's list of users: what a page shows, without any secret. Values only.

Secrets that a page echoes become fingerprints under a key that lives as long as the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from bulk_onboard.domain.model import Ambiguous, Echo, Payload, Refused, Throttled, Transient, Unauthorised
from bulk_onboard.domain.providers import Field, Scope


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
        for theirs, field in zip(shown, fields, strict=False):
            if not theirs or field.scope is Scope.APP or field.name not in ours:
                continue
            if theirs != self.of_field(field, ours[field.name]):
                return Echo.DIFFERENT
            if field.secret:
                result = Echo.SAME
        return result

    def is_other_app(self, shown: Sequence[int], fields: Sequence[Field], ours: Payload) -> bool:
        """Return whether a field of another application or environment than ours was shown."""
        return any(
            theirs and theirs != self.of_field(field, ours[field.name])
            for theirs, field in zip(shown, fields, strict=False)
            if field.scope is Scope.APP and field.name in ours
        )
