"""Who needs attention, since when, and what of that has changed since the run before. Pure, by columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.model import NOT_AS_ASKED, Health, Status

SINCE, RUNS = "failingSince", "failedRuns"

_TEXTS = ("grower", "status", "code", "since")
_SCHEMA = pa.schema([*((name, pa.string()) for name in _TEXTS), ("runs", pa.int64())])
_ATTENTION = pa.array([status.value for status in Status if status.needs_attention])
_CONNECTED = pa.array([Status.CREATED.value, Status.EXISTING.value])
_UNHEALTHY = pa.array([Health.UNHEALTHY.value])
_CHANGED = pa.array(NOT_AS_ASKED)
_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_NAMELESS = b"nameless."

Cause = tuple[str, str]  # status (or "unhealthy") and code


@dataclass(frozen=True, slots=True, eq=False)
class Concerns:
    """Who needs attention after a run, of all files of its Leaf and provider.

    ``growers`` has a line each: the provider's name and the leafUserId as ``grower``, the cause, the start
    of the first run ``since`` which it lasts without a break, and in how many ``runs`` it was met.
    ``nameless``: rows without a leafUserId, by cause; they are nobody's history and can only be counted.
    """

    growers: pa.Table = field(default_factory=_SCHEMA.empty_table)
    nameless: Mapping[Cause, int] = field(default_factory=dict)


def pack(concerns: Concerns) -> bytes:
    """Arrow IPC bytes."""
    told = {_NAMELESS + "\t".join(cause).encode(): str(n) for cause, n in concerns.nameless.items()}
    table = concerns.growers.replace_schema_metadata(told)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def unpack(data: bytes) -> Concerns:
    """The concerns that were packed."""
    table = pa.ipc.open_stream(data).read_all()
    nameless = {}
    for key, value in (table.schema.metadata or {}).items():
        status, _, code = key.removeprefix(_NAMELESS).decode().partition("\t")
        nameless[status, code] = int(value)
    return Concerns(table.replace_schema_metadata(None), nameless)


@dataclass(frozen=True, slots=True)
class Change:
    """What has changed since an earlier run.

    ``worse``: how many growers or rows need attention that did not, by cause; ``recovered``: how many growers
    did and do not; ``lasting``: how many do as before.
    """

    worse: Mapping[Cause, int] = field(default_factory=dict)
    recovered: int = 0
    lasting: int = 0


def change_since(before: Concerns, now: Concerns) -> Change:
    """Return what has changed between the ends of two runs."""
    old, new = before.growers["grower"].combine_chunks(), now.growers["grower"].combine_chunks()
    known = pc.is_in(new, value_set=old)
    fresh = now.growers.filter(pc.invert(known))
    worse = Counter(zip(fresh["status"].to_pylist(), fresh["code"].to_pylist(), strict=True))
    for cause, count in now.nameless.items():
        worse[cause] += max(0, count - before.nameless.get(cause, 0))
    lasting = len(new) - len(fresh)
    return Change({cause: count for cause, count in worse.items() if count}, len(old) - lasting, lasting)


def joined(parts: Mapping[str, Concerns], latest: Concerns) -> Concerns:
    """Join what each of these says of growers at one provider; ``latest`` is for rows that name none."""
    tables = [
        part.growers.filter(pc.starts_with(part.growers["grower"], f"{name} "))
        for name, part in [*parts.items(), ("", latest)]
    ]
    return Concerns(pa.concat_tables([_SCHEMA.empty_table(), *tables]).combine_chunks(), latest.nameless)


class Reckoning:
    """Goes through a run's results page by page: tells each row its age, and sums up what has changed.

    ``before``: the concerns after the run before. ``began``: when this run did. A report written again takes
    the run's own concerns and ``again``: then nothing grows older by it.
    """

    def __init__(self, before: Concerns, began: str, *, again: bool = False) -> None:
        self._before, self._began, self._step = before, began, 0 if again else 1
        self._known = before.growers["grower"].combine_chunks()
        self._met = np.zeros(len(self._known), bool)  # needs attention now
        self._well = np.zeros(len(self._known), bool)
        self._found: list[pa.Table] = []
        self._nameless: Counter[Cause] = Counter()

    def add(self, page: pd.DataFrame) -> pd.DataFrame:
        """The page with `SINCE` and `RUNS` filled in for the rows that need attention."""
        status = _texts(page["status"])
        connected = _among(status, _CONNECTED)
        unhealthy = connected & _among(_texts(page["health"]), _UNHEALTHY)
        changed = connected & _among(_texts(page["code"]), _CHANGED)
        bad = np.flatnonzero(_among(status, _ATTENTION) | unhealthy | changed)
        if len(self._known):
            at = self._find(_keys(page).filter(pa.array(connected & ~unhealthy & ~changed)))
            self._well[at[at >= 0]] = True
        return self._aged(page, bad, unhealthy) if len(bad) else page

    def _aged(self, page: pd.DataFrame, bad: np.ndarray, unhealthy: np.ndarray) -> pd.DataFrame:
        lines = page[["provider", "leafUserId", "status", "code"]].iloc[bad]
        named = lines["leafUserId"].str.fullmatch(_UUID).to_numpy(bool)
        cause = lines["status"].where(~unhealthy[bad], Health.UNHEALTHY.value)
        self._nameless.update(zip(cause[~named], lines["code"][~named], strict=True))
        lines, cause, bad = lines[named], cause[named], bad[named]
        keys = _keys(lines)
        at = self._find(keys)
        self._met[at[at >= 0]] = True
        take = pa.array(at, mask=at < 0)
        since = pc.fill_null(self._before.growers["since"].combine_chunks().take(take), self._began)
        runs = pc.fill_null(self._before.growers["runs"].combine_chunks().take(take), 1 - self._step)
        runs = pc.add(runs, self._step)
        columns = [keys, *(_texts(each) for each in (cause, lines["code"])), since, runs]
        self._found.append(pa.table(columns, schema=_SCHEMA))
        page = page.copy(deep=False)
        page[SINCE], page[RUNS] = _over(page[SINCE], bad, since), _over(page[RUNS], bad, runs)
        return page

    def _find(self, keys: pa.Array) -> np.ndarray:
        """Where these growers are among those known, -1 for others."""
        found = pc.index_in(keys, value_set=self._known)
        return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int64)

    def concerns(self) -> Concerns:
        """After the last page: who needs attention now. Who was in no row of this file stays as they were."""
        kept = self._before.growers.filter(pa.array(~(self._met | self._well)))
        return Concerns(pa.concat_tables([self._now(), kept]), dict(self._nameless))

    def _now(self) -> pa.Table:
        """A line for each grower that needs attention: the first, where several rows are of one."""
        found = pa.concat_tables([_SCHEMA.empty_table(), *self._found]).combine_chunks()
        first = ~pd.Series(found["grower"].to_pandas()).duplicated().to_numpy(bool)
        return found.filter(pa.array(first))


def _among(column: pa.Array, words: pa.Array) -> np.ndarray:
    return np.asarray(pc.is_in(column, value_set=words).to_numpy(zero_copy_only=False), bool)


def _keys(lines: pd.DataFrame) -> pa.Array:
    return pc.binary_join_element_wise(_texts(lines["provider"]), _texts(lines["leafUserId"]), " ")


def _texts(column: pd.Series) -> pa.Array:
    found = pa.array(column, pa.string(), from_pandas=True)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _over(column: pd.Series, lines: np.ndarray, values: pa.Array) -> pd.Series:
    """A column with other values in these lines."""
    whole = column.copy()
    whole.iloc[lines] = values.to_pandas().to_numpy()
    return whole
