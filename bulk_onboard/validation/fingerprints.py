"""Keyed fingerprints of secrets: they show whether secrets are equal, and reveal nothing else.

128 bits under a random key that is created with the ledger and kept in it: two SipHash values (Aumasson and
Bernstein, 2012), each under a key of its own, as `pandas.util.hash_array` computes them in C.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np
import pandas as pd
import pyarrow as pa

# A ledger stores the fingerprint of this row, so that a change of pandas's hash is detected.
VECTOR = ("known", "values")
# pandas takes a key of 16 characters.
_KEY_CHARACTERS = 16
# The bits of an application's mark that belong to the environment.
ENVIRONMENT_HALF = (1 << 32) - 1


class Fingerprints:
    """Fingerprints under one key (up to 64 bytes)."""

    def __init__(self, key: bytes) -> None:
        """``key``: of the ledger."""
        self._app_key = blake2b(key=key, digest_size=32, person=b"application").digest()
        self._keys = [
            blake2b(key=key, digest_size=_KEY_CHARACTERS // 2, person=person).hexdigest()
            for person in (b"fingerprint 1", b"fingerprint 2")
        ]

    def of_columns(self, columns: Sequence[pa.Array | pa.ChunkedArray]) -> np.ndarray:
        """Return the fingerprint of each row across these text columns: rows x 2, uint64.

        With several columns each value is preceded by its length, so that ("ab", "c") differs from
        ("a", "bc").
        """
        # pandas hashes a text in UTF-8: as bytes, it is encoded once for both keys.
        if len(columns) == 1:
            values = np.asarray(columns[0].cast(pa.large_binary()), object)
        else:
            values = _joined(columns)
        hashes = [pd.util.hash_array(values, hash_key=key, categorize=False) for key in self._keys]
        return np.stack(hashes, axis=1)

    def of_app(self, fields: Mapping[str, str], environment: str) -> int:
        """Return the mark of an application: 32 bits of its fields, then 32 of its environment.

        ``environment`` is the name of the field that selects one of the provider's environments. Empty fields
        do not count.
        """
        app = [f"{name}={len(value)}:{value}" for name, value in sorted(fields.items()) if value]
        own = [text for text in app if not text.startswith(f"{environment}=")]
        halves = ("\n".join(half).encode() for half in (own, [text for text in app if text not in own]))
        return int.from_bytes(b"".join(blake2b(h, key=self._app_key, digest_size=4).digest() for h in halves))

    def of_entry(self, fields: Mapping[str, str], environment: str) -> int:
        """Return the mark of an application as an entry holds it: as a signed number of 64 bits."""
        return int(np.array(self.of_app(fields, environment), np.uint64).astype(np.int64))

    def of_apps(self, cells: pd.DataFrame, usual: Mapping[str, str], environment: str) -> np.ndarray:
        """Return the mark of each row's application (uint64): of ``usual`` fields, or filled ``cells``."""
        if not len(cells.columns):
            return np.full(len(cells), self.of_app(usual, environment), np.uint64)
        at, rows = pd.factorize(pd.MultiIndex.from_frame(cells))
        names = [str(name) for name in cells]
        filled = ({name: cell for name, cell in zip(names, row, strict=True) if cell} for row in rows)
        marks = [self.of_app({**usual, **own}, environment) for own in filled]
        return np.array(marks, np.uint64)[at]

    def of_row(self, values: Sequence[str]) -> bytes:
        """Return the fingerprint of a single row, 16 bytes."""
        return self.of_columns([pa.array([value], pa.large_string()) for value in values]).tobytes()


def _joined(columns: Sequence[pa.Array | pa.ChunkedArray]) -> np.ndarray:
    rows = zip(*(np.asarray(column, object).tolist() for column in columns), strict=True)
    return np.array(["".join(f"{len(value)}:{value}" for value in row).encode() for row in rows], object)
