"""Keyed fingerprints of secrets: equal secrets can be recognised, and nothing can be learnt from them.

BLAKE2b with a key (RFC 7693), 16 bytes. The key is random, made with the ledger and kept in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

SIZE = 16  # bytes


class Fingerprints:
    """Fingerprints under one key (up to 64 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=SIZE)

    def of_columns(self, columns: Sequence[Sequence[str]]) -> list[bytes]:
        """The fingerprint of each line across these columns of equal length.

        Every value goes in with its length before it, so that ("ab", "c") differs from ("a", "bc").
        """
        return [self._digest(values) for values in zip(*columns, strict=True)]

    def _digest(self, values: Sequence[str]) -> bytes:
        one = self._keyed.copy()
        for value in values:
            text = value.encode("utf-8", "surrogatepass")
            one.update(b"%d:" % len(text) + text)
        return one.digest()
