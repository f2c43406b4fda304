"""Which rows count when a run decides whether to stop early. Pure.

| the newest outcome of the same grower                    | as an earlier attempt | canary, limits | order |
| -------------------------------------------------------- | --------------------- | -------------- | ----- |
| none, or of another token or application                 | `NONE`                | counts         | first |
| `rejected` or `failed`, with this token and application  | `FAILED`              | does not count | last  |
| unresolved, or an intent without an outcome, likewise    | `UNSETTLED`           | does not count | first |

A row that failed before says nothing new when it fails again: if it counted, a command that stopped because
of one such row could never get past it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from bulk_onboard.entry import Entry
from bulk_onboard.model import Status

# How many rows of a canary a message names.
_NAMED = 3


class EarlierAttempt(Enum):
    """What an earlier run did with a row of the same content."""

    NONE = auto()
    FAILED = auto()
    UNSETTLED = auto()


def earlier_attempt(
    status: str | None, recorded: tuple[str, int], content: tuple[str, int]
) -> EarlierAttempt:
    """Return how an earlier run attempted a row that is to do.

    ``status``: of the grower's newest entry, None for an intent without an outcome. ``recorded`` and
    ``content``: the fingerprint of the secrets and the mark of the application, of that entry and of the row;
    a mark of 0 in the entry means that it is not known.
    """
    fingerprint, app = recorded
    if fingerprint != content[0] or app not in {0, content[1]}:
        return EarlierAttempt.NONE
    if status in {Status.REJECTED, Status.FAILED}:
        return EarlierAttempt.FAILED
    return EarlierAttempt.UNSETTLED if status in {None, Status.UNRESOLVED} else EarlierAttempt.NONE


def canary_reason(rows: int, sick: Sequence[Entry]) -> str:
    """Return why the canary stops the run, naming rows that are not healthy. ``rows``: how many it has."""
    named = ", ".join(_described(entry) for entry in sick[:_NAMED])
    more = f" and {len(sick) - _NAMED} more" if len(sick) > _NAMED else ""
    return f"{len(sick)} of {rows} canary rows {'is' if len(sick) == 1 else 'are'} not healthy: {named}{more}"


def _described(entry: Entry) -> str:
    status = Status(entry.status) if entry.status else Status.UNRESOLVED
    connected = status in {Status.CREATED, Status.EXISTING}
    what = (entry.health or "not checked") if connected else status.value.replace("_", " ")
    grower = f" ({entry.leaf_user_id})" if entry.leaf_user_id else ""
    return f"row {entry.row}{grower} is {what}{f', {entry.code}' if entry.code else ''}"
