"""Interfaces that the engine needs. Other packages implement them, and tests have fakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import (
    Answer,
    Credential,
    Event,
    EventsVerdict,
    LogVerdict,
    Payload,
    Requests,
    Verdict,
)
from bulk_onboard.domain.providers import Field
from bulk_onboard.domain.turns import StillValid
from bulk_onboard.domain.users import (
    CreateUserVerdict,
    LookUpVerdict,
    PageVerdict,
    Prints,
    UserKey,
    UserRecord,
)

Record_contra = TypeVar("Record_contra", contravariant=True)
# Called when a request gets its turn and goes out; before that, nothing has happened.
Sent = Callable[[], None]


class Leaf(Protocol):
    """The calls to Leaf for one provider. All raise LoginRefused when our own login is refused."""

    async def ask(
        self, leaf_user_id: str, ours: Payload, sent: Sent = ..., *, urgent: bool = ...
    ) -> Answer[Verdict]:
        """Ask what Leaf holds for the grower, compared with ours. ``urgent``: before rows not begun yet."""

    async def post(
        self, leaf_user_id: str, payload: Payload, sent: Sent = ..., *, still_valid: StillValid = ...
    ) -> Answer[Verdict]:
        """Store the grower's credentials: one request, which is never repeated.

        ``still_valid`` is asked when its turn has come; if it says no, the answer is NotSent.
        """

    async def delete(
        self, leaf_user_id: str, sent: Sent = ..., *, still_valid: StillValid = ...
    ) -> Answer[Verdict]:
        """Delete the grower's credentials and their events: one request, which is never repeated.

        ``still_valid``: as for `post`.
        """

    async def events(self, leaf_user_id: str, sent: Sent = ...) -> Answer[EventsVerdict]:
        """Ask for the latest event of the grower's credentials."""

    async def history(self, leaf_user_id: str, sent: Sent = ...) -> Answer[LogVerdict]:
        """Ask for all events of the grower's credentials."""


class Connection(Protocol):
    """Our connection to Leaf: one login and one pace, whatever the provider."""

    @property
    def rate(self) -> float:
        """Requests per second that may go out now, 0 for no ceiling."""

    def of(self, provider: str) -> Leaf:
        """Return the calls for the provider of this name."""


# By provider name: a grower's fields, in the table's order.
ListedFields = Mapping[str, tuple[Field, ...]]


class Users(Protocol):
    """The calls to Leaf for its users, whatever their providers. All raise LoginRefused."""

    @property
    def listed_fields(self) -> ListedFields:
        """The fields of the providers that users are shown with."""

    @property
    def requests(self) -> Requests:
        """The number of requests of all kinds sent so far."""

    async def users(self, page: int, size: int, prints: Prints) -> Answer[PageVerdict]:
        """Ask for a page of the list of users, from page 0."""

    async def user(self, leaf_user_id: str, sent: Sent = ...) -> Answer[Verdict]:
        """Ask whether there is such a user: Exists(None) or Absent."""


class UserCalls(Protocol):
    """The calls to Leaf that look up and create users. All raise LoginRefused."""

    async def look_up(self, by: UserKey, value: str, page: int, sent: Sent = ...) -> Answer[LookUpVerdict]:
        """Return a page, from 0, of the users that Leaf's filter finds by this externalId or email."""

    async def create_user(self, fields: Mapping[str, str], sent: Sent = ...) -> Answer[CreateUserVerdict]:
        """Create a user: one request, which is never repeated."""


class _Journal(Protocol[Record_contra]):
    """Where intents and outcomes are committed."""

    async def intend(self, intent: Record_contra) -> None:
        """Return when the intent is on disk. Raises LedgerError."""

    def settle(self, outcome: Record_contra) -> None:
        """Queue an outcome, which is committed soon."""

    async def flush(self) -> None:
        """Return when all queued outcomes are on disk. Raises LedgerError."""


# Of rows, and of the Leaf users of growers.
Journal = _Journal[Entry]
UserJournal = _Journal[UserRecord]


class Keeper(Protocol):
    """Where the events of credentials are saved before they are deleted."""

    async def keep(
        self, provider: str, leaf_user_id: str, credential: Credential, events: Sequence[Event]
    ) -> None:
        """Return when they are on disk. Raises OutputError."""
