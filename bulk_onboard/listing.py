"""UUIDs in columns, to be found again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

# Multiplying by an odd number loses nothing, so that both halves of a UUID count in its key.
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class Ids:
    """UUIDs, each once, sorted by key; ``words`` rows x 2."""

    keys: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, ids: np.ndarray) -> np.ndarray:
        """Where these (rows x 2) are, -1 for those that are not. Two with one key would hide one another."""
        if not len(self):
            return np.full(len(ids), -1)
        at = np.minimum(np.searchsorted(self.keys, _keys(ids)), len(self) - 1)
        return np.where((self.words[at] == ids).all(axis=1), at, -1)


def indexed(ids: np.ndarray) -> tuple[Ids, np.ndarray]:
    """UUIDs (rows x 2) to be found again, and at which line each stood; of several alike the last counts."""
    keys = _keys(ids)
    order = np.argsort(keys, kind="stable")
    last = np.ones(len(order), bool)
    last[:-1] = keys[order][1:] != keys[order][:-1]
    order = order[last]
    return Ids(keys[order], ids[order]), order


def words(leaf_user_ids: Sequence[str]) -> np.ndarray:
    """UUIDs as text -> two unsigned numbers each, rows x 2."""
    data = bytes.fromhex("".join(leaf_user_ids).replace("-", ""))
    return np.frombuffer(data, np.uint64).reshape(-1, 2)


def texts(ids: np.ndarray) -> list[str]:
    """The UUIDs again."""
    return [str(UUID(bytes=one.tobytes())) for one in ids]


def _keys(ids: np.ndarray) -> np.ndarray:
    return ids[:, 0] ^ (ids[:, 1] * _ODD)
