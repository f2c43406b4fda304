"""The sums of a run: rows by status and health, causes, and the exit code that follows from them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.entry import LeftGrower
from bulk_onboard.errors import ExitCode
from bulk_onboard.facts import Cause, RunInfo
from bulk_onboard.model import FORESEEN, NOT_AS_ASKED, Health, Status
from bulk_onboard.texts import only_value

FIRST = 5

_KNOWN = [status.value for status in Status]
# Codes of rows that need no attention, and are reported all the same.
ROTATED = "token-changed"
NOTED = (ROTATED, "settled-by-time", "ownership-unclear", "replaces-healthy")
# What keeps a row from being carried out as planned.
OFF_PLAN = ("plan-outdated", "not-in-plan")
_CONNECTED = [Status.CREATED.value, Status.EXISTING.value]
_TO_LOOK_AT = [status.value for status in Status if status.needs_attention] + [Status.NOT_ATTEMPTED.value]


@dataclass(slots=True)
class _Group:
    message: str
    count: int = 0
    rows: list[int] = field(default_factory=list)


class Tally:
    """Counts pages as they go by; none is kept. ``planned``: the run carried out a plan.

    ``began``: when the run did; ``checked_earlier``: how many rows have the health that an earlier check
    found, and ``oldest_check``: the time of the oldest of these checks.
    ``left_without``: growers, of whatever file, that an interrupted replacement left without credentials.
    ``rolled_back``: growers of the run whose credentials rollbacks have deleted, ``rollbacks`` their run ids.
    """

    def __init__(
        self,
        *,
        planned: bool = False,
        left_without: Sequence[LeftGrower] = (),
        rolled_back: int = 0,
        rollbacks: Sequence[str] = (),
        began: str = "",
    ) -> None:
        self.left_without = left_without
        self.rolled_back, self.rollbacks = rolled_back, rollbacks
        self._began = began
        self.checked_earlier, self.oldest_check = 0, ""
        self.rows = 0
        self._planned = planned
        self.off_plan: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._invalid: set[tuple[str, str]] = set()
        self._invalid_again = 0
        self._healths: Counter[str] = Counter()
        self._causes: dict[tuple[str, str], _Group] = {}
        self._notes: dict[tuple[str, str], _Group] = {}
        self.unchecked = 0  # connected rows whose health no run has checked
        self._waiting: dict[tuple[str, str], _Group] = {}
        self._of_provider: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, page: pd.DataFrame) -> pd.DataFrame:
        """Count a page. Returns those of its rows that somebody should look at, by the status of their cause:
        a connected row that does not work is ``unhealthy``. A row whose grower is connected with another
        application than it asks for is one of them.
        """
        self.rows += len(page)
        statuses = _counted(page["status"])
        self._statuses.update(statuses)
        self._count_invalid(page, statuses)
        self._count_providers(page, statuses)
        healths = _counted(page["health"])
        self._healths.update(healths)
        if self._began and healths:
            self._count_earlier_checks(page)
        if self._planned:
            self.off_plan.update(_counted(page["code"][page["code"].isin(OFF_PLAN)]))
        noted = page["code"].isin(NOTED)
        if noted.any():
            _group(self._notes, page[noted])
        changed = page["code"].isin(NOT_AS_ASKED)
        checked = sum(healths.get(health.value, 0) for health in Health)
        if sum(statuses.get(status, 0) for status in _CONNECTED) > checked:
            stored = page["status"].isin(_CONNECTED) & ~changed
            self.unchecked += int((stored & (page["health"].fillna("") == "")).sum())
        if Health.PENDING in healths:
            _group(self._waiting, page[(page["health"] == Health.PENDING.value) & ~changed])
        if not (statuses.keys() & _TO_LOOK_AT or Health.UNHEALTHY in healths or changed.any()):
            return page[:0]  # as in most pages of most nights
        connected = page["status"].isin(_CONNECTED)
        unhealthy = connected & (page["health"] == Health.UNHEALTHY.value)
        wanted = page["status"].isin(_TO_LOOK_AT) | unhealthy | (connected & changed)
        if not wanted.any():
            return page[:0]
        shown = page["status"].where(~unhealthy, Health.UNHEALTHY.value)
        found = page.assign(status=shown)[wanted]
        _group(self._causes, found)
        return found

    def _count_invalid(self, page: pd.DataFrame, statuses: Mapping[str, int]) -> None:
        """Find invalid rows of a grower that has another one, such as two rows with different tokens."""
        if Status.INVALID not in statuses:
            return
        invalid = page.loc[page["status"] == Status.INVALID.value, ["provider", "leafUserId"]]
        named = invalid[invalid["leafUserId"].fillna("") != ""]
        before = len(self._invalid)
        self._invalid.update(named.itertuples(index=False, name=None))
        self._invalid_again += len(named) - (len(self._invalid) - before)

    def _count_earlier_checks(self, page: pd.DataFrame) -> None:
        times = pa.array(page["healthCheckedAt"], pa.large_string())
        earlier = times.filter(pc.and_(pc.less(times, self._began), pc.not_equal(times, "")))
        if count := len(earlier):
            self.checked_earlier += count
            self.oldest_check = min(filter(None, (self.oldest_check, pc.min(earlier).as_py())))

    def _count_providers(self, page: pd.DataFrame, statuses: Mapping[str, int]) -> None:
        names = page["provider"]
        if len(counted := _counted(names)) == 1 and sum(counted.values()) == len(page):  # nearly always
            self._of_provider[next(iter(counted))].update(statuses)
            return
        for name, rows in page["status"].groupby(names):
            self._of_provider[str(name)].update(_counted(rows))

    @property
    def counts(self) -> Mapping[str, int]:
        """Rows by status: every status there is, in its usual order; those of a dry run where it gave any."""
        return _in_order(self._statuses)

    @property
    def providers(self) -> Mapping[str, Mapping[str, int]]:
        """Rows by provider and status, in the order of the providers' names; "" for rows that name none."""
        found = sorted(self._of_provider.items())
        return {name: _in_order(statuses) for name, statuses in found}

    @property
    def health(self) -> Mapping[str, int]:
        """Rows by health; rows that were not checked are in none."""
        return {health.value: self._healths[health.value] for health in Health}

    @property
    def notes(self) -> tuple[Cause, ...]:
        """The rows that need no attention but are reported (`NOTED`), by reason, the most frequent first."""
        return _as_causes(self._notes)

    def noted(self, code: str) -> int:
        """How many rows have this code of `NOTED`."""
        return sum(group.count for (_, name), group in self._notes.items() if name == code)

    @property
    def unknown(self) -> int:
        """Rows whose status is no status: there must be none."""
        return self.rows - sum(self.counts.values())

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The rows somebody should look at, by reason, the most frequent first."""
        return _as_causes(self._causes)

    @property
    def growers(self) -> int:
        """Growers, one at each provider counted as one. An invalid row without an id counts as a grower."""
        return self.rows - self._statuses[Status.DUPLICATE] - self._invalid_again

    @property
    def waiting_for(self) -> tuple[Cause, ...]:
        """The connected rows that nothing has confirmed yet, by reason, the most frequent first."""
        return _as_causes(self._waiting)

    @property
    def waiting(self) -> int:
        """How many connected rows nothing has confirmed yet."""
        return sum(group.count for group in self._waiting.values())

    @property
    def connected(self) -> int:
        """Growers whose connection is confirmed, as their rows ask for it."""
        wrong = {Health.UNHEALTHY.value, *_CONNECTED}
        others = sum(group.count for (status, _), group in self._causes.items() if status in wrong)
        return sum(self._statuses[status] for status in _CONNECTED) - others - self.waiting - self.unchecked

    @property
    def concern(self) -> int:
        """How many rows need a person: not those that only had no turn."""
        return self.attention - self._statuses[Status.NOT_ATTEMPTED]

    @property
    def attention(self) -> int:
        """How many rows somebody should look at."""
        return sum(group.count for group in self._causes.values())


def _group(groups: dict[tuple[str, str], _Group], page: pd.DataFrame) -> None:
    for (status, code), found in page.groupby(["status", "code"], sort=False):
        group = groups.setdefault((str(status), str(code)), _Group(str(found["message"].iloc[0])))
        group.count += len(found)
        group.rows += [int(row) for row in found["row"].head(FIRST - len(group.rows))]


def _as_causes(groups: Mapping[tuple[str, str], _Group]) -> tuple[Cause, ...]:
    found = [
        Cause(status, code, group.count, tuple(group.rows), group.message)
        for (status, code), group in groups.items()
    ]
    return tuple(sorted(found, key=lambda cause: (-cause.count, cause.rows)))


def exit_code(tally: Tally, info: RunInfo) -> ExitCode:
    """What the process tells its caller."""
    if tally.unknown or tally.rows != info.rows:
        return ExitCode.BUG
    if info.interrupted:
        return ExitCode.INTERRUPTED
    # Without a reason to stop, the code is that of an earlier report of this run, not of its end.
    if info.stop_reason and info.exit_code:
        return ExitCode(info.exit_code)
    return ExitCode.ATTENTION if tally.attention or tally.left_without else ExitCode.OK


def _counted(column: pd.Series) -> dict[str, int]:
    texts = pc.drop_null(pa.array(column, pa.large_string(), from_pandas=True))
    if (only := only_value(texts)) is not None:
        return {only: len(texts)}
    found = pc.value_counts(texts).to_pylist()
    return {each["values"]: each["counts"] for each in found}


def _in_order(statuses: Counter[str]) -> Mapping[str, int]:
    told = {status: statuses[status] for status in _KNOWN}
    return {status: count for status, count in told.items() if count or status not in FORESEEN}
