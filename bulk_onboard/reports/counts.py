"""The counts of a run: rows by status and health, causes, and the exit code that follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from bulk_onboard.domain.entry import LeftGrower
from bulk_onboard.domain.model import DRY_RUN_STATUSES, Health, Status
from bulk_onboard.domain.run_events import Cause, RunInfo
from bulk_onboard.errors import ExitCode

# Codes of rows that are reported although they need no attention.
ROTATED = "token-changed"
NOTED = (ROTATED, "settled-by-time", "ownership-unclear", "replaces-healthy")
# Codes of rows that were not carried out as planned.
OFF_PLAN = ("plan-outdated", "not-in-plan")
_CONNECTED = (Status.CREATED.value, Status.EXISTING.value)

# Everything below is computed from these few lines, regardless of the number of rows.
_GROUPS = """
CREATE OR REPLACE TABLE counted AS
SELECT provider, status, health, code, cause, count(*) AS number, min(row, 5) AS first_rows,
    arg_min(message, row) AS message,
    count(*) FILTER ("healthCheckedAt" != '' AND "healthCheckedAt" < $began) AS checked_earlier,
    min("healthCheckedAt") FILTER ("healthCheckedAt" != '' AND "healthCheckedAt" < $began) AS oldest_check
FROM results GROUP BY ALL
"""
_CAUSES = """
SELECT {status} AS status, code, sum(number)::BIGINT AS number,
    list_sort(flatten(list(first_rows)))[:5] AS rows, arg_min(message, first_rows[1]) AS message
FROM counted WHERE {condition} GROUP BY ALL ORDER BY number DESC, rows
"""
_WAITING = "health = 'pending' AND code NOT IN ('environment-changed', 'app-changed')"
_UNCHECKED = "health = '' AND status IN ('created', 'existing') AND cause IS NULL"
# Invalid rows of growers that have another invalid row, such as two rows with different tokens.
_INVALID_AGAIN = """
SELECT count(*) - count(DISTINCT (provider, "leafUserId")) FROM results
WHERE status = 'invalid' AND "leafUserId" != ''
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The counts of a run.

    ``by_provider``: rows by provider and status ("" for rows that name no provider). ``notes``: rows that
    need no attention but are reported (`NOTED`). ``waiting_for``: connected rows without a confirmation yet.
    ``unchecked``: connected rows that no run has checked. ``invalid_again``: invalid rows of growers that
    have another invalid row. ``checked_earlier``: rows with the health of an earlier check; the oldest check
    was at ``oldest_check``. ``off_plan``: rows that were not carried out as planned, by code.
    ``left_without``: growers, of any file, that an interrupted replacement left without credentials.
    ``rolled_back``: growers of the run whose credentials the rollbacks ``rollbacks`` have deleted.
    """

    rows: int = 0
    by_provider: Mapping[str, Mapping[str, int]]
    by_health: Mapping[str, int]
    causes: tuple[Cause, ...] = ()
    notes: tuple[Cause, ...] = ()
    waiting_for: tuple[Cause, ...] = ()
    unchecked: int = 0
    invalid_again: int = 0
    checked_earlier: int = 0
    oldest_check: str = ""
    off_plan: Counter[str]
    left_without: Sequence[LeftGrower] = ()
    rolled_back: int = 0
    rollbacks: Sequence[str] = ()

    @property
    def statuses(self) -> Mapping[str, int]:
        """Rows by status, in the usual order; the statuses of a dry run only if there are any."""
        return _in_order(sum(map(Counter, self.by_provider.values()), Counter()))

    @property
    def providers(self) -> Mapping[str, Mapping[str, int]]:
        """Rows by provider and status, in the order of the providers' names."""
        return {name: _in_order(statuses) for name, statuses in sorted(self.by_provider.items())}

    @property
    def health(self) -> Mapping[str, int]:
        """Rows by health; rows that were not checked are not counted."""
        return {health.value: self.by_health.get(health, 0) for health in Health}

    def noted(self, code: str) -> int:
        """Return how many rows have this code of `NOTED`."""
        return sum(cause.count for cause in self.notes if cause.code == code)

    @property
    def unknown(self) -> int:
        """Rows with an unknown status: always 0 unless the ledger is damaged."""
        return self.rows - sum(self.statuses.values())

    @property
    def growers(self) -> int:
        """The number of growers, counted once per provider.

        An invalid row without an id counts as a grower.
        """
        return self.rows - self.statuses[Status.DUPLICATE] - self.invalid_again

    @property
    def waiting(self) -> int:
        """How many connected rows are not confirmed yet."""
        return sum(cause.count for cause in self.waiting_for)

    @property
    def connected(self) -> int:
        """How many growers have a confirmed connection that matches their row."""
        wrong = {Health.UNHEALTHY.value, *_CONNECTED}
        others = sum(cause.count for cause in self.causes if cause.status in wrong)
        stored = sum(self.statuses[status] for status in _CONNECTED)
        return stored - others - self.waiting - self.unchecked

    @property
    def attention(self) -> int:
        """How many rows need attention or were not attempted."""
        return sum(cause.count for cause in self.causes)

    @property
    def concern(self) -> int:
        """How many rows need a person; rows that were only not attempted do not count."""
        return self.attention - self.statuses[Status.NOT_ATTEMPTED]


def count_rows(
    db: duckdb.DuckDBPyConnection,
    *,
    began: str = "",
    planned: bool = False,
    left_without: Sequence[LeftGrower] = (),
    rolled_back: int = 0,
    rollbacks: Sequence[str] = (),
) -> Counts:
    """Count the results. ``began``: start of the run, as text in UTC; ``planned``: it carried out a plan."""
    db.execute(_GROUPS, {"began": began})
    by_provider: dict[str, dict[str, int]] = {}
    for provider, status, number in _all(
        db, "SELECT provider, status, sum(number)::BIGINT FROM counted GROUP BY ALL"
    ):
        by_provider.setdefault(provider, {})[status] = number
    codes = Counter(dict(_all(db, "SELECT code, sum(number)::BIGINT FROM counted GROUP BY code")))
    ((rows, earlier, oldest),) = _all(
        db, "SELECT sum(number)::BIGINT, sum(checked_earlier)::BIGINT, min(oldest_check) FROM counted"
    )
    return Counts(
        rows=rows or 0,
        by_provider=by_provider,
        by_health=dict(_all(db, "SELECT health, sum(number)::BIGINT FROM counted GROUP BY health")),
        causes=_causes(db, "cause IS NOT NULL OR status = 'not_attempted'", "coalesce(cause, status)"),
        notes=_causes(db, f"code IN {NOTED}"),
        waiting_for=_causes(db, _WAITING),
        unchecked=_number(db, f"SELECT sum(number) FROM counted WHERE {_UNCHECKED}"),  # noqa: S608
        invalid_again=_number(db, _INVALID_AGAIN),
        checked_earlier=(earlier or 0) if began else 0,
        oldest_check=oldest or "",
        off_plan=Counter({code: codes[code] for code in OFF_PLAN if planned and codes[code]}),
        left_without=left_without,
        rolled_back=rolled_back,
        rollbacks=rollbacks,
    )


def _causes(db: duckdb.DuckDBPyConnection, condition: str, status: str = "status") -> tuple[Cause, ...]:
    """Return rows by reason, the most frequent first, with the numbers of the first rows."""
    return tuple(
        Cause(status, code, number, tuple(rows), message)
        for status, code, number, rows, message in _all(
            db, _CAUSES.format(status=status, condition=condition)
        )
    )


def _all(db: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return db.execute(query).fetchall()


def _number(db: duckdb.DuckDBPyConnection, query: str) -> int:
    ((number,),) = _all(db, query)
    return int(number or 0)


def exit_code(counts: Counts, info: RunInfo) -> ExitCode:
    """Return the exit code of the process."""
    if counts.unknown or counts.rows != info.rows:
        return ExitCode.BUG
    if info.interrupted:
        return ExitCode.INTERRUPTED
    # Without a stop reason, the code comes from an earlier report of this run, not from its end.
    if info.stop_reason and info.exit_code:
        return ExitCode(info.exit_code)
    return ExitCode.ATTENTION if counts.attention or counts.left_without else ExitCode.OK


def _in_order(statuses: Mapping[str, int]) -> Mapping[str, int]:
    counted = {status.value: statuses.get(status, 0) for status in Status}
    return {status: count for status, count in counted.items() if count or status not in DRY_RUN_STATUSES}
