"""The growers, their credentials and what was posted for them: state and nothing else.

Changes are also listed, so that a store can follow which the world has no record of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Key = tuple[str, str]
"""leafUserId and provider."""


@dataclass(frozen=True, slots=True)
class User:
    """A Leaf user. ``joined``: when it was posted, seconds since 1970; 0 for one that was always there."""

    id: str
    name: str = ""
    email: str = ""
    phone: str = ""
    address: str = ""
    external_id: str = ""
    joined: float = 0.0


class Fate(StrEnum):
    """What the provider will say of the credentials; practised with magic beginnings of a grower's secret."""

    GOOD = "good"
    EXPIRED = "expired"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Stored:
    """Stored credentials. ``posted`` None: a restart forgot the secrets, only their hash is known."""

    id: str
    created: float
    fingerprint: str
    fate: Fate
    posted: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many POSTs of one and the same secrets were seen, and how many of them stored something."""

    seen: int = 0
    stored: int = 0


# --- changes ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Put:
    """Credentials were stored, in the place of older ones if there were any."""

    key: Key
    stored: Stored


@dataclass(frozen=True, slots=True)
class Dropped:
    """Credentials were deleted."""

    key: Key


@dataclass(frozen=True, slots=True)
class Joined:
    """A user was created."""

    user: User


@dataclass(frozen=True, slots=True)
class Left:
    """A user was deleted."""

    id: str


@dataclass(frozen=True, slots=True)
class Counted:
    """A POST was counted."""

    key: Key
    fingerprint: str
    tally: Tally


Change = Put | Dropped | Joined | Left | Counted


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a store remembers of a world."""

    users: Mapping[str, User] = field(default_factory=dict)
    credentials: Mapping[Key, Stored] = field(default_factory=dict)
    posts: Mapping[Key, Mapping[str, Tally]] = field(default_factory=dict)


class World:
    """All that is known at the moment. Users in order of their joining."""

    def __init__(self, snapshot: Snapshot, known: Iterable[User] = ()) -> None:
        self._known = tuple(known)
        self._begin(snapshot)

    def _begin(self, snapshot: Snapshot) -> None:
        self._users = {user.id: user for user in self._known} | dict(snapshot.users)
        self._credentials = dict(snapshot.credentials)
        self._posts = {key: dict(tallies) for key, tallies in snapshot.posts.items()}
        self._changes: list[Change] = []
        self._listing: list[User] | None = None

    def clear(self) -> None:
        """Forget everything but the users known from the start."""
        self._begin(Snapshot())

    def changes(self) -> list[Change]:
        """What has changed since this was last asked."""
        taken, self._changes = self._changes, []
        return taken

    def user(self, user_id: str) -> User | None:
        """The user of that id."""
        return self._users.get(user_id)

    def users(self) -> Sequence[User]:
        """All users. Kept until the next change: a page must not cost a walk through a million users."""
        if self._listing is None:
            self._listing = list(self._users.values())
        return self._listing

    def join(self, user: User) -> None:
        """Add a user."""
        self._users[user.id] = user
        self._listing = None
        self._changes.append(Joined(user))

    def leave(self, user_id: str, providers: Iterable[str]) -> None:
        """Remove a user and the user's credentials."""
        del self._users[user_id]
        self._listing = None
        self._changes.append(Left(user_id))
        for provider in providers:
            self.drop((user_id, provider))

    def credential(self, key: Key) -> Stored | None:
        """The credentials stored for a grower at a provider."""
        return self._credentials.get(key)

    def put(self, key: Key, stored: Stored) -> None:
        """Store credentials. Whoever has credentials is a user."""
        if key[0] not in self._users:
            self.join(User(key[0]))
        self._credentials[key] = stored
        self._changes.append(Put(key, stored))

    def drop(self, key: Key) -> bool:
        """Delete credentials; False if there were none."""
        if self._credentials.pop(key, None) is None:
            return False
        self._changes.append(Dropped(key))
        return True

    def count(self, key: Key, fingerprint: str, stored: bool) -> None:
        """Count a POST."""
        tallies = self._posts.setdefault(key, {})
        before = tallies.get(fingerprint, Tally())
        tallies[fingerprint] = Tally(before.seen + 1, before.stored + stored)
        self._changes.append(Counted(key, fingerprint, tallies[fingerprint]))

    def posts(self) -> Mapping[Key, Mapping[str, Tally]]:
        """The POSTs seen, by grower and provider and by fingerprint of what was posted."""
        return self._posts

    def keys(self) -> list[Key]:
        """Every grower and provider that has credentials or was posted for."""
        return list(dict.fromkeys([*self._credentials, *self._posts]))
