"""Which cells of a column have to be looked at one by one: all that a rule may catch, and few others.

Columns are examined as bytes, because a million rows are checked in the time that reading them takes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.texts import bytes_of
from bulk_onboard.validation import words
from bulk_onboard.validation.cleaning import clean

_DIGIT, _LETTER, _E, _DOT, _DASH, _EQUALS, _SIGN, _OTHER = (1 << i for i in range(8))
_CLASSES = [
    (b"0123456789", _DIGIT),
    (b".", _DOT),
    (b"-", _DASH),
    (b"=", _EQUALS),
    (b"_~+/", _SIGN),
    (b"eE", _E),
]
_CLASSES += [(b"abcdfghijklmnopqrstuvwxyzABCDFGHIJKLMNOPQRSTUVWXYZ", _LETTER)]


def _table(classes: list[tuple[bytes, int]]) -> bytes:
    table = bytearray([_OTHER]) * 256
    for characters, bit in classes:
        for byte in characters:
            table[byte] = bit
    return bytes(table)


_TOKEN_TABLE = _table(_CLASSES)
_TEXT_TABLE = _table([*_CLASSES, (bytes(c for c in b" !\"#$%&'()*,:;<>?@[\\]^`{|}"), _SIGN)])
_LIMITS = (255, 32_767)
# Beginnings of Markdown, formulas and rows of x; brackets, quotes and spaces are other characters anyway.
_BEGINNINGS = np.frombuffer(b"_~+-=xX", np.uint8)
_ENDS = np.frombuffer(b" \"'`<>{}[]()$%#@:;,", np.uint8)
_ASCII_MONTHS = "|".join(month for month in words.MONTHS.split("|") if month.isascii())
_SHORT = 20
_SHORT_DATE = rf"(?i)^[0-9]{{0,4}}[-./]{{0,2}}(?:{_ASCII_MONTHS}|h)[a-z]*[-./]{{0,2}}[0-9]*[-./0-9]*$"
_CLASS_NAME = rf"^(?:www|{words.PACKAGES})\."
_ASCII_ERRORS = "|".join(word for word in words.ERROR_PREFIXES.split("|") if word.isascii())
_TEXT_WITH_DIGITS = rf"(?i)^(?:[x0]+[-_ ]|(?:{_ASCII_ERRORS})[.:# ]|(?:{words.PACKAGES})\.)"
_LONGEST_WORD = 60


def suspicious_tokens(cells: pd.Series, formats: str = "") -> np.ndarray:
    """The positions of tokens that a rule may catch. ``formats``: as for `rules.check_token`."""
    column = pa.array(cells, pa.large_string())
    data, starts, lengths = bytes_of(column)
    flags = _flags(data, starts, lengths, _TOKEN_TABLE)
    found = (flags == 0) | ((flags & _OTHER) > 0) | ((flags & _DIGIT) == 0) | ((flags & _LETTER) == 0)
    found |= np.isin(lengths, _LIMITS)
    filled = np.flatnonzero(lengths)
    found[filled] |= np.isin(data[starts[filled]], _BEGINNINGS)
    found |= _equals_inside(data, starts, lengths)
    found |= _odd_jwt(data, starts, lengths, formats)
    _add_matches(found, column, ~found & (lengths <= _SHORT), _SHORT_DATE)
    _add_matches(found, column, ~found & ((flags & _DOT) > 0), _CLASS_NAME)
    return np.flatnonzero(found)


def _add_matches(found: np.ndarray, column: pa.Array, which: np.ndarray, pattern: str) -> None:
    few = np.flatnonzero(which)
    if len(few):
        matches = pc.match_substring_regex(column.take(pa.array(few)), pattern)
        found[few] |= matches.to_numpy(zero_copy_only=False)


def suspicious_texts(cells: pd.Series) -> np.ndarray:
    """The positions of texts that deserve a warning, and others."""
    column = pa.array(cells, pa.large_string())
    data, starts, lengths = bytes_of(column)
    flags = _flags(data, starts, lengths, _TEXT_TABLE)
    found = (flags & (_DIGIT | _LETTER | _E)) == 0
    found |= ((flags & _OTHER) > 0) | (((flags & _DIGIT) == 0) & (lengths <= _LONGEST_WORD))
    filled = np.flatnonzero(lengths)
    first, last = data[starts[filled]], data[starts[filled] + lengths[filled] - 1]
    found[filled] |= np.isin(first, _ENDS) | np.isin(last, _ENDS)
    _add_matches(found, column, ~found & ((flags & (_DOT | _DASH | _SIGN)) > 0), _TEXT_WITH_DIGITS)
    return np.flatnonzero(found)


def not_ascii(cells: pd.Series) -> np.ndarray:
    """Which cells of a column contain a character beyond ASCII."""
    data, starts, lengths = bytes_of(pa.array(cells, pa.large_string()))
    found = np.zeros(len(lengths), bool)
    filled = np.flatnonzero(lengths)
    if len(filled):
        found[filled] = np.bitwise_or.reduceat(data, starts[filled]) > 127
    return found


def _flags(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray, table: bytes) -> np.ndarray:
    """The classes of characters that each value contains; 0 for an empty one."""
    flags = np.zeros(len(lengths), np.uint8)
    filled = np.flatnonzero(lengths)
    if len(filled):
        classes = np.frombuffer(data.tobytes().translate(table), np.uint8)
        flags[filled] = np.bitwise_or.reduceat(classes, starts[filled])
    return flags


def _equals_inside(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Which values have a "=" that is not at their end, as no base64 has."""
    found = np.zeros(len(lengths), bool)
    at = np.flatnonzero(data == ord("="))
    if len(at):
        line = np.searchsorted(starts, at, side="right") - 1
        inside = (at + 1 < starts[line] + lengths[line]) & (
            data[np.minimum(at + 1, len(data) - 1)] != ord("=")
        )
        found[line[inside]] = True
    return found


def _odd_jwt(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray, formats: str) -> np.ndarray:
    """Which values begin like a JWT and have too few parts, or contradict the provider's format."""
    jwt: np.ndarray = lengths > 3
    for i, letter in enumerate(b"eyJ"):
        jwt[jwt] = data[starts[jwt] + i] == letter
    if not jwt.any():
        return jwt if formats != "jwt" else ~jwt
    filled = np.flatnonzero(lengths)
    dots = np.zeros(len(lengths), np.int64)
    dots[filled] = np.add.reduceat((data == ord(".")).astype(np.int64), starts[filled])
    ends = starts + np.maximum(lengths, 1) - 1
    odd: np.ndarray = jwt & ((dots <= 1) | (data[np.minimum(ends, len(data) - 1)] == ord(".")))
    if formats:
        odd |= ~jwt if formats == "jwt" else jwt
    return odd


def cleaned(cells: pd.Series) -> pd.Series:
    """A column without what surrounds its values."""
    dirty = suspicious_texts(cells)
    if not len(dirty):
        return cells
    values = cells.tolist()
    for i in dirty.tolist():
        values[i] = clean(values[i])[0]
    return pd.Series(values, dtype="str")
