"""What only the whole file shows of newcomers: rows that contradict each other about who is who. Pure.

One externalId goes with one email and the other way round, and what comes with a leafUserId in one row
is nobody without an id in another. Anything else would be a guess, and a guess makes two users of one grower,
or one of two.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bulk_onboard.domain.users import UserKey
from bulk_onboard.naming import Named
from bulk_onboard.repeats import groups, others
from bulk_onboard.validation.check import Checked

CODE = "conflicting-users"


class Whose:
    """Who is named how, in the whole file; about 40 bytes per row. 64 bits of keyed fingerprints."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, ...]] = []
        self._stand_ins: list[np.ndarray] = []
        self._unnamed: list[np.ndarray] = []

    def add(self, checked: Checked, names: Named) -> None:
        """Take in a chunk; of its unnamed rows the valid ones."""
        rows = checked.frame["row"].to_numpy(np.int64)
        valid = (checked.frame["code"] == "").to_numpy(bool)
        lines = names.unnamed.lines
        good = valid[lines]
        is_unnamed = np.zeros(len(rows), bool)
        is_unnamed[lines] = True
        taken = ~is_unnamed | valid
        none = np.zeros(len(rows), np.uint64)
        keys = (names.keys[by][:, 0] if by in names.keys else none for by in UserKey)
        self._parts.append((rows[taken], is_unnamed[taken], *(key[taken] for key in keys)))
        self._unnamed.append(rows[lines[good]])
        self._stand_ins.append(names.unnamed.stand_ins[good])

    @property
    def unnamed(self) -> np.ndarray:
        """The numbers of the valid rows without an id, ascending."""
        return np.concatenate([np.empty(0, np.int64), *self._unnamed])

    def shared(self) -> dict[bytes, tuple[int, ...]]:
        """By stand-in, the rows of each newcomer who stands in several."""
        if not self._stand_ins:
            return {}
        words, rows = np.concatenate(self._stand_ins), self.unnamed
        return {words[group[0]].tobytes(): tuple(rows[group].tolist()) for group in groups(words)}

    def findings(self) -> pd.DataFrame:
        """Rows without an id that contradict others: row, status, code, message."""
        found: dict[int, str] = {}
        if any(map(len, self._unnamed)):
            rows, unnamed, external, email = (np.concatenate(part) for part in zip(*self._parts, strict=True))
            for group in _of_newcomers(external, unnamed):
                found |= _judged(rows[group], unnamed[group], email[group], UserKey.EXTERNAL_ID)
            for group in _of_newcomers(email, unnamed):
                found |= _judged(rows[group], unnamed[group], external[group], UserKey.EMAIL)
        lines = [(row, "invalid", CODE, told) for row, told in sorted(found.items())]
        return pd.DataFrame(lines, columns=["row", "status", "code", "message"])


def _of_newcomers(keys: np.ndarray, unnamed: np.ndarray) -> Iterator[np.ndarray]:
    """Positions that share a key, where one of them is a newcomer's."""
    filled = np.flatnonzero((keys != 0) & np.isin(keys, keys[unnamed]))
    for group in groups(keys[filled].reshape(-1, 1)):
        yield filled[group]


def _judged(rows: np.ndarray, unnamed: np.ndarray, other: np.ndarray, by: UserKey) -> dict[int, str]:
    """``other``: the keys of the other kind. A blank email contradicts nothing, a blank externalId does."""
    if not unnamed.all():
        named = rows[~unnamed]
        told = f"the same {by} comes with a leafUserId in {others(named, -1)}"
        return {int(row): told for row in rows[unnamed]}
    told_apart = np.unique(other if by is UserKey.EMAIL else other[other != 0])
    if len(told_apart) < 2:
        return {}
    kind = UserKey.EMAIL if by is UserKey.EXTERNAL_ID else UserKey.EXTERNAL_ID
    return {int(row): f"the same {by} has another {kind} in {others(rows, row)}" for row in rows}
