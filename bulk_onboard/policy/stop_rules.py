"""Rules for refusing a file and for stopping a run early, and the rows that count for them. Pure.

| the newest outcome of the same grower                    | as an earlier attempt | canary, limits | order |
| -------------------------------------------------------- | --------------------- | -------------- | ----- |
| none, or of another token or application                 | `NONE`                | counts         | first |
| `rejected` or `failed`, with this token and application  | `FAILED`              | does not count | last  |
| unresolved, or an intent without an outcome, likewise    | `UNSETTLED`           | does not count | first |

A row that failed before gives no new information when it fails again. If it counted, a command that stopped
because of such a row could never get past it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from enum import Enum, auto

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.formatting import n_rows, with_code, words_of
from bulk_onboard.domain.model import UNAVAILABLE, Status
from bulk_onboard.domain.run_events import RowFinished
from bulk_onboard.settings import Safety

# The number of rows of a canary that a message names.
_NAMED = 3
# The number of rows that stop the run: the first ones if all end for one reason, or consecutive ones of which
# Leaf is unavailable.
ALIKE = 20
_UNAVAILABLE = UNAVAILABLE | {"throttled-too-long"}


class EarlierAttempt(Enum):
    """What an earlier run did with a row of the same content."""

    NONE = auto()
    FAILED = auto()
    UNSETTLED = auto()


class StopRules:
    """Decides after each outcome whether continuing would do harm or is pointless.

    ``read_only``: nothing is changed, so only an unavailable Leaf stops the run. ``tried``: the rows that an
    earlier run attempted with the same content, which count only for that. ``to_do``: the number of all rows.
    """

    def __init__(
        self, safety: Safety, to_do: int, *, read_only: bool = False, tried: Collection[int] = ()
    ) -> None:
        self._safety, self._read_only = safety, read_only
        self._tried = frozenset(tried)
        self._to_do = to_do - len(self._tried)
        self._ends: Counter[tuple[str, str]] = Counter()
        self._finished = 0
        self._failures = 0
        self._unavailable = 0

    def reason_to_stop(self, fact: RowFinished) -> str | None:
        """Return the reason to stop after this row, or None."""
        bad = fact.status.needs_attention
        self._unavailable = self._unavailable + 1 if bad and fact.code in _UNAVAILABLE else 0
        if self._read_only or fact.row in self._tried:
            return self._leaf_is_down(fact)
        self._finished += 1
        self._failures += bad
        if self._finished <= ALIKE:
            self._ends[fact.status, fact.code] += 1
        return self._all_alike(fact) or self._leaf_is_down(fact) or self._too_many(fact)

    def _all_alike(self, fact: RowFinished) -> str | None:
        if self._finished != ALIKE or len(self._ends) != 1 or not fact.status.needs_attention:
            return None
        return f"the first {ALIKE} rows all ended {fact.status} for the same reason ({fact.code})"

    def _leaf_is_down(self, fact: RowFinished) -> str | None:
        if self._unavailable < ALIKE:
            return None
        return f"Leaf has been unavailable for {ALIKE} consecutive rows ({fact.code})"

    def _too_many(self, fact: RowFinished) -> str | None:
        limit = self._safety.max_failures
        if limit is None or not limit.passed(self._failures, self._to_do):
            return None
        latest = f"row {fact.row}, {with_code(fact.status, fact.code)}"
        return (
            f"{n_rows(self._failures)} did not succeed, more than --max-failures allows; the latest: {latest}"
        )


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
    what = (entry.health or "not checked") if connected else words_of(status.value)
    grower = f" ({entry.leaf_user_id})" if entry.leaf_user_id else ""
    return f"row {entry.row}{grower} is {what}{f', {entry.code}' if entry.code else ''}"


def too_few(name: str, rows: int, safety: Safety) -> str | None:
    """Return the reason to refuse a file with too few rows, or None."""
    if rows >= safety.min_rows:
        return None
    return (
        f"{name} has {n_rows(rows)}, but --min-rows expects {safety.min_rows:,} or more. Nothing was sent."
        " If the export is complete, run again with a lower --min-rows"
    )


def too_many_new(name: str, new: int, rows: int, safety: Safety) -> str | None:
    """Return the reason to refuse a file with too many growers that are not in the ledger, or None."""
    limit = safety.max_new
    if limit is None or not limit.passed(new, rows):
        return None
    allowed = f"{limit.count:,}" if limit.count is not None else f"{(limit.share or 0) * 100:g}%"
    return (
        f"{name}: {new:,} of {n_rows(rows)} belong to growers that are not in the ledger; --max-new allows"
        f" {allowed}. Nothing was sent. If they are new growers, run again with a higher --max-new"
    )
