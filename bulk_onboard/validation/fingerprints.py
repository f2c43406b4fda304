"""Keyed fingerprints of secrets: equal secrets can be recognised, and nothing can be learnt from them.

128 bits under a random key that is created with the ledger and kept in it: two SipHash values (Aumasson and
Bernstein, 2012), each under a key of its own, as `pandas.util.hash_array` computes them in C.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import pandas as pd

from bulk_onboard.texts import Texts

# A ledger keeps the fingerprint of this row, so that a change of pandas's hash would be noticed.
VECTOR = ("known", "values")
# pandas takes a key of 16 characters.
_KEY_CHARACTERS = 16


class Fingerprints:
    """Fingerprints under one key (up to 64 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._keys = [
            blake2b(key=key, digest_size=_KEY_CHARACTERS // 2, person=person).hexdigest()
            for person in (b"fingerprint 1", b"fingerprint 2")
        ]

    def of_columns(self, columns: Sequence[Texts]) -> np.ndarray:
        """Return the fingerprint of each row across these text columns: rows x 2, uint64.

        With several columns each value is preceded by its length, so that ("ab", "c") differs from
        ("a", "bc").
        """
        texts = [np.asarray(column, dtype=object) for column in columns]
        values = texts[0] if len(texts) == 1 else _joined(texts)
        hashes = [pd.util.hash_array(values, hash_key=key, categorize=False) for key in self._keys]
        return np.stack(hashes, axis=1)

    def of_row(self, values: Sequence[str]) -> bytes:
        """Return the fingerprint of a single row, 16 bytes."""
        return self.of_columns([np.array([value], object) for value in values]).tobytes()


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return np.array(["".join(f"{len(value)}:{value}" for value in row) for row in rows], object)
