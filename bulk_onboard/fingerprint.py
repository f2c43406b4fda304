"""Keyed fingerprints of secrets: equal secrets can be recognised, and nothing can be learnt from them.

16 bytes under a key that is random, made with the ledger and kept in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from bulk_onboard.siphash import SipHash
from bulk_onboard.texts import Texts, bytes_of

SIZE = 16  # bytes
# Longer values go in as their BLAKE2b: that is faster for them, and no value makes many words.
LONGEST = 128
_LONG = blake2b.MAX_DIGEST_SIZE
_WORD = 8
# The lowest bytes of a word, by their number.
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(_WORD + 1)], np.uint64)


class Fingerprints:
    """Fingerprints under one key (up to 64 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._sip_key = blake2b(key=key, digest_size=16, person=b"siphash").digest()
        self._long = blake2b(key=key, digest_size=_LONG, person=b"long")

    def of_columns(self, columns: Sequence[Texts]) -> np.ndarray:
        """The fingerprint of each line across these text columns of equal length: lines x 2, uint64.

        Every value goes in with its length before it, so that ("ab", "c") differs from ("a", "bc").
        """
        hashes = SipHash(self._sip_key, len(columns[0]))
        for column in columns:
            self._take_in(hashes, column)
        return hashes.finish()

    def _take_in(self, hashes: SipHash, column: Texts) -> None:
        """The length of each value as a word, then its bytes, filled up with zeros to whole words."""
        data, starts, lengths = bytes_of(column)
        hashes.add(lengths.astype(np.uint64))
        if (long := np.flatnonzero(lengths > LONGEST)).size:
            data, starts, lengths = self._shortened(data, starts, lengths, long)
        data = np.append(data, np.zeros(_WORD, np.uint8))
        counts = -(-lengths // _WORD)
        least, most = (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)
        for i in range(most):
            to = None if i < least else np.flatnonzero(counts > i)
            at, left = (starts, lengths) if to is None else (starts[to], lengths[to])
            hashes.add(_words(data, at + i * _WORD, left - i * _WORD), to)

    def _shortened(
        self, data: np.ndarray, starts: np.ndarray, lengths: np.ndarray, long: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """With a digest in the place of each long value."""
        view, ends = data.data, starts + lengths
        spans = zip(starts[long].tolist(), ends[long].tolist(), strict=True)
        digests = [self._long_digest(view[start:end]) for start, end in spans]
        starts, lengths = starts.copy(), lengths.copy()
        starts[long] = len(data) + _LONG * np.arange(len(long))
        lengths[long] = _LONG
        return np.append(data, np.frombuffer(b"".join(digests), np.uint8)), starts, lengths

    def _long_digest(self, value: memoryview) -> bytes:
        one = self._long.copy()
        one.update(value)
        return one.digest()


def _words(data: np.ndarray, at: np.ndarray, left: np.ndarray) -> np.ndarray:
    """The words that begin there, without the bytes after the end of their values."""
    # Where a word begins need not be a multiple of anything; nor need there be eight bytes behind it.
    every = np.ndarray(len(data) - _WORD + 1, "<u8", data, strides=(1,))
    words: np.ndarray = every[at]
    return words if left.min() >= _WORD else words & _MASKS[np.minimum(left, _WORD)]
