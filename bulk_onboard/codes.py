"""From a code in the results to what it means and what to do; some codes carry a name of their own."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from bulk_onboard.meanings import MEANINGS, Code
from bulk_onboard.user_meanings import USER_MEANINGS

__all__ = ["CODES", "Code", "hint", "lookup", "suggest"]

CODES: Mapping[str, Code] = MappingProxyType({code.name: code for code in (*MEANINGS, *USER_MEANINGS)})


def lookup(code: str) -> Code | None:
    """The code's meaning; None if there is no such code. Case matters only in what follows the prefix."""
    if code in CODES:
        return CODES[code]
    prefix, dash, field = code.partition("-")
    if prefix == "missing" and dash and field.isidentifier():
        return _missing(code, field)
    prefix, colon, key = code.partition(":")
    if prefix == "leaf" and colon and key:
        return _of_leaf(code, key)
    return None


def hint(code: str) -> str:
    """What to do about a row with this code; "" if nothing. Never fails: any code in a result gets words."""
    if not code:
        return ""
    found = lookup(code)
    if found is None:
        return "Read the message, and run the same command again."
    return found.hint if found.act else ""


def suggest(code: str) -> list[str]:
    """Codes that were perhaps meant, the nearest first."""
    return difflib.get_close_matches(code.strip().lower(), [*CODES, "missing-refreshToken"], n=3, cutoff=0.6)


def _missing(code: str, field: str) -> Code:
    return Code(
        code, f"The row has no {field}.", f"Fill in {field} and run again{_OTHERWISE.get(field, '')}."
    )


_OTHERWISE = {
    "leafUserId": ", or have the grower looked up by an externalId or email with --create-users",
    "name": "; without it a grower whom Leaf does not know cannot be created",
    "email": "; without it a grower whom Leaf does not know cannot be created",
}


def _of_leaf(code: str, key: str) -> Code:
    return Code(
        code,
        f"Leaf refused the credentials with its error key {key}.",
        "Read the message, correct the row and run again.",
    )
