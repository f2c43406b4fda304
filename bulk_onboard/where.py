"""What the word for an input means: standard input, a file of this machine, or an address. Pure."""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

STANDARD_INPUT = "standard input"

# More than one letter before the colon: what has one is a drive of Windows.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def scheme(where: str) -> str | None:
    """``s3`` of ``s3://bucket/growers.csv``; None for a path and for ``-``."""
    found = _ADDRESS.match(where)
    return found[1].lower() if found else None


def shown(where: str) -> str:
    """Its name for people, without folders; and without an address's query, which may hold a signature."""
    if where == "-":
        return STANDARD_INPUT
    if scheme(where) is None:
        return PurePath(where).name or where
    try:
        path = unquote(urlsplit(where).path)
    except ValueError:
        path = ""
    return path.rstrip("/").rpartition("/")[2] or f"{scheme(where)} address"
