"""How values are spelled: what surrounds a token or an id in its cell, and the spellings of a UUID. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

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


# --- leafUserId ----------------------------------------------------------------------------------------


UUID_PATTERN = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
UUID_LENGTH = 36
_UUID = re.compile(UUID_PATTERN.strip("^$"))
_BETWEEN = r"([\W_]{0,3})"
_SPELLED = re.compile(
    r"(?P<before>[\W_]*(?:(?:urn|uuid|guid|id|leaf ?user ?id|0x|(?<=\\)x|[xn](?='))[\W_]*){0,3})"
    rf"(?P<digits>[0-9a-f]{{8}}{_BETWEEN}[0-9a-f]{{4}}{_BETWEEN}[0-9a-f]{{4}}{_BETWEEN}[0-9a-f]{{4}}{_BETWEEN}"
    r"[0-9a-f]{12})(?P<after>[\W_]*?(?:::uuid)?[\W_]*)"
)
_NUMBER_LIKE = re.compile(r"[0-9.,+\-eE ]{1,40}")
_UUID_LIKE = re.compile(r"[0-9A-Fa-f]{6,10}(?:[-\u2010-\u2015][0-9A-Fa-f]{2,14}){2,5}")
_BRACKETS = {"{}": "braces", "()": "parentheses", "[]": "square brackets", "<>": "angle brackets"}


class Spelling(NamedTuple):
    """A UUID in another spelling: its usual form, and the differences."""

    usual: str
    differences: str


def other_spelling(text: str) -> Spelling | None:
    """Return the UUID that a text spells in another way; None if that needs a guess."""
    match = _SPELLED.fullmatch(unicodedata.normalize("NFKC", text).casefold())
    if not match:
        return None
    before, after = match["before"], match["after"]
    differences = []
    if name := _BRACKETS.get(before + after):
        differences.append(f"has {name} around it")
    else:
        differences += [f"begins with `{before.strip()}`"] * bool(before)
        differences += [f"ends with `{after.strip()}`"] * bool(after)
    differences += _between(text, match.groups()[2:6])
    usual = str(UUID(re.sub(r"[\W_]", "", match["digits"])))
    return Spelling(usual, " and ".join(differences) or "has characters of a different width")


def _between(text: str, between: Sequence[str]) -> list[str]:
    """Return the differences in the four places of the hyphens."""
    signs = set(between) - {"-"}
    if not signs:
        return []
    if signs == {""}:
        return ["has no hyphens (dashes)" if set(between) == signs else "lacks a hyphen (dash)"]
    if set("".join(signs)) == {"-"}:
        return ["has several hyphens in a row"]
    # The sign as the file has it, which may be another form of the same character.
    odd = next((c for c in text if c != "-" and unicodedata.normalize("NFKC", c) in "".join(signs)), "")
    return [f"has {describe_character(odd or ''.join(signs)[0])} instead of a hyphen (dash)"]


def not_a_uuid(text: str) -> str:
    """Return why a text is not a UUID, as the end of a sentence; "" if it is one."""
    if _UUID.fullmatch(text):
        return ""
    if re.sub(r"[\W_]", "", text).casefold() == "leafuserid":
        return "is not a UUID (this looks like a repeated header row)"
    message, shown_text, inside = "is not a UUID", showable(text), re.findall(UUID_PATTERN.strip("^$"), text)
    if len(text) == UUID_LENGTH and text.count("-") == 4 and (odd := re.search("[^0-9A-Fa-f-]", text)):
        return f"{message}: it has {describe_character(odd[0])} at position {odd.start() + 1}"
    if inside:
        return f"{message}: it has {'several UUIDs' if len(inside) > 1 else 'other text around a UUID'}"
    digits = text.replace("-", "")
    if re.fullmatch(r"[0-9A-Fa-f-]{20,}", text) and len(digits) != 32:
        return f"{message}: it has {len(digits)} hexadecimal digits instead of 32" + (
            f" ({shown_text})" if shown_text else ""
        )
    return f"{message}: {shown_text}" if shown_text else message


def showable(text: str) -> str:
    """Return a value from the column of ids if it may be shown, else "".

    A number or something similar to a UUID may be; anything else may be a token in a shifted column.
    """
    return text if _NUMBER_LIKE.fullmatch(text) or _UUID_LIKE.fullmatch(text) or _UUID.fullmatch(text) else ""


def describe_character(c: str) -> str:
    """Return a character as its code point and its Unicode name."""
    return f"U+{ord(c):04X} {unicodedata.name(c, 'without a name')}"
