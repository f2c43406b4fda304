"""One page of results: what the input held, joined with what the run did."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.codes import hint
from bulk_onboard.concerns import RUNS, SINCE
from bulk_onboard.entry import Entry
from bulk_onboard.manifest import KEPT_PREFIX
from bulk_onboard.model import Status
from bulk_onboard.texts import flat, only_value, repeated

COLUMNS = (
    "row",
    "leafUserId",
    "provider",
    "status",
    "health",
    "code",
    "message",
    "hint",
    "httpStatus",
    "attempts",
    "credentialId",
    "credentialStatus",
    "eventStatusCode",
    "eventAt",
    "startedAt",
    "finishedAt",
    "latencyMs",
    "fingerprint",
    SINCE,
    RUNS,
)
CLASH = " (input)"

Positions = npt.NDArray[np.int64]
Get = Callable[[Entry], Any]
Scalar = TypeVar("Scalar", bound=np.generic)


def merge(manifest: pd.DataFrame, entries: list[Entry], provider: str) -> pd.DataFrame:
    """The page with `COLUMNS` and then the kept columns, a line per line of the manifest, in its order.

    An entry says more than the manifest, except of what was read from the file: the grower and the
    fingerprint. A row to do without an entry was not attempted; an entry without a status is an intent
    whose outcome nobody knows.
    """
    page = _Page(manifest, entries)
    status = page.status()
    code = page.code(status)
    columns: dict[str, Any] = {
        "row": page.rows,
        "leafUserId": page.read("leafUserId"),
        "provider": page.read("provider") if "provider" in manifest else repeated(provider, len(manifest)),
        "status": status,
        "health": page.overridden("health", attrgetter("health")),
        "code": code,
        "message": page.overridden("message", attrgetter("message")),
        "hint": _hints(code),
        "httpStatus": page.optional_int(attrgetter("http_status")),
        "attempts": page.number(attrgetter("attempts")),
        "credentialId": page.overridden("credentialId", attrgetter("credential_id")),
        "credentialStatus": page.text(attrgetter("credential_status")),
        "eventStatusCode": page.optional_int(attrgetter("event_status")),
        "eventAt": page.text(attrgetter("event_at")),
        "startedAt": page.text(lambda entry: entry.started_at or entry.intended_at),
        "finishedAt": page.text(attrgetter("finished_at")),
        "latencyMs": page.milliseconds(attrgetter("latency_ms")),
        "fingerprint": page.read("fingerprint"),
        # How old a failure is, is not known from one run alone: `concerns` fills these in.
        SINCE: repeated("", len(manifest)),
        RUNS: page.unknown(),
    }
    return pd.DataFrame(
        {name: _series(column) for name, column in columns.items()} | _kept(manifest), copy=False
    )


class _Page:
    """The manifest's columns, and for every line the position of its entry, -1 if there is none."""

    def __init__(self, manifest: pd.DataFrame, entries: list[Entry]) -> None:
        self._manifest, self._entries = manifest, entries
        self.rows = manifest["row"].to_numpy(dtype=np.int64)
        self._at = _positions(self.rows, entries)
        self._take = pa.array(self._at, mask=self._at < 0)

    def read(self, name: str) -> pa.Array:
        """A column as the manifest has it."""
        column = flat(pa.array(self._manifest[name], pa.large_string(), from_pandas=True))
        return pc.fill_null(column, "") if column.null_count else column

    def text(self, get: Get) -> pa.Array:
        """A text that only entries have."""
        if not self._entries:
            return repeated("", len(self.rows))
        return pc.fill_null(self._taken(get, pa.large_string()), "")

    def overridden(self, name: str, get: Get) -> pa.Array:
        """A column of the manifest, where an entry does not say otherwise."""
        known = self.read(name)
        if not self._entries:
            return known
        said = pa.array([get(entry) or "" for entry in self._entries], pa.large_string())
        return pc.coalesce(said.take(self._take), known)

    def status(self) -> pa.Array:
        """Every row has one: an intent without outcome is unresolved, a row never begun not attempted."""
        known = self.overridden("status", lambda entry: entry.status or Status.UNRESOLVED.value)
        if only_value(known):  # as in most pages of most nights
            return known
        return pc.if_else(pc.equal(known, ""), Status.NOT_ATTEMPTED.value, known)

    def code(self, status: pa.Array) -> pa.Array:
        """A row that has no outcome has a code that says so."""
        known = self.overridden("code", lambda entry: entry.code if entry.status else "open-intent")
        if only_value(known):
            return known
        silent = pc.and_(pc.equal(status, Status.NOT_ATTEMPTED.value), pc.equal(known, ""))
        return pc.if_else(silent, "not-attempted", known)

    def number(self, get: Get) -> Positions:
        """A count that is 0 where there is no entry."""
        if not self._entries:
            return np.zeros(len(self.rows), dtype=np.int64)
        return _numpy(pc.fill_null(self._taken(get, pa.int64()), 0), np.int64)

    def optional_int(self, get: Get) -> pd.arrays.IntegerArray:
        """An integer that may be missing."""
        if not self._entries:
            return self.unknown()
        found = self._taken(get, pa.int64())
        return pd.arrays.IntegerArray(
            _numpy(pc.fill_null(found, 0), np.int64), _numpy(pc.is_null(found), np.bool_)
        )

    def unknown(self) -> pd.arrays.IntegerArray:
        """A number that is missing everywhere."""
        return pd.arrays.IntegerArray(np.zeros(len(self.rows), np.int64), np.ones(len(self.rows), bool))

    def milliseconds(self, get: Get) -> npt.NDArray[np.float64]:
        """A time to a tenth of a millisecond; more digits would only be noise."""
        if not self._entries:
            return np.full(len(self.rows), np.nan)
        return np.round(_numpy(self._taken(get, pa.float64()), np.float64), 1)

    def _taken(self, get: Get, kind: pa.DataType) -> pa.Array:
        return pa.array([get(entry) for entry in self._entries], kind).take(self._take)


def _numpy(column: pa.Array, kind: type[Scalar]) -> npt.NDArray[Scalar]:
    """A copy that may be written to; nulls of a float column become NaN."""
    return np.array(column.to_numpy(zero_copy_only=False), dtype=kind)


def _positions(rows: Positions, entries: Sequence[Entry]) -> Positions:
    if not entries:
        return np.full(len(rows), -1, dtype=np.int64)
    index = pd.Index([entry.row for entry in entries], dtype="int64")
    return index.get_indexer(pd.Index(rows)).astype(np.int64)


def _hints(code: pa.Array) -> pa.Array:
    """The hints, looked up once per code that occurs."""
    if (only := only_value(code)) is not None:
        return repeated(hint(only), len(code))
    coded = code.dictionary_encode()
    return pa.array([hint(each) for each in coded.dictionary.to_pylist()], pa.large_string()).take(
        coded.indices
    )


def _kept(manifest: pd.DataFrame) -> dict[str, pd.Series]:
    """The kept columns under their headers in the file, told apart from ours where they have one name."""
    kept: dict[str, pd.Series] = {}
    for name in manifest.columns:
        if name.startswith(KEPT_PREFIX):
            kept[_header(name.removeprefix(KEPT_PREFIX), kept)] = manifest[name].reset_index(drop=True)
    return kept


def _header(name: str, taken: Container[str]) -> str:
    while name in COLUMNS or name in taken:
        name += CLASH
    return name


def _series(column: Any) -> pd.Series:
    return pd.Series(pd.array(column, dtype="str") if isinstance(column, pa.Array) else column, copy=False)
