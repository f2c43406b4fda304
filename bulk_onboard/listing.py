"""What Leaf's list of users showed: who exists, who is connected. In columns: a million cost little. Pure.

A list may lie, so all of this is a hint. No secret is in it: those that the list echoes become fingerprints
under a key that lives as long as the listing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

import numpy as np

from bulk_onboard.domain.providers import Field, Scope
from bulk_onboard.model import (
    Ambiguous,
    Credential,
    Echo,
    Payload,
    Refused,
    Throttled,
    Transient,
    Unauthorised,
)

# Multiplying by an odd number loses nothing, so that both halves of a UUID count in its key.
_ODD = np.uint64(0x9E3779B97F4A7C15)

UNLISTED, UNCONNECTED, CONNECTED, UNCLEAR = range(4)
"""What the list shows for a grower at one provider. `UNCLEAR`: something that could not be read."""


class ListedCredential(NamedTuple):
    """Credentials as listed. ``id`` "": unreadable. ``prints``: of all fields, 0 for one not shown."""

    id: str
    status: str
    prints: tuple[int, ...]


class ListedUser(NamedTuple):
    """A user, and the credentials that are shown by provider name; those that are not are missing."""

    leaf_user_id: str
    shown: Mapping[str, ListedCredential]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list. ``total``: how many users there are altogether, if the reply tells."""

    users: tuple[ListedUser, ...]
    total: int | None


PageVerdict = Page | Refused | Throttled | Transient | Ambiguous | Unauthorised


class Prints:
    """Fingerprints of single fields under a key of their own; equal ones can be recognised."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=8)

    def of(self, text: str) -> int:
        """More than 0."""
        one = self._keyed.copy()
        one.update(text.encode("utf-8", "surrogatepass"))
        return int.from_bytes(one.digest(), "little") or 1

    def of_field(self, field: Field, text: str) -> int:
        """Of a user name or the like, upper and lower case are the same."""
        return self.of(text if field.secret else text.casefold())

    def echo(self, shown: Sequence[int], fields: Sequence[Field], ours: Payload) -> Echo:
        """How what was shown, in the order of these fields, compares with ours.

        The same secrets of another user name or organization are other credentials; and the same name does
        not tell whether the secrets are.
        """
        found = Echo.UNKNOWN
        for theirs, field in zip(shown, fields, strict=False):
            if not theirs or field.scope is Scope.APP or field.name not in ours:
                continue
            if theirs != self.of_field(field, ours[field.name]):
                return Echo.DIFFERENT
            if field.secret:
                found = Echo.SAME
        return found

    def is_other_app(self, shown: Sequence[int], fields: Sequence[Field], ours: Payload) -> bool:
        """Return whether a field of another application or environment than ours was shown."""
        return any(
            theirs and theirs != self.of_field(field, ours[field.name])
            for theirs, field in zip(shown, fields, strict=False)
            if field.scope is Scope.APP and field.name in ours
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ids:
    """UUIDs, each once, sorted by key; ``words`` rows x 2."""

    keys: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, ids: np.ndarray) -> np.ndarray:
        """Where these (rows x 2) are, -1 for those that are not. Two with one key would hide one another."""
        if not len(self):
            return np.full(len(ids), -1)
        at = np.minimum(np.searchsorted(self.keys, _keys(ids)), len(self) - 1)
        return np.where((self.words[at] == ids).all(axis=1), at, -1)


def indexed(ids: np.ndarray) -> tuple[Ids, np.ndarray]:
    """UUIDs (rows x 2) to be found again, and at which line each stood; of several alike the last counts."""
    keys = _keys(ids)
    order = np.argsort(keys, kind="stable")
    last = np.ones(len(order), bool)
    last[:-1] = keys[order][1:] != keys[order][:-1]
    order = order[last]
    return Ids(keys[order], ids[order]), order


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """One provider's columns: a `CONNECTED` or the like, and for those the texts and the prints."""

    states: np.ndarray
    ids: np.ndarray
    statuses: np.ndarray
    prints: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """All users that were listed, each once, and what is shown of them by provider name."""

    users: Ids
    shown: Mapping[str, _Shown]

    def __len__(self) -> int:
        return len(self.users)

    def states(self, provider: str, ids: np.ndarray) -> np.ndarray:
        """What the list shows for these growers (rows x 2): `UNLISTED`, `CONNECTED` and so on."""
        at = self.users.find(ids)
        found = np.full(len(ids), UNLISTED, np.uint8)
        found[at >= 0] = self.shown[provider].states[at[at >= 0]]
        return found

    def of_state(self, provider: str, state: int) -> np.ndarray:
        """The UUIDs (rows x 2) for which the list shows this."""
        found: np.ndarray = self.users.words[self.shown[provider].states == state]
        return found

    def state(self, provider: str, leaf_user_id: str) -> int:
        """The same for one grower."""
        at = self._place(leaf_user_id)
        return UNLISTED if at < 0 else int(self.shown[provider].states[at])

    def credential(self, provider: str, leaf_user_id: str) -> ListedCredential | None:
        """What is shown of the grower's credentials, None if not `CONNECTED`."""
        at, shown = self._place(leaf_user_id), self.shown[provider]
        if at < 0 or shown.states[at] != CONNECTED:
            return None
        prints = tuple(int(n) for n in shown.prints[at])
        return ListedCredential(shown.ids[at].decode(), shown.statuses[at].decode(), prints)

    def _place(self, leaf_user_id: str) -> int:
        return int(self.users.find(words([leaf_user_id]))[0])


class Collecting:
    """Pages on their way to a listing. ``fields``: by provider name, how many fields its growers have."""

    def __init__(self, fields: Mapping[str, int]) -> None:
        self._fields = fields
        self._words: list[np.ndarray] = []
        self._shown: dict[str, list[_Shown]] = {provider: [] for provider in fields}
        self.users = 0

    def add(self, page: Page) -> None:
        """One more page, in any order; of several lines of one user the last one counts."""
        if not page.users:
            return
        self.users += len(page.users)
        self._words.append(words([user.leaf_user_id for user in page.users]))
        for provider, parts in self._shown.items():
            parts.append(_columns([u.shown.get(provider) for u in page.users], self._fields[provider]))

    def listing(self) -> Listing:
        """All of them, each user once."""
        ids = np.concatenate([np.empty((0, 2), np.uint64), *self._words])
        users, order = indexed(ids)
        shown = {name: _joined(parts, order, self._fields[name]) for name, parts in self._shown.items()}
        return Listing(users, shown)


def words(leaf_user_ids: Sequence[str]) -> np.ndarray:
    """UUIDs as text -> two unsigned numbers each, rows x 2."""
    data = bytes.fromhex("".join(leaf_user_ids).replace("-", ""))
    return np.frombuffer(data, np.uint64).reshape(-1, 2)


def texts(ids: np.ndarray) -> list[str]:
    """The UUIDs again."""
    return [str(UUID(bytes=one.tobytes())) for one in ids]


def held(credential: ListedCredential, echo: Echo) -> Credential:
    """Listed credentials in the words of a GET."""
    return Credential(credential.id, credential.status, None, echo)


def _keys(ids: np.ndarray) -> np.ndarray:
    return ids[:, 0] ^ (ids[:, 1] * _ODD)


def _columns(shown: Sequence[ListedCredential | None], fields: int) -> _Shown:
    states = [UNCONNECTED if one is None else CONNECTED if one.id else UNCLEAR for one in shown]
    prints = np.zeros((len(shown), fields), np.uint64)
    for line, one in enumerate(shown):
        if one is not None and one.prints:
            prints[line] = one.prints
    return _Shown(
        np.array(states, np.uint8),
        np.array([one.id.encode() if one else b"" for one in shown]),
        np.array([one.status.encode() if one else b"" for one in shown]),
        prints,
    )


def _joined(parts: Sequence[_Shown], order: np.ndarray, fields: int) -> _Shown:
    if not parts:
        return _columns([], fields)
    names = ("states", "ids", "statuses", "prints")
    return _Shown(*(np.concatenate([getattr(part, name) for part in parts])[order] for name in names))
