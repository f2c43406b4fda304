"""The vocabulary: rows, verdicts, steps, statuses and outcomes. Plain values.

``grower``      one Leaf user, named by its ``leafUserId``
``credential``  what Leaf stores for a grower at one provider
``intent``      "we are about to POST this row", committed before the POST
``outcome``     the final result of a row in this run
``verdict``     what one answer of Leaf (or its absence) tells us
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, ValuesView
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar


class Status(StrEnum):
    """The status of a row. Every row of the input has exactly one; stored as these words."""

    CREATED = "created"
    EXISTING = "existing"
    DUPLICATE = "duplicate"
    INVALID = "invalid"
    REJECTED = "rejected"
    FAILED = "failed"
    UNRESOLVED = "unresolved"
    NOT_ATTEMPTED = "not_attempted"
    # Of a dry run only:
    WOULD_CREATE = "would_create"
    WOULD_REPLACE = "would_replace"
    NO_SUCH_USER = "no_such_user"

    @property
    def done(self) -> bool:
        """Whether the row is done, so that a later run skips it."""
        return self in _DONE

    @property
    def needs_attention(self) -> bool:
        """Whether a person should look at the row."""
        return self in _ATTENTION


_DONE = frozenset({Status.CREATED, Status.EXISTING, Status.DUPLICATE})
_ATTENTION = frozenset(
    {Status.INVALID, Status.REJECTED, Status.FAILED, Status.UNRESOLVED, Status.NO_SUCH_USER}
)
DRY_RUN_STATUSES = (Status.WOULD_CREATE, Status.WOULD_REPLACE, Status.NO_SUCH_USER)


# Codes of existing rows with credentials of another environment or application than the row asks for.
NOT_AS_ASKED = ENVIRONMENT_CHANGED, APP_CHANGED = ("environment-changed", "app-changed")


class RollbackStatus(StrEnum):
    """The status of a row in a rollback. Every row has exactly one; stored as these words."""

    DELETED = "deleted"
    GONE = "gone"
    CHANGED = "changed"
    FAILED = "failed"
    UNRESOLVED = "unresolved"
    NOT_ATTEMPTED = "not_attempted"
    WOULD_DELETE = "would_delete"

    @property
    def needs_attention(self) -> bool:
        """Whether a person should look at the row."""
        return self in {RollbackStatus.FAILED, RollbackStatus.UNRESOLVED}


class Health(StrEnum):
    """The result of the events check for a row. A row without a health was not checked."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    PENDING = "pending"


class IfExists(StrEnum):
    """What to do with a grower that already has credentials at Leaf."""

    SKIP = "skip"
    REPLACE = "replace"
    OVERWRITE = "overwrite"
    FAIL = "fail"


class Secret:
    """A text that does not show itself: not in a repr, a format, a traceback or a log."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; call this only to send it or to compute a fingerprint."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Payload(Mapping[str, str]):
    """The fields of a credentials POST, by Leaf's names. Hidden like a `Secret`."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> str:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    # Mapping's own ways to these go by `__getitem__` in Python, and every reply is compared with a payload.
    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def values(self) -> ValuesView[str]:
        """The values, in the fields' order."""
        return self._fields.values()

    def reveal(self) -> dict[str, str]:
        """Return the fields as they are sent; call this only for sending."""
        return dict(self._fields)

    def __repr__(self) -> str:
        return f"Payload({', '.join(self._fields)}: ***)"


@dataclass(frozen=True, slots=True)
class Intent:
    """A POST that was about to be sent at ``at`` (UTC), None for none, and may or may not have reached Leaf.

    ``same``: it was of the secrets that the row has now. ``deleting``: the id of the credentials that were
    about to be deleted, and may or may not have been; "" for none. ``deleting_created``: their createdTime.
    ``app``: the mark of the application that it was sent with, 0 if that is not known.
    """

    at: datetime | None
    same: bool = True
    deleting: str = ""
    deleting_created: str = ""
    app: int = 0


class Recorded(NamedTuple):
    """Credentials as recorded: id, createdTime by Leaf's clock ("" if hidden), whether of another app."""

    id: str
    created_time: str
    other_app: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One valid row that is not onboarded yet.

    ``number`` is the row number a spreadsheet shows, ``provider`` the name of the one that the row goes to.
    ``open_intent`` is what an earlier run left without an outcome: Leaf is asked before anything is sent.
    ``fingerprint`` is the keyed fingerprint of the grower's secrets, hex. ``stored_as``: the credentials in
    which these very secrets, or secrets of another application, are known to have been stored. ``app``: the
    mark of the application that they are sent with, as `Entry` has it.
    """

    number: int
    provider: str
    leaf_user_id: str
    payload: Payload
    fingerprint: str
    open_intent: Intent | None = None
    stored_as: Recorded | None = None
    app: int = 0


class Echo(StrEnum):
    """How the secrets in Leaf's reply compare with the row's own."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Credential:
    """What Leaf says of stored credentials, without any of their secrets.

    ``created`` is Leaf's createdTime, put on our clock by the Date header of the same reply. ``created_time``
    is the same by Leaf's own clock, ISO 8601 in UTC, "" if Leaf did not show it: together with the id it
    identifies the credentials across runs. ``app`` compares the fields of the customer's application with the
    row's, as ``echo`` compares the grower's; ``environment``: the other one that Leaf shows, "" if not.
    ``other_account``: Leaf shows another user name or organization than the row's.
    """

    id: str
    status: str
    created: datetime | None
    echo: Echo
    created_time: str = ""
    app: Echo = Echo.UNKNOWN
    environment: str = ""
    other_account: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the provider log: the provider answered ``status_code`` at ``at``."""

    status_code: int
    at: datetime | None
    id: str = field(default="", repr=False)


# Codes for problems of Leaf or of the connection. The row itself is not at fault.
UNAVAILABLE = frozenset(
    {
        "connection-refused", "connect-timeout", "dns-failure", "tls-failure", "leaf-unavailable",
        "server-error", "no-answer", "connection-lost",
    }
)  # fmt: skip


# --- verdicts: what one answer tells us -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Created:
    """A POST was answered by a 2xx with these credentials; `policy` decides which client stored them."""

    credential: Credential


@dataclass(frozen=True, slots=True)
class Exists:
    """Leaf holds credentials for the grower; None: Leaf confirmed that without showing them."""

    credential: Credential | None
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Absent:
    """Leaf was asked and holds no credentials for the grower.

    ``bare``: the reply was empty, as a broken reply may be.
    ``plain``: it said "not found", but not in a problem of its own. ``usual``: this Leaf has been seen to say
    "none" in this way. ``form``: which way that is.
    """

    bare: bool = False
    usual: bool = True
    plain: bool = False
    form: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """Leaf definitively refused the request. Nothing was stored."""

    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Throttled:
    """429: nothing was stored. ``after``: seconds until the next request is welcome, None if not stated."""

    after: float | None = None


@dataclass(frozen=True, slots=True)
class Transient:
    """The request failed before it could be carried out, for example because of a refused connection."""

    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """No readable reply came after the request was sent: it may or may not have been carried out.

    ``accepted``: Leaf took the request, but did not say that it is done (202, or an empty 200 to a DELETE).
    """

    code: str
    message: str = ""
    after: float | None = None
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request was not sent, because it was no longer valid when its turn came."""


@dataclass(frozen=True, slots=True)
class Unauthorised:
    """401: our own login is missing, expired or wrong. Nothing was stored."""


@dataclass(frozen=True, slots=True)
class Events:
    """The provider log of a credential: its latest event, None while there is none."""

    latest: Event | None


@dataclass(frozen=True, slots=True)
class Log:
    """The whole provider log of a credential, without what may hold secrets.

    ``deciding`` is the event that decides about the health, None if there is none.
    """

    events: tuple[Event, ...]
    deciding: Event | None = None


Verdict = Created | Exists | Absent | Refused | Throttled | Transient | Ambiguous | Unauthorised | NotSent
LogVerdict = Log | Absent | Refused | Throttled | Transient | Ambiguous | Unauthorised
EventsVerdict = Events | Absent | Refused | Throttled | Transient | Ambiguous | Unauthorised


V = TypeVar("V")


class Answer(NamedTuple, Generic[V]):
    """The result of one call: its verdict, the HTTP status (None: no reply) and how many seconds it took."""

    verdict: V
    http_status: int | None = None
    seconds: float = 0.0


# --- counts of requests
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Requests:
    """How many requests a run sent, by kind, and how many of them were throttled."""

    get: int = 0
    post: int = 0
    delete: int = 0
    throttled: int = 0

    @property
    def total(self) -> int:
        """All requests that count against the ceiling."""
        return self.get + self.post + self.delete

    def __add__(self, other: Requests) -> Requests:
        return Requests(
            self.get + other.get,
            self.post + other.post,
            self.delete + other.delete,
            self.throttled + other.throttled,
        )


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests over time: one number for each stretch of ``width`` seconds since the first request.

    ``sent``: how many went out. ``throttled``: how many of these were one too many. ``held``: for how many
    seconds none went out, because Leaf asked to wait.
    """

    width: int = 1
    sent: tuple[int, ...] = ()
    throttled: tuple[int, ...] = ()
    held: tuple[float, ...] = ()
