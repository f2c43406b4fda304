"""Text from strangers made harmless: for terminals, for readers of CSV, for spreadsheets.

Patterns are RE2's, which Arrow works with; `plain` is the same for a single text.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

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


def blank(column: pa.Array) -> bool:
    """Whether no text has anything in it, as in many columns of many pages."""
    return not pc.max(pc.binary_length(column)).as_py()


def cleaned(column: pa.Array, *, lines: bool) -> pa.Array:
    """The texts without control characters; line breaks stay, as "\\n", if ``lines``."""
    if pc.all(pc.ascii_is_printable(column)).as_py() is not False:
        return column
    if lines:
        column = pc.replace_substring(column, "\r\n", "\n")
    column = pc.replace_substring_regex(column, _UNWANTED, " ")
    return column if lines else pc.replace_substring(column, "\n", " ")


def harmless(column: pa.Array) -> pa.Array:
    """The texts with a ``'`` in front of those that a spreadsheet would run as a formula."""
    # Few columns have texts that begin with anything but a letter or digit, and to see that is cheap.
    firsts = pc.unique(pc.utf8_slice_codeunits(column, 0, 1)).to_pylist()
    if all(first.isascii() and first.isalnum() for first in firsts if first):
        return column
    runs = pc.match_substring_regex(column, _FORMULA)
    return pc.if_else(runs, pc.binary_join_element_wise("'", column, ""), column)


def quoted(column: pa.Array) -> pa.Array:
    """The texts as cells of a CSV file: in quotes where they must be (RFC 4180), else as they are."""
    if not _holds(column, b'",\r\n'):
        return column
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(
        pc.match_substring_regex(column, _QUOTED), pc.binary_join_element_wise('"', doubled, '"', ""), column
    )


def plain(text: str) -> str:
    """One text in one line without control characters."""
    return _PLAIN.sub(" ", text)


_PLAIN = re.compile(re.sub(r"\\x\{(\w+)\}", r"\\u\1", _UNWANTED) + "|\n")


def _holds(column: pa.Array, characters: bytes) -> bool:
    """Whether any of these occurs. The bytes of all texts lie together: no pattern is as fast as that."""
    together = column.buffers()[2]
    text = together.to_pybytes() if together else b""
    return any(character in text for character in characters)
