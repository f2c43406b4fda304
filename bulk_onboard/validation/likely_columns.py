"""Guess the column of a missing field by name and values; for suggestions only. Pure."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import NamedTuple

Rows = Sequence[Sequence[str]]

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_ANY_UUID = re.compile(rf"\W*(?:urn:uuid:)?(?:{UUID.pattern}|[0-9a-f]{{32}})\W*", re.IGNORECASE)
_EMAIL = re.compile(r"\S+@\S+\.\S+")
_CASES = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LONG = 16
# The largest number of columns to compare, because comparing texts takes time.
MOST = 200
_SHORTEST = 4


class _Names(NamedTuple):
    """Other names of a field: see column_names.toml."""

    names: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()


def likely_columns(
    missing: Sequence[str], header: Sequence[str], taken: Collection[int], rows: Rows, id_field: str
) -> dict[str, int]:
    """Return, by field, the position of the only column that it is probably in.

    ``missing``: fields without a column; ``taken``: positions of columns that are in use; ``rows``: some rows
    of the file; ``id_field``: the one that holds UUIDs.
    """
    free = [
        i for i, name in enumerate(header[:MOST]) if name.strip() and i not in taken and not UUID.search(name)
    ]
    ids = [i for i in free if _share(column_of(rows, i), lambda text: bool(_ANY_UUID.fullmatch(text))) > 0.5]
    others, likely = [i for i in free if i not in ids], dict[str, int]()
    for field in missing:
        candidates = others if field != id_field else ids or free
        if field != id_field or len(ids) != 1:
            likeness = {i: _likeness(field, header[i]) for i in candidates}
            best = max([1, *likeness.values()])
            candidates = [i for i in candidates if likeness[i] == best]
        if len(candidates) > 1 and field != id_field:
            candidates = [i for i in candidates if _share(column_of(rows, i), _is_like_token) > 0.5]
        if len(candidates) == 1 and candidates[0] not in likely.values():
            likely[field] = candidates[0]
    # The last field may be in the only column of tokens if nothing speaks against it.
    remaining = [field for field in missing if field not in likely]
    columns = [i for i in others if i not in likely.values()]
    if len(remaining) == 1 and remaining != [id_field]:
        test = _is_like_token if len(columns) == 1 else may_be_secret
        columns = [i for i in columns if _share(column_of(rows, i), test) > 0.5]
        if len(columns) == 1 and _likeness(remaining[0], header[columns[0]]) >= 0:
            likely[remaining[0]] = columns[0]
    return likely


def why_likely(field: str, name: str, cells: Sequence[str], id_field: str) -> str:
    """Return the reason why a column of this name with these cells may hold the field."""
    if field == id_field and _share(cells, lambda text: bool(_ANY_UUID.fullmatch(text))) > 0.5:
        return "its cells are UUIDs"
    match _likeness(field, name):
        case 3:
            return "a usual name for it"
        case 2:
            return "nearly the same name"
        case 1:
            return "it contains a word of that name"
        case _:
            return "its cells look like tokens"


def column_of(rows: Rows, at: int) -> list[str]:
    """Return the cells at a position of the rows that have it."""
    return [row[at] for row in rows if at < len(row)]


def may_hold_secret(name: str, cells: Sequence[str], fields: frozenset[str]) -> bool:
    """Return whether a column is named like one of these fields, or has many cells that may be secrets."""
    return _is_like_any(name, fields) or _share(cells, may_be_secret) > 0.2


@lru_cache(4096)
def _is_like_any(name: str, fields: frozenset[str]) -> bool:
    return any(_likeness(field, name) > 0 for field in fields)


def may_be_secret(cell: str) -> bool:
    """Return whether a cell is a long text without spaces that is not an id, an address or a number."""
    text = cell.strip()
    is_long = len(text) >= _LONG and not text.isdigit() and not any(map(str.isspace, text))
    return is_long and not (_ANY_UUID.fullmatch(text) or _EMAIL.fullmatch(text))


def resembles_field(name: str) -> bool:
    """Return whether a header is nearly the name of a field, or another name of one in some language."""
    text, fields = letters(name), _fields()
    return any(text in known.names for known in fields.values()) or _is_near(text, *fields)


def _is_near(text: str, *fields: str) -> bool:
    return bool(text and get_close_matches(text, list(map(letters, fields)), n=1, cutoff=0.75))


def may_be_value(cell: str) -> bool:
    """Return whether a cell of a header is an id, an address or a secret rather than a name."""
    if UUID.search(cell) or _EMAIL.search(cell):
        return True
    if len(cell) < _LONG or re.search(r"\s", cell):
        return False
    parts = [part for part in re.split(r"[\W_]+", _CASES.sub(" ", cell)) if part]
    scrambled = sum(a.islower() and b.isupper() for a, b in pairwise(cell)) > len(cell) / 6
    return scrambled or any(
        _is_mixed(part) or len(part) > 2 * _LONG or (part.isdigit() and len(part) > 6) for part in parts
    )


def _is_mixed(text: str) -> bool:
    return any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def is_plain_name(cell: str) -> bool:
    """Whether a cell consists of words: it can be shown even if the row is not known to be a header."""
    is_text = any(map(str.isspace, cell)) or (len(cell) < 2 * _LONG and not any(map(str.isdigit, cell)))
    return is_text and not may_be_value(cell)


def _likeness(field: str, name: str) -> int:
    """3: a name of the field; 2: nearly its own; 1: has a word of it; 0: is not like it; -1: of another."""
    known, text, words = _fields().get(field, _Names()), letters(name), set(_words(name))
    if text in known.names:
        return 3
    if known.excluded & words:
        return -1
    if _is_near(text, field):
        return 2
    return int(bool(known.words & words) or any(w in text for w in known.words if not w.isascii()))


@lru_cache(4096)
def letters(text: str) -> str:
    """The letters and digits of a name, in lower case."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LMN")


def _words(name: str) -> list[str]:
    return [letters(word) for word in re.split(r"[\W_]+", _CASES.sub(" ", name)) if word]


def _share(cells: Sequence[str], test: Callable[[str], bool]) -> float:
    """Return the share of non-blank cells that pass a test; 0 if all are blank."""
    filled = [text for cell in cells if (text := cell.strip())]
    return sum(map(test, filled)) / len(filled) if filled else 0


def _is_like_token(text: str) -> bool:
    if len(text) < _SHORTEST or any(map(str.isspace, text)) or _EMAIL.fullmatch(text):
        return False
    return len(text) >= _LONG or _is_mixed(text)


@cache
def _fields() -> Mapping[str, _Names]:
    tables = tomllib.loads(files(__package__).joinpath("column_names.toml").read_text("utf-8"))
    return {
        field: _Names(*(frozenset(map(letters, table.get(key, ()))) for key in ("names", "words", "not")))
        for field, table in tables.items()
    }
