"""The rules for a leafUserId: a UUID, its other spellings, and what may be shown of anything else. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np
import pandas as pd

from bulk_onboard.validation import words
from bulk_onboard.validation.cleaning import REMOVED, clean
from bulk_onboard.validation.rules import Cell, Finding, character, control_character, spreadsheet_error
from bulk_onboard.validation.stand_ins import stand_in

UUID_PATTERN = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_UUID = re.compile(UUID_PATTERN.strip("^$"))
UUID_LENGTH = 36
_HEX_DIGITS = 32  # without hyphens
_BETWEEN = r"([\W_]{0,3})"
_SPELLED = re.compile(
    r"(?P<before>[\W_]*(?:(?:urn|uuid|guid|id|leaf ?user ?id|0x|(?<=\\)x|[xn](?='))[\W_]*){0,3})"
    rf"(?P<digits>[0-9a-f]{{8}}{_BETWEEN}[0-9a-f]{{4}}{_BETWEEN}[0-9a-f]{{4}}{_BETWEEN}[0-9a-f]{{4}}{_BETWEEN}"
    r"[0-9a-f]{12})(?P<after>[\W_]*?(?:::uuid)?[\W_]*)"
)
_NUMBER_LIKE = re.compile(r"[0-9.,+\-eE ]{1,40}")
_UUID_LIKE = re.compile(r"[0-9A-Fa-f]{6,10}(?:[-\u2010-\u2015][0-9A-Fa-f]{2,14}){2,5}")


class Spelling(NamedTuple):
    """A UUID in another spelling: its usual one, and what is different."""

    usual: str
    differences: str


def other_spelling(text: str) -> Spelling | None:
    """The UUID that a text spells in another way, if no guess is needed to tell; else None."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    found = _SPELLED.fullmatch(plain)
    if not found:
        return None
    differences = [*_around(found["before"], found["after"]), *_between(text, found.groups()[2:6])]
    usual = str(UUID(re.sub(r"[\W_]", "", found["digits"])))
    return Spelling(usual, " and ".join(differences) or "has characters of a different width")


_BRACKETS = {"{}": "braces", "()": "parentheses", "[]": "square brackets", "<>": "angle brackets"}


def _around(before: str, after: str) -> list[str]:
    if name := _BRACKETS.get(before + after):
        return [f"has {name} around it"]
    return [f"begins with `{before.strip()}`"] * bool(before) + [f"ends with `{after.strip()}`"] * bool(after)


def _between(text: str, between: Sequence[str]) -> list[str]:
    """What is different in the four places of the hyphens."""
    signs = set(between) - {"-"}
    if not signs:
        return []
    if signs == {""}:
        return ["has no hyphens (dashes)" if set(between) == signs else "lacks a hyphen (dash)"]
    if set("".join(signs)) == {"-"}:
        return ["has several hyphens in a row"]
    # The sign as the file has it, which may be another form of the same character.
    odd = next((c for c in text if c != "-" and unicodedata.normalize("NFKC", c) in "".join(signs)), "")
    return [f"has {character(odd or ''.join(signs)[0])} instead of a hyphen (dash)"]


def check_id(text: str) -> Cell:
    """Check a leafUserId."""
    value, removed = clean(text)
    if not value:
        return Cell("")
    if _UUID.fullmatch(value):
        if UUID(value) in words.EXAMPLE_IDS:
            return Cell(value, Finding("placeholder-value", "is a UUID from an example, not a grower's"))
        return Cell(value, None, tuple(Finding(code, REMOVED[code]) for code in removed))
    rules = (("control-character", control_character), ("formula-error", spreadsheet_error))
    for code, rule in rules:
        if said := rule(value):
            return Cell(value, Finding(code, said))
    return Cell(value, _not_a_uuid(value))


def _not_a_uuid(value: str) -> Finding:
    if other := other_spelling(value):
        return Finding("bad-leaf-user-id", f"is a UUID in another spelling: it {other.differences}")
    if stand_in(value):
        # The value is not named: it may be a password in a shifted column.
        return Finding("placeholder-value", "is a placeholder or a word for a missing value")
    return Finding("bad-leaf-user-id", _reason(value))


def _reason(value: str) -> str:
    said, seen = "is not a UUID", shown(value)
    found = re.findall(UUID_PATTERN.strip("^$"), value)
    if len(value) == 36 and len(value.split("-")) == 5 and not re.fullmatch(r"[0-9A-Fa-f-]+", value):
        at, wrong = next((at, c) for at, c in enumerate(value, 1) if c not in "0123456789abcdefABCDEF-")
        return f"{said}: it has {character(wrong)} at position {at}"
    if found:
        return f"{said}: it has {'several UUIDs' if len(found) > 1 else 'other text around a UUID'}"
    if re.fullmatch(r"[0-9A-Fa-f-]{20,}", value) and len(digits := value.replace("-", "")) != 32:
        said = f"{said}: it has {len(digits)} hexadecimal digits instead of 32"
    return f"{said}: {seen}" if seen and ":" not in said else f"{said} ({seen})" if seen else said


def uuids_of(rows: Iterable[int], texts: Iterable[str]) -> dict[int, bytes]:
    """Row -> its text as a UUID, for the texts that are one."""
    found = zip(rows, texts, strict=True)
    return {row: UUID(text).bytes for row, text in found if _UUID.fullmatch(text)}


def shown(text: str) -> str:
    """A value from the column of ids if messages and files may show it: a number, or similar to a UUID.

    Anything else may be a password or a token in a shifted column, and is "".
    """
    return text if _NUMBER_LIKE.fullmatch(text) or _UUID_LIKE.fullmatch(text) or _UUID.fullmatch(text) else ""


def is_uuid(cells: pd.Series) -> np.ndarray:
    """Where a cell is a UUID in the usual spelling."""
    return cells.str.contains(UUID_PATTERN, regex=True).to_numpy(bool)


def same_as_id(tokens: pd.Series, ids: pd.Series) -> np.ndarray:
    """Where a token is the id of its row."""
    same: np.ndarray = (tokens.str.len() == ids.str.len()).to_numpy(bool) & (ids != "").to_numpy(bool)
    few = np.flatnonzero(same)
    if len(few):
        same[few] = (tokens.iloc[few].str.lower() == ids.iloc[few].str.lower()).to_numpy(bool)
    short = (tokens.str.len() == _HEX_DIGITS) & (ids.str.len() == UUID_LENGTH)
    few = np.flatnonzero(short.to_numpy(bool))
    if len(few):
        same[few] = (tokens.iloc[few].str.lower() == ids.iloc[few].str.lower().str.replace("-", "")).to_numpy(
            bool
        )
    return same


def swapped(tokens: pd.Series, ids: pd.Series) -> np.ndarray:
    """Where the token is a UUID and the id is something else."""
    swapped: np.ndarray = is_uuid(tokens) & ~is_uuid(ids) & (ids != "").to_numpy(bool)
    return swapped
