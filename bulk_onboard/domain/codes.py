"""Every code, status and health in the results: what it means and what to do. The texts are in codes.toml."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Code:
    """The texts for a code.

    ``meaning``: one sentence. ``hint``: one action. ``act``: whether an action is needed.
    """

    name: str
    meaning: str
    hint: str
    act: bool = True


def _table() -> Mapping[str, Code]:
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return MappingProxyType({name: Code(name, **words) for name, words in tomllib.loads(text).items()})


CODES: Mapping[str, Code] = _table()


def lookup(code: str) -> Code | None:
    """Return the code's meaning; None for an unknown code. Some codes contain a name: ``missing-FIELD``."""
    if code in CODES:
        return CODES[code]
    prefix, dash, field = code.partition("-")
    if prefix == "missing" and dash and field.isidentifier():
        return _missing(code, field)
    prefix, colon, key = code.partition(":")
    if prefix == "leaf" and colon and key:
        meaning = f"Leaf refused the credentials with its error key {key}."
        return Code(code, meaning, "Read the message, correct the row and run again.")
    return None


def hint(code: str) -> str:
    """Return what to do about a row with this code, "" for nothing. Any text is accepted."""
    if not code:
        return ""
    known = lookup(code)
    if known is None:
        return "Read the message, and run the same command again."
    return known.hint if known.act else ""


def suggest(code: str) -> list[str]:
    """Return codes with a similar name, the most similar first."""
    return difflib.get_close_matches(code.strip().lower(), [*CODES, "missing-refreshToken"], n=3, cutoff=0.6)


_ALTERNATIVES = {
    "leafUserId": ", or have the grower looked up by an externalId or email with --create-users",
    "name": "; without it a grower that Leaf does not know cannot be created",
    "email": "; without it a grower that Leaf does not know cannot be created",
}


def _missing(code: str, field: str) -> Code:
    action = f"Fill in {field} and run again{_ALTERNATIVES.get(field, '')}."
    return Code(code, f"The row has no {field}.", action)
