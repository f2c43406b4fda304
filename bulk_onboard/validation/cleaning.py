"""What surrounds a token or an id in its cell, and is removed from it. Pure."""

from __future__ import annotations

import re

PLAIN_SPACES = " \t\r\n\u00a0"
_SPACES = " \t\r\n\v\f\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_PAIRS = {
    '"': '"', "'": "'", "\u2018": "\u2019", "\u2019": "\u2019", "\u201a": "\u2018\u2019", "\u201c": "\u201d",
    "\u201d": "\u201d", "\u201e": "\u201c\u201d", "\u00ab": "\u00bb", "\u00bb": "\u00ab", "\u2039": "\u203a",
    "\uff02": "\uff02",
}  # fmt: skip
QUOTES = frozenset("".join(_PAIRS) + "".join(_PAIRS.values()) + "`")

REMOVED = {
    "zero-width-removed": "had invisible characters, which were removed",
    "spaces-removed": "had spaces around it, which were removed",
    "quotes-removed": "had quotes around it, which were removed",
}
_INVISIBLE = re.compile(f"[{_ZERO_WIDTH}]+")
_AROUND = {
    "zero-width-removed": re.compile(rf"\A[{_DIRECTION}]+|[{_DIRECTION}]+\Z"),
    "spaces-removed": re.compile(rf"\A[{_SPACES}]+|[{_SPACES}]+\Z"),
}
_EXCEL_TEXT = re.compile(r'="((?:[^"]|"")*)"', re.DOTALL)


def clean(text: str) -> tuple[str, tuple[str, ...]]:
    """A token or an id without what surrounds it, and the codes (of `REMOVED`) of what was removed.

    Invisible characters are removed everywhere; direction marks, spaces and pairs of quotes, also Excel's
    ``="…"``, only around the value.
    """
    value = _INVISIBLE.sub("", text)
    codes = {"zero-width-removed": None} if value != text else {}
    while True:
        before = value
        for code, pattern in _AROUND.items():
            value, count = pattern.subn("", value)
            codes |= {code: None} if count else {}
        unquoted = _unquoted(value)
        if unquoted != value:
            codes["quotes-removed"] = None
        value = unquoted
        if value == before:
            return value, tuple(codes)


def _unquoted(text: str) -> str:
    if excel := _EXCEL_TEXT.fullmatch(text):
        return excel[1].replace('""', '"')
    if len(text) < 2 or text[-1] not in _PAIRS.get(text[0], ""):
        return text
    pair = {text[0], text[-1]}
    # `"a","b"` begins and ends with a quote, but these two are not a pair.
    return text[1:-1] if not pair & set(text[1:-1].strip("".join(pair))) else text
