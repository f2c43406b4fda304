"""Whole columns of text as the bytes they are; UUIDs as numbers and back. Pure."""

from __future__ import annotations

import binascii
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Texts: TypeAlias = pa.Array | pa.ChunkedArray

_UUID_LENGTH = 36
_DASHES = (8, 13, 18, 23)
# The groups of digits, the last one in two parts: copied as numbers, which is faster than byte by byte.
_NAMES, _KINDS = list("abcdef"), ["u8", "u4", "u4", "u4", "u8", "u4"]
_IN_UUID = np.dtype({"names": _NAMES, "formats": _KINDS, "offsets": [0, 9, 14, 19, 24, 32], "itemsize": 36})
_IN_DIGITS = np.dtype({"names": _NAMES, "formats": _KINDS, "offsets": [0, 8, 12, 16, 20, 28], "itemsize": 32})


def flat(texts: Texts) -> pa.Array:
    """A column in one piece, with offsets of 64 bits."""
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    return whole if whole.type == pa.large_string() else whole.cast(pa.large_string())


def bytes_of(texts: Texts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The UTF-8 of all values, one after the other; where each begins, and its length in bytes.

    Without nulls.
    """
    column = flat(texts)
    _, offsets, data = column.buffers()
    if not len(column) or data is None:
        nothing = np.zeros(len(column), np.int64)
        return np.empty(0, np.uint8), nothing, nothing
    ends = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]], ends[:-1] - ends[0], np.diff(ends)


def uuid_words(texts: Texts) -> np.ndarray | None:
    """UUIDs -> 16 bytes each, as two unsigned numbers: rows x 2. None if not all of them are UUIDs."""
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
    """The other way round, in lower case."""
    texts = np.full((len(words), _UUID_LENGTH), ord("-"), np.uint8)
    digits = np.frombuffer(binascii.hexlify(words.data), _IN_DIGITS)
    _copy_groups(digits, texts.reshape(-1).view(_IN_UUID))
    return _texts(texts)


def _copy_groups(here: np.ndarray, there: np.ndarray) -> None:
    for group in _NAMES:
        there[group] = here[group]


def _texts(lines: np.ndarray) -> pa.LargeStringArray:
    """Texts of one length."""
    ends = np.arange(len(lines) + 1, dtype=np.int64) * lines.shape[1]
    return pa.LargeStringArray.from_buffers(len(lines), pa.py_buffer(ends), pa.py_buffer(lines))


def only_value(texts: Texts) -> str | None:
    """The one value that all of them have; None if there are several, or none at all."""
    data, _, lengths = bytes_of(texts)
    if not len(lengths) or (lengths != lengths[0]).any():
        return None
    length = int(lengths[0])
    first, last = data[:length], data[len(data) - length :]
    if not np.array_equal(first, last):  # mostly two are enough
        return None
    return first.tobytes().decode() if np.array_equal(data[length:], data[: len(data) - length]) else None


def repeated(text: str, count: int) -> pa.LargeStringArray:
    """The same text so many times."""
    return _repeated(text, count) if len(text) <= _REMEMBERED else _repeated.__wrapped__(text, count)


# Our own words, in chunk after chunk of one length; nobody can write to an array of Arrow's.
_REMEMBERED = 100


@lru_cache(maxsize=16)
def _repeated(text: str, count: int) -> pa.LargeStringArray:
    return pa.repeat(pa.scalar(text, pa.large_string()), count)


def joined(*parts: pa.Array | str) -> pa.LargeStringArray:
    """Each row's texts put together; a plain text is the same for all rows."""
    arguments = [
        pa.scalar(part, pa.large_string()) if isinstance(part, str) else flat(part) for part in parts
    ]
    return pc.binary_join_element_wise(*arguments, pa.scalar("", pa.large_string()))
