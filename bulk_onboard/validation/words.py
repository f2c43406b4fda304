"""The word lists of ``words.toml``, and how a cell is compared with them. Pure."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

_LISTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})


def folded(text: str) -> str:
    """A text without case, accents and punctuation, its words separated by single spaces."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", " ", plain.casefold().translate(_LETTERS)).strip()


def _set(*words: Iterable[str]) -> frozenset[str]:
    """Folded words, with and without the spaces inside: "n.a." is "na"."""
    both = ((found, found.replace(" ", "")) for each in words for word in each if (found := folded(word)))
    return frozenset(word for pair in both for word in pair)


def _prefixes(words: Iterable[str]) -> str:
    """An alternation for a regular expression, longest first."""
    return "|".join(sorted(map(re.escape, set(words)), key=len, reverse=True))


MISSING = _set(*_LISTS["missing"].values())
LATER = _set(*_LISTS["later"].values())
LOGICAL = _set(_LISTS["logical"]["words"])
STAND_IN = _set(_LISTS["stand_in"]["words"])
CELL = _set(_LISTS["cell"]["words"])
NOTE = _set(_LISTS["note"]["words"])
ERROR = frozenset(word.casefold() for word in _LISTS["error"]["words"])
ERROR_PREFIXES = _prefixes(_LISTS["error"]["prefixes"])
PACKAGES = _prefixes(_LISTS["object"]["packages"])
CURRENCIES = _prefixes(_LISTS["currency"]["signs"])
MONTHS = _prefixes(_LISTS["month"]["prefixes"])
SCHEMES = _prefixes(_LISTS["wrapper"]["schemes"])
LABELS = _set(_LISTS["wrapper"]["labels"])
EXAMPLE_IDS = frozenset(map(UUID, _LISTS["example_ids"]["uuids"]))


_MEANINGS = (
    (MISSING, "a word for a missing value"),
    (LATER, "a word for a value that is still to come"),
    (LOGICAL, "a word for yes, no, true or false"),
    (STAND_IN, "a placeholder, not a real value"),
)
# A person can be called Tom ("empty" in Danish), so names and passwords are compared with these only.
_PROGRAMS = _set(_LISTS["missing"]["programs"], ["n/a", "not available", "unknown", "tbd", "to do"])
_CAUTIOUS = ((_PROGRAMS, "a word for a missing value"), (STAND_IN, "a placeholder, not a real value"))


def is_missing(text: str) -> bool:
    """Return whether a text is a word that programs write for a missing value, and not a name."""
    return folded(text) in _PROGRAMS


def find_word(text: str, *, cautious: bool = False) -> str:
    """What kind of word a text is; "" if it is none of the lists. ``cautious``: not what may be a name."""
    words = folded(text)
    for known, meaning in _CAUTIOUS if cautious else _MEANINGS:
        if words in known or words.replace(" ", "") in known:
            return meaning
    return ""
