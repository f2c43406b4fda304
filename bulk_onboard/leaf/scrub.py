"""Make Leaf's texts safe to show: short, harmless to a terminal, and free of secrets. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"
LONGEST = 300

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
# A long run without spaces that mixes letters and digits is more likely a token than a word.
_OPAQUE = re.compile(r"[A-Za-z0-9_\-.~+/=%]{20,}")
# Nothing in it can be an escaped form of anything.
_PLAIN = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
# Shorter values (a user name such as "me") would blank out ordinary words.
_SHORTEST_SECRET = 4


def scrub(text: object, secrets: Iterable[str] = ()) -> str:
    """One line of at most `LONGEST` characters, with every secret and everything token-like masked.

    ``secrets`` are masked as they are, JSON-escaped and URL-encoded.
    """
    line = _OPAQUE.sub(_mask_opaque, _masked(_CONTROL.sub(" ", str(text)), secrets)).strip()
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def word(text: object, secrets: Iterable[str] = ()) -> str:
    """A code, an id or a status word of Leaf: only what such a word may hold, without the secrets."""
    secrets = tuple(secrets)
    line = str(text)
    if _PLAIN.fullmatch(line) and not _holds(line, secrets):
        return line  # every reply has two of these, and nearly all end here
    # Masked twice: what is left out in between may have kept the parts of a secret asunder.
    return _masked(re.sub(r"[^\w.\-* ]", "", scrub(line, secrets)), secrets)[:64]


def _holds(line: str, secrets: Iterable[str]) -> bool:
    """Whether a plain line holds a secret, in any case of letters."""
    size = len(line)
    for secret in secrets:
        # Folding makes no text shorter, and a plain line no longer: a longer secret is not in it.
        if _SHORTEST_SECRET <= len(secret) <= size and secret.casefold() in line.casefold():
            return True
    return False


def _masked(line: str, secrets: Iterable[str]) -> str:
    forms = sorted(_forms(secrets), key=len, reverse=True)
    # In any case of letters, for "%2F" may be written "%2f".
    return re.sub("|".join(map(re.escape, forms)), MASK, line, flags=re.IGNORECASE) if forms else line


def _forms(secrets: Iterable[str]) -> set[str]:
    plain = {s for s in secrets if len(s) >= _SHORTEST_SECRET}
    return plain | {json.dumps(s)[1:-1] for s in plain} | {quote(s, safe="", errors="replace") for s in plain}


def _mask_opaque(match: re.Match[str]) -> str:
    run = match.group()
    mixed = any(c.isdigit() for c in run) and any(c.isalpha() for c in run)
    return MASK if mixed and not _UUID.match(run) else run
