"""An entry of the ledger: what a run did with one row, as plain values; and the names of API owners.

An API owner is the account at Leaf that a login belongs to. The credentials that one owner stored do not show
anything about another owner's growers. If a token does not state its owner, a digest of the token is the
name, and the token may belong to any owner.
"""

from __future__ import annotations

from typing import NamedTuple

# In place of a fingerprint: Leaf holds other secrets than the row's. "": it is not known which Leaf holds.
OTHERS = "others"


class Entry(NamedTuple):
    """Field for field what the ledger stores. Times are UTC ISO 8601 text, "" for none.

    ``status`` None is an intent without an outcome: of a POST at ``intended_at``, of a DELETE of the
    credentials with the id ``deleting``, or of one after the other. Entries are sparse: a row without one
    has only what its block of the input says. ``provider`` is stored as the entry's scope; "" is the run's.
    ``credential_created`` and ``deleting_created`` are the createdTime of the credentials with these ids, by
    Leaf's clock: an id alone identifies nothing across runs. ``app`` is the mark of the application that the
    secrets were sent with (see `Fingerprints.of_app`), as a signed number of 64 bits; 0 if it is not known.
    ``unproven`` is 1 for created credentials that are ours by their time alone.
    """

    row: int
    status: str | None
    leaf_user_id: str = ""
    fingerprint: str = ""
    code: str = ""
    message: str = ""
    http_status: int | None = None
    attempts: int = 0
    credential_id: str = ""
    credential_status: str = ""
    health: str = ""
    event_status: int | None = None
    event_at: str = ""
    intended_at: str = ""
    started_at: str = ""
    finished_at: str = ""
    latency_ms: float | None = None
    deleting: str = ""
    credential_created: str = ""
    deleting_created: str = ""
    health_checked_at: str = ""
    app: int = 0
    unproven: int = 0
    provider: str = ""


class GrowerState(NamedTuple):
    """The current state of a grower. ``status`` None or ``unresolved``: ask before sending.

    ``deleting`` of a grower that is not connected: the id of credentials that were or may have been deleted.
    """

    leaf_user_id: str
    status: str | None
    code: str
    fingerprint: str
    credential_id: str
    health: str
    intended_at: str
    deleting: str
    deleting_created: str
    app: int


class LeftGrower(NamedTuple):
    """A grower that a replacement left without credentials: the old ones are gone, the new ones not stored.

    ``run_id``: the run that did. ``certain``: False if the grower may have credentials after all.
    """

    leaf_user_id: str
    provider: str
    leaf: str
    owner: str
    run_id: str
    certain: bool


class RecordedEvent(NamedTuple):
    """The newest event that an earlier check saw of some credentials: its status code and UTC time."""

    credential_id: str
    event_status: int
    event_at: str


# --- API owners ------------------------------------------------------------------------------------

_UNKNOWN = "unknown (token "


def unknown_owner(digest: str) -> str:
    """Return the name for the unknown owner of a token with this keyed digest."""
    return f"{_UNKNOWN}{digest})"


def is_known_owner(owner: str) -> bool:
    """Whether the name is an owner's, not the digest of a token."""
    return not owner.startswith(_UNKNOWN)


def may_be_same_owner(owner: str, other: str) -> bool:
    """Return whether these may be the same owner."""
    return owner == other or not (is_known_owner(owner) and is_known_owner(other))
