"""The newcomers of one file: rows named chunk by chunk, who is who in the whole file, who is known by now.

Mutable, as a file is read; nothing here touches the world.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np
import pandas as pd

from bulk_onboard.ascending import ascending, without
from bulk_onboard.domain.users import USER_FIELDS, UnresolvedGrower, UserKey
from bulk_onboard.errors import InternalError
from bulk_onboard.naming import KnownUsers, Named, Naming
from bulk_onboard.validation.check import Checked
from bulk_onboard.validation.columns import Columns
from bulk_onboard.validation.fingerprints import Fingerprints
from bulk_onboard.whose import Whose


class Strangers:
    """``naming`` fills in the ids that are known before the file is read; the others are kept here."""

    def __init__(self, columns: Columns, fingerprints: Fingerprints, known: Callable[[], KnownUsers]) -> None:
        self.naming = Naming(columns, fingerprints, known)
        self._whose = Whose()
        self._learned: dict[int, str] = {}
        self._shared: dict[bytes, tuple[int, ...]] | None = None

    def add(self, checked: Checked, names: Named) -> None:
        """Take in a chunk, in the first reading."""
        self._whose.add(checked, names)

    @property
    def unnamed(self) -> np.ndarray:
        """The numbers of the valid rows without an id yet, ascending."""
        rows = self._whose.unnamed
        return without(rows, ascending(self._learned))

    def with_findings(self, found: pd.DataFrame) -> pd.DataFrame:
        """What is found wrong with rows, and what is wrong with newcomers, which comes first."""
        own = self._whose.findings()
        if not len(own):
            return found
        rest = found[~found["row"].isin(own["row"])]
        return pd.concat([own, rest]).sort_values("row", ignore_index=True)

    def newcomers(
        self,
        checked: Checked,
        names: Named,
        wanted: np.ndarray,
        among: np.ndarray,
        open_keys: Collection[bytes],
    ) -> Iterator[UnresolvedGrower]:
        """The newcomers of one chunk, each where it first stands in one of these rows. See `Scan`."""
        rows = checked.frame["row"].to_numpy(np.int64)
        unnamed, told = names.unnamed, {name: names.unnamed.told[name].tolist() for name in _told(names)}
        now, ever = frozenset(wanted.tolist()), frozenset(among.tolist())
        for i, line in enumerate(unnamed.lines.tolist()):
            row = int(rows[line])
            its = [each for each in self._rows_of(unnamed.stand_ins[i], row) if each in ever]
            if row == next((each for each in its if each in now), None):
                cells = {name: column[i] for name, column in told.items() if column[i]}
                keys = _keys(names, line)
                yield UnresolvedGrower(tuple(its), keys, cells, any(key in open_keys for key in keys))

    def _rows_of(self, stand_in: np.ndarray, row: int) -> tuple[int, ...]:
        if self._shared is None:
            self._shared = self._whose.shared()
        return self._shared.get(stand_in.tobytes(), (row,))

    def learn(self, learned: Mapping[int, str]) -> dict[int, str]:
        """The ids of these rows' growers; and of all their other rows."""
        if self._shared is None:
            self._shared = self._whose.shared()
        found = dict(learned)
        for rows in self._shared.values():
            for leaf_user_id in {learned[row] for row in rows if row in learned}:
                found |= dict.fromkeys(rows, leaf_user_id)
        self._learned |= found
        return found

    def id_of(self, row: int) -> str:
        """The id that was learnt for a row. A stand-in must never be sent."""
        if row not in self._learned:
            raise InternalError(f"row {row} was about to be sent for a grower without an id")
        return self._learned[row]


def _told(names: Named) -> list[str]:
    return [name for name in USER_FIELDS if name in names.unnamed.told]


def _keys(names: Named, line: int) -> tuple[bytes, ...]:
    """That of the externalId first."""
    keys = (names.keys[by][line] for by in UserKey if by in names.keys)
    return tuple(key.tobytes() for key in keys if key.any())
