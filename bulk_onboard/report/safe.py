"""Text from strangers made harmless: for terminals, for readers of CSV, for spreadsheets.

Patterns are RE2's, which Arrow works with; `plain` is the same for a single text.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.texts import bytes_of, joined

# Escape sequences as a whole (colours, window titles), then every other control character, the line
# separators of Unicode and the marks that turn the direction of text around. "\n" is treated apart.
_ESCAPES = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)"
_CONTROLS = r"[\x00-\x09\x0b-\x1f\x7f-\x9f\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}]"
_UNWANTED = f"{_ESCAPES}|{_CONTROLS}"

# https://owasp.org/www-community/attacks/CSV_Injection, also behind what a spreadsheet may skip: spaces,
# invisible characters and quotes of any kind. The last four signs are the full-width = + - @.
_SKIPPED = r"""[\s\x0b\p{Z}\p{Cf}'"`\x{2018}\x{2019}\x{201C}\x{201D}]*"""
_FORMULA = rf"^{_SKIPPED}[=+\-@\t\r\x{{FF1D}}\x{{FF0B}}\x{{FF0D}}\x{{FF20}}]"
_QUOTED = r'[",\r\n]'
# The same for JavaScript (flag "u"), so that what the page copies is escaped by the same rule.
FORMULA_IN_JAVASCRIPT = re.sub(r"\\x\{(\w+)\}", r"\\u{\1}", _FORMULA)


def cleaned(column: pa.Array, *, lines: bool) -> pa.Array:
    """The texts without control characters; line breaks stay, as "\\n", if ``lines``."""
    data = bytes_of(column)[0]
    if not len(data) or (data.min() >= ord(" ") and data.max() <= ord("~")):
        return column
    if lines:
        column = pc.replace_substring(column, "\r\n", "\n")
    column = pc.replace_substring_regex(column, _UNWANTED, " ")
    return column if lines else pc.replace_substring(column, "\n", " ")


def harmless(column: pa.Array) -> pa.Array:
    """The texts with a ``'`` in front of those that a spreadsheet would run as a formula."""
    # Few columns have texts that begin with anything but a letter or digit, and to see that is cheap.
    data, starts, lengths = bytes_of(column)
    firsts = np.flatnonzero(np.bincount(data[starts[lengths > 0]], minlength=256)).tolist()
    if all(first < 128 and chr(first).isalnum() for first in firsts):
        return column
    runs = pc.match_substring_regex(column, _FORMULA)
    return pc.if_else(runs, joined("'", column), column)


def quoted(column: pa.Array) -> pa.Array:
    """The texts as cells of a CSV file: in quotes where they must be (RFC 4180), else as they are."""
    if not _holds(column, b'",\r\n'):
        return column
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(pc.match_substring_regex(column, _QUOTED), joined('"', doubled, '"'), column)


def plain(text: str) -> str:
    """One text in one line without control characters."""
    return _PLAIN.sub(" ", text)


_PLAIN = re.compile(re.sub(r"\\x\{(\w+)\}", r"\\u\1", _UNWANTED) + "|\n")


def _holds(column: pa.Array, characters: bytes) -> bool:
    """Whether any of these occurs. The bytes of all texts lie together: no pattern is as fast as that."""
    text = bytes_of(column)[0].tobytes()
    return any(character in text for character in characters)
