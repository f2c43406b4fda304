"""What only the whole file shows: rows that repeat or contradict others, however far apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from bulk_onboard.ascending import places
from bulk_onboard.validation.check import Checked, id_words
from bulk_onboard.validation.ids import UUID_PATTERN

# So many other rows are named in a message.
_LISTED = 5
_GRAVEST = ("id-as-token", "conflicting-rows", "shared-token", "duplicate")


class Sightings(NamedTuple):
    """Valid rows: their numbers, growers (rows x 2), and 64 bits each of their fingerprints and digests."""

    rows: np.ndarray
    ids: np.ndarray
    prints: np.ndarray
    digests: np.ndarray


# By row: status, code, message.
Findings = dict[int, tuple[str, str, str]]


class Column(Protocol):
    """Values that more are added to."""

    def add(self, part: np.ndarray) -> None:
        """One more part."""

    @property
    def values(self) -> np.ndarray:
        """What was added so far."""


class NewColumn(Protocol):
    """Makes an empty one, of values of this kind and shape."""

    def __call__(self, kind: type[np.generic], /, *shape: int) -> Column: ...


class InMemory:
    """Values that more are added to. Large arrays, for many small ones would leave holes where they stood."""

    def __init__(self, kind: type[np.generic], *shape: int) -> None:
        self._room, self._filled = np.empty((0, *shape), kind), 0

    def add(self, part: np.ndarray) -> None:
        """One more part, which is copied."""
        filled = self._filled + len(part)
        if filled > len(self._room):
            # Memory that nothing was written to costs nothing.
            room = np.empty((max(filled, 2 * len(self._room)), *self._room.shape[1:]), self._room.dtype)
            room[: self._filled] = self.values
            self._room = room
        self._room[self._filled : filled] = part
        self._filled = filled

    @property
    def values(self) -> np.ndarray:
        """What was added so far, where it stands."""
        return self._room[: self._filled]


class Repeats:
    """Finds exact repeats, conflicts and shared tokens, however far apart; about 32 bytes per row.

    128 bits of identity and 64 of the keyed fingerprints: two different ones are not taken for equal.
    """

    def __init__(self, column: NewColumn = InMemory) -> None:
        """``column``: what holds those bytes."""
        self._column = column
        self._rows, self._ids, self._prints = column(np.int64), column(np.uint64, 2), column(np.uint64)
        self._uuid_tokens: dict[int, bytes] = {}
        self._invalid_ids = column(np.uint64, 2)  # the ids of invalid rows
        self._digests: Column | None = None  # as long as they are the fingerprints

    def add(self, checked: Checked) -> None:
        """Take in the valid rows of a chunk."""
        if self._digests is None and checked.digests is not checked.prints:
            self._digests = self._column(np.uint64)
            self._digests.add(self._prints.values)
        if self._digests:
            self._digests.add(checked.digests[:, 0])
        valid = (checked.frame["code"] == "").to_numpy(bool)
        self._rows.add(checked.frame["row"].to_numpy(np.int64)[valid])
        self._ids.add(checked.ids)
        self._prints.add(checked.prints[:, 0])
        self._uuid_tokens |= checked.uuid_tokens
        if not valid.all():
            shown = checked.frame["leafUserId"][~valid]
            ids = id_words(shown[shown.str.fullmatch(UUID_PATTERN.strip("^$"))])
            if ids is not None:
                self._invalid_ids.add(ids)

    def findings(self, *, allow_shared_tokens: bool) -> pd.DataFrame:
        """Rows that repeat or contradict others: row, status (duplicate or invalid), code, message."""
        found = [of_growers(self._taken(_several(self._ids.values))), self._ids_as_tokens()]
        if not allow_shared_tokens:
            found.append(of_tokens(self._taken(_several(self._prints.values.reshape(-1, 1)))))
        return findings_of(found)

    def _ids_as_tokens(self) -> Findings:
        """Rows whose token is the id of another grower, as in a column that is shifted by a row."""
        if not self._uuid_tokens:
            return {}
        tokens = np.frombuffer(b"".join(self._uuid_tokens.values()), np.uint64).reshape(-1, 2)
        all_ids = (self._ids.values, self._invalid_ids.values)
        same = {words.tobytes() for ids in all_ids for words in ids[np.isin(ids[:, 0], tokens[:, 0])]}
        said = ("invalid", "id-as-token", "the token is the leafUserId of another row")
        return {row: said for row, uuid in self._uuid_tokens.items() if uuid in same}

    def sightings(self) -> Sightings:
        """What was taken in, as one."""
        return self._taken(slice(None))

    def _taken(self, which: np.ndarray | slice) -> Sightings:
        """Of what was taken in these lines: of one column after the other, for few are most often wanted."""
        rows, ids, prints = (each.values[which] for each in (self._rows, self._ids, self._prints))
        return Sightings(rows, ids, prints, self._digests.values[which] if self._digests else prints)

    def rename(self, rows: np.ndarray, ids: np.ndarray) -> None:
        """These rows (ascending) turned out to be of other growers (rows x 2) than they were added as."""
        at, met = places(self._rows.values, rows)
        renamed = self._ids.values
        renamed[at[met]] = ids[met]
        self._ids = self._column(np.uint64, 2)
        self._ids.add(renamed)


def of_growers(seen: Sightings) -> Findings:
    """Rows of growers who have several: the same again, or contradicting each other."""
    found: Findings = {}
    for group in groups(seen.ids):
        _judge_grower(seen.rows[group], seen.digests[group], found)
    return found


def of_tokens(seen: Sightings) -> Findings:
    """Rows of different growers with one token."""
    found: Findings = {}
    for group in groups(seen.prints.reshape(-1, 1)):
        _judge_token(seen.rows[group], seen.ids[group], found)
    return found


def findings_of(each: Iterable[Findings]) -> pd.DataFrame:
    """All of them: row, status, code, message, one line a row. Of several the gravest is told."""
    told: Findings = {}
    for found in each:
        for row, what in found.items():
            if row not in told or _GRAVEST.index(what[1]) < _GRAVEST.index(told[row][1]):
                told[row] = what
    lines = [(row, *what) for row, what in sorted(told.items())]
    return pd.DataFrame(lines, columns=["row", "status", "code", "message"])


def groups(keys: np.ndarray) -> list[np.ndarray]:
    """Positions that share a key (a line of numbers), ascending, for keys that occur more than once."""
    suspects = _several(keys)
    lines = pd.DataFrame(keys[suspects])
    groups = lines.groupby(list(lines), sort=False).indices.values() if len(lines) else ()
    return [suspects[np.sort(group)] for group in groups if len(group) > 1]


def _several(keys: np.ndarray) -> np.ndarray:
    """Positions of all keys (lines of numbers) that may occur more than once: their first numbers do."""
    first = np.sort(keys[:, 0])
    again = first[1:][first[1:] == first[:-1]]
    return np.flatnonzero(np.isin(keys[:, 0], again)) if len(again) else again.astype(np.int64)


def _judge_grower(rows: np.ndarray, digests: np.ndarray, found: Findings) -> None:
    """Several rows for one grower: the same again, or contradicting each other."""
    if (digests == digests[0]).all():
        for row in rows[1:]:
            found[int(row)] = ("duplicate", "duplicate", f"repeats row {rows[0]}")
        return
    for row in rows:
        told = f"the same grower has different credentials in {others(rows, row)}"
        found[int(row)] = ("invalid", "conflicting-rows", told)


def _judge_token(rows: np.ndarray, ids: np.ndarray, found: Findings) -> None:
    """Several rows with one token: wrong if they are of different growers."""
    if (ids == ids[0]).all():
        return
    for row in rows:
        told = f"another grower has the same token in {others(rows, row)}"
        found[int(row)] = ("invalid", "shared-token", told)


def others(rows: np.ndarray, row: int) -> str:
    """Which rows these are, but for this one; not all of them, if they are many."""
    found = [int(other) for other in rows[: _LISTED + 1] if other != row][:_LISTED]
    more = len(rows) - int((rows == row).any()) - len(found)
    word = "row" if len(found) == 1 and not more else "rows"
    return f"{word} {', '.join(map(str, found))}" + (f" and {more} more" if more else "")
