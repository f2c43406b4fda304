"""One page of results: what the input held, joined with what the run did."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.concerns import RUNS, SINCE
from bulk_onboard.domain.codes import hint
from bulk_onboard.entry import Entry
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
    "healthCheckedAt",
)
CLASH = " (input)"

Positions = npt.NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)


def merge(manifest: pd.DataFrame, entries: Sequence[tuple[Any, ...]], provider: str) -> pd.DataFrame:
    """The page with `COLUMNS` and then the kept columns, a line per line of the manifest, in its order.

    ``entries`` are `Entry`s, or plain tuples like them. An entry says more than the manifest, except of
    what was read from the file: the grower and the fingerprint. A row to do without an entry was not
    attempted; an entry without a status is an intent whose outcome nobody knows.
    """
    page = _Page(manifest, entries)
    status = page.status()
    code = page.code(status)
    columns: dict[str, Any] = {
        "row": page.rows,
        "leafUserId": page.read("leafUserId"),
        "provider": page.read("provider") if "provider" in manifest else repeated(provider, len(manifest)),
        "status": status,
        "health": page.overridden("health", page.said("health")),
        "code": code,
        "message": page.overridden("message", page.said("message")),
        "hint": _hints(code),
        "httpStatus": page.optional_int(page.said("http_status")),
        "attempts": page.number(page.said("attempts")),
        "credentialId": page.overridden("credentialId", page.said("credential_id")),
        "credentialStatus": page.text(page.said("credential_status")),
        "eventStatusCode": page.optional_int(page.said("event_status")),
        "eventAt": page.text(page.said("event_at")),
        "startedAt": page.started(),
        "finishedAt": page.text(page.said("finished_at")),
        "latencyMs": page.milliseconds(page.said("latency_ms")),
        "fingerprint": page.read("fingerprint"),
        # How old a failure is, is not known from one run alone: `concerns` fills these in.
        SINCE: repeated("", len(manifest)),
        RUNS: page.unknown(),
        "healthCheckedAt": page.checked(page.said("health_checked_at")),
    }
    return pd.DataFrame(
        {name: _series(column) for name, column in columns.items()} | _kept(manifest), copy=False
    )


KEPT_PREFIX = "keep."


class _Page:
    """The manifest's columns, and for every line where its entry stands among the entries."""

    def __init__(self, manifest: pd.DataFrame, entries: Sequence[tuple[Any, ...]]) -> None:
        self._manifest = manifest
        self.rows = manifest["row"].to_numpy(dtype=np.int64)
        # Taken apart once, for what comes are columns; empty if there are none.
        self._said = dict(zip(Entry._fields, zip(*entries, strict=True), strict=False))
        at = _positions(self.rows, self.said("row"))
        self._take = pa.array(at, mask=at < 0)

    def read(self, name: str) -> pa.Array:
        """A column as the manifest has it."""
        column = flat(pa.array(self._manifest[name], pa.large_string(), from_pandas=True))
        return pc.fill_null(column, "") if column.null_count else column

    def said(self, field: str) -> Sequence[Any]:
        """What the entries say in this field."""
        return self._said.get(field, ())

    def text(self, said: Sequence[str]) -> pa.Array:
        """A text that only entries have."""
        if not self._said:
            return repeated("", len(self.rows))
        return pc.fill_null(self._taken(said, pa.large_string()), "")

    def overridden(self, name: str, said: Sequence[str]) -> pa.Array:
        """A column of the manifest, where an entry does not say otherwise."""
        known = self.read(name)
        return pc.coalesce(self._taken(said, pa.large_string()), known) if self._said else known

    def checked(self, said: Sequence[str]) -> pa.Array:
        """When the health was checked, in this run or before."""
        before = self.read("healthCheckedAt")
        return pc.coalesce(self._taken(said, pa.large_string()), before) if self._said else before

    def status(self) -> pa.Array:
        """Every row has one: an intent without outcome is unresolved, a row never begun not attempted."""
        known = self.overridden("status", [each or Status.UNRESOLVED.value for each in self.said("status")])
        if only_value(known):  # as in most pages of most nights
            return known
        return pc.if_else(pc.equal(known, ""), Status.NOT_ATTEMPTED.value, known)

    def code(self, status: pa.Array) -> pa.Array:
        """A row that has no outcome has a code that says so."""
        told = zip(self.said("status"), self.said("code"), strict=True)
        known = self.overridden("code", [code if ended else "open-intent" for ended, code in told])
        if only_value(known):
            return known
        silent = pc.and_(pc.equal(status, Status.NOT_ATTEMPTED.value), pc.equal(known, ""))
        return pc.if_else(silent, "not-attempted", known)

    def started(self) -> pa.Array:
        """When a row was begun; of an intent, at the latest when its POST went out."""
        times = zip(self.said("started_at"), self.said("intended_at"), strict=True)
        return self.text([started or intended for started, intended in times])

    def number(self, said: Sequence[int]) -> Positions:
        """A count that is 0 where there is no entry."""
        if not self._said:
            return np.zeros(len(self.rows), dtype=np.int64)
        return _numpy(pc.fill_null(self._taken(said, pa.int64()), 0), np.int64)

    def optional_int(self, said: Sequence[int | None]) -> pd.arrays.IntegerArray:
        """An integer that may be missing."""
        if not self._said:
            return self.unknown()
        found = self._taken(said, pa.int64())
        return pd.arrays.IntegerArray(
            _numpy(pc.fill_null(found, 0), np.int64), _numpy(pc.is_null(found), np.bool_)
        )

    def unknown(self) -> pd.arrays.IntegerArray:
        """A number that is missing everywhere."""
        return pd.arrays.IntegerArray(np.zeros(len(self.rows), np.int64), np.ones(len(self.rows), bool))

    def milliseconds(self, said: Sequence[float | None]) -> npt.NDArray[np.float64]:
        """A time to a tenth of a millisecond; more digits would only be noise."""
        if not self._said:
            return np.full(len(self.rows), np.nan)
        return np.round(_numpy(self._taken(said, pa.float64()), np.float64), 1)

    def _taken(self, said: Sequence[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(said, kind).take(self._take)


def _numpy(column: pa.Array, kind: type[Scalar]) -> npt.NDArray[Scalar]:
    """A copy that may be written to; nulls of a float column become NaN."""
    return np.array(column.to_numpy(zero_copy_only=False), dtype=kind)


def _positions(rows: Positions, of_entries: Sequence[int]) -> Positions:
    if not of_entries:
        return np.full(len(rows), -1, dtype=np.int64)
    index = pd.Index(np.array(of_entries, dtype=np.int64))
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
