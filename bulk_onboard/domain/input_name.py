"""What the name of an input means: standard input, a path, or an address such as ``s3://…``. Pure."""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

STANDARD_INPUT = "standard input"

_PATTERN = re.compile(r"[*?[]")
# More than one letter before the colon: one letter is a drive of Windows.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def scheme(where: str) -> str | None:
    """Return ``s3`` for ``s3://bucket/growers.csv``, None for a path and for ``-``."""
    match = _ADDRESS.match(where)
    return match[1].lower() if match else None


def is_pattern(where: str) -> bool:
    """Return whether it may match several files, as ``exports/*.csv`` does."""
    return _PATTERN.search(where) is not None


def printable(name: str) -> str:
    """Return a file name with escapes for bytes that are not UTF-8 and for what would act on a terminal."""
    try:
        name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # no file can have this name
        name = ascii(name)[1:-1]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def shown(where: str) -> str:
    """Return its name for people, without folders, and without a query, which may hold a signature."""
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
    """Return a pattern from its last fixed folder on: ``2026/day-*/*.csv`` for ``/srv/2026/day-*/*.csv``."""
    parts = steps(where)
    first = next((i for i, step in enumerate(parts) if is_pattern(step)), len(parts))
    root = 2 if scheme(where) is not None else len(PurePath(PurePath(where).anchor).parts)
    return "/".join(parts[max(root, first - 1) :])


def steps(where: str) -> tuple[str, ...]:
    """Return the folders of a path or address, and the file."""
    return PurePath(where).parts if scheme(where) is None else tuple(where.rstrip("/").split("/"))
