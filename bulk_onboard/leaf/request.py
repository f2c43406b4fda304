"""A request to Leaf before it is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from bulk_onboard.domain.turns import StillValid, Urgency, always
from bulk_onboard.leaf.comparison import Fields
from bulk_onboard.leaf.replies import Reply
from bulk_onboard.leaf.wire import LARGEST_BODY

V = TypeVar("V")
# Called when a request has got its turn and goes out.
Sent = Callable[[], None]


def unheard() -> None:
    """Who does not care when a request goes out."""


class NotValidError(Exception):
    """A request was not sent: it was not valid any more when its turn came."""


class Request(NamedTuple, Generic[V]):
    """What goes out, what its reply means, and who hears that it goes out.

    ``still_valid`` is asked when its turn has come: if it says no, the request is not sent.
    """

    method: str
    target: str
    verdict: Callable[[Reply], V]
    sent: Sent = unheard
    body: dict[str, str] | None = None
    largest: int = LARGEST_BODY
    fields: Fields | None = None
    event_log: bool = False
    urgency: Urgency = Urgency.BEGIN
    still_valid: StillValid = always

    def __repr__(self) -> str:
        return f"Request({self.method}, body=***)"
