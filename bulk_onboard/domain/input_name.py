"""What the word for an input means: standard input, a file of this machine, or an address. Pure."""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

STANDARD_INPUT = "standard input"

# More than one letter before the colon: what has one is a drive of Windows.
_PATTERN = re.compile(r"[*?[]")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def scheme(where: str) -> str | None:
    """``s3`` of ``s3://bucket/growers.csv``; None for a path and for ``-``."""
    found = _ADDRESS.match(where)
    return found[1].lower() if found else None


def is_pattern(where: str) -> bool:
    """Whether it can stand for several files, as ``exports/*.csv`` does."""
    return _PATTERN.search(where) is not None


def printable(name: str) -> str:
    """A file name with escapes for bytes that are not UTF-8 and for what would act on a terminal."""
    try:
        name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # no file can have this name
        name = ascii(name)[1:-1]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def shown(where: str) -> str:
    """Its name for people, without folders; and without an address's query, which may hold a signature."""
    if where == "-":
        return STANDARD_INPUT
    if scheme(where) is None:
        return printable(PurePath(where).name or where)
    try:
        path = unquote(urlsplit(where).path)
    except ValueError:
        path = ""
    return path.rstrip("/").rpartition("/")[2] or f"{scheme(where)} address"


def pattern_name(where: str) -> str:
    """A pattern from the last folder on that it names: ``2026/day-*/*.csv`` of ``/srv/2026/day-*/*.csv``."""
    found = steps(where)
    first = next((i for i, step in enumerate(found) if is_pattern(step)), len(found))
    root = 2 if scheme(where) is not None else len(PurePath(PurePath(where).anchor).parts)
    return "/".join(found[max(root, first - 1) :])


def steps(where: str) -> tuple[str, ...]:
    """The folders on the way, and the file."""
    return PurePath(where).parts if scheme(where) is None else tuple(where.rstrip("/").split("/"))
