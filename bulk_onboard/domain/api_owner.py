"""Names of API owners: the account at Leaf that a login belongs to.

What one owner has stored says nothing about another's growers. A token need not state its owner; then a
digest of the token is the name, and it may belong to any owner.
"""

from __future__ import annotations

_UNKNOWN = "unknown (token "


def unknown_owner(digest: str) -> str:
    """Return the name for the unknown owner of a token with this keyed digest."""
    return f"{_UNKNOWN}{digest})"


def is_known_owner(owner: str) -> bool:
    """Whether the name is an owner's, not the digest of a token."""
    return not owner.startswith(_UNKNOWN)


def may_be_same_owner(owner: str, other: str) -> bool:
    """Whether nothing says that these are two owners."""
    return owner == other or not (is_known_owner(owner) and is_known_owner(other))
