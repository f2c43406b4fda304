"""Row numbers in ascending order, each once: what two such arrays share, and what is left. Pure.

NumPy's own set operations sort or hash all of both: too long, and too much memory, for a few of millions.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np


def ascending(rows: Collection[int]) -> np.ndarray:
    """These row numbers as such an array."""
    return np.array(sorted(set(rows)), np.int64)


def both(many: np.ndarray, few: np.ndarray) -> np.ndarray:
    """Those of the few that are among the many."""
    shared: np.ndarray = few[places(many, few)[1]]
    return shared


def without(many: np.ndarray, few: np.ndarray) -> np.ndarray:
    """The many but for the few."""
    at, met = places(many, few)
    if not met.any():
        return many
    left = np.ones(len(many), bool)
    left[at[met]] = False
    return many[left]


def lines_of(few: np.ndarray, many: np.ndarray) -> np.ndarray:
    """The positions of those of the few, such as the rows of a chunk, that are among the many."""
    if not len(few):
        return np.empty(0, np.int64)
    mine = many[np.searchsorted(many, few[0]) : np.searchsorted(many, few[-1], "right")]
    at, met = places(few, mine)
    positions: np.ndarray = at[met]
    return positions


def places(many: np.ndarray, few: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each of the few would stand among the many, and whether it does. They may come in any order."""
    at = np.searchsorted(many, few)
    met = at < len(many)
    met[met] = many[at[met]] == few[met]
    return at, met
