"""Columns of text as bytes; UUIDs as numbers and back. Pure."""

from __future__ import annotations

import binascii
from typing import TypeAlias

import numpy as np
import pyarrow as pa

Texts: TypeAlias = pa.Array | pa.ChunkedArray

_UUID_LENGTH = 36
_DASHES = (8, 13, 18, 23)
# The groups of digits, the last one in two parts: copied as numbers, which is faster than byte by byte.
_NAMES, _KINDS = list("abcdef"), ["u8", "u4", "u4", "u4", "u8", "u4"]
_IN_UUID = np.dtype({"names": _NAMES, "formats": _KINDS, "offsets": [0, 9, 14, 19, 24, 32], "itemsize": 36})
_IN_DIGITS = np.dtype({"names": _NAMES, "formats": _KINDS, "offsets": [0, 8, 12, 16, 20, 28], "itemsize": 32})


def bytes_of(texts: Texts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the UTF-8 of all values, one after the other; where each begins, and its length in bytes.

    The column must not have nulls.
    """
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    column = whole if whole.type == pa.large_string() else whole.cast(pa.large_string())
    _, offsets, data = column.buffers()
    if not len(column) or data is None:
        nothing = np.zeros(len(column), np.int64)
        return np.empty(0, np.uint8), nothing, nothing
    ends = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]], ends[:-1] - ends[0], np.diff(ends)


def uuid_words(texts: Texts) -> np.ndarray | None:
    """Return UUIDs as two unsigned numbers of 64 bits each (rows x 2); None if not all of them are UUIDs."""
    data, _, lengths = bytes_of(texts)
    if not (lengths == _UUID_LENGTH).all():
        return None
    lines = data.reshape(-1, _UUID_LENGTH)
    if not all((lines[:, at] == ord("-")).all() for at in _DASHES):
        return None
    digits = np.empty(len(lengths), _IN_DIGITS)
    _copy_groups(data.view(_IN_UUID), digits)
    return _words(digits.tobytes(), len(lengths))


def _words(digits: bytes, rows: int) -> np.ndarray | None:
    try:
        data = binascii.unhexlify(digits)
    except binascii.Error:
        return None
    return np.frombuffer(data, np.uint64).reshape(-1, 2) if len(data) == 16 * rows else None


def uuid_texts(words: np.ndarray) -> pa.LargeStringArray:
    """Return such numbers as UUIDs in lower case."""
    texts = np.full((len(words), _UUID_LENGTH), ord("-"), np.uint8)
    digits = np.frombuffer(binascii.hexlify(words.data), _IN_DIGITS)
    _copy_groups(digits, texts.reshape(-1).view(_IN_UUID))
    ends = np.arange(len(words) + 1, dtype=np.int64) * _UUID_LENGTH
    return pa.LargeStringArray.from_buffers(len(words), pa.py_buffer(ends), pa.py_buffer(texts))


def _copy_groups(here: np.ndarray, there: np.ndarray) -> None:
    for group in _NAMES:
        there[group] = here[group]
