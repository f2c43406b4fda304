"""Looks for the secrets of a round in every byte that it left, in every dress that they may wear."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pandas as pd

from tests.soak.plan import MARK
from tests.soak.store import InFile, contents


def _dresses(mark: str) -> Iterator[bytes]:
    plain = mark.encode()
    yield from {
        plain,
        plain.lower(),
        plain.hex().encode(),
        mark.encode("utf-16-le"),
        mark.encode("utf-16-be"),
    }
    yield from {quote(mark).encode(), quote(mark, safe="").encode(), quote_plus(mark).encode()}
    yield json.dumps(mark)[1:-1].replace("/", "\\/").encode()
    yield "".join(f"\\u{ord(c):04x}" for c in mark).encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):  # the three ways in which a text can lie in groups of three bytes
            coded = encode(b"\0" * shift + plain)
            yield coded[4 if shift else 0 : len(coded) // 4 * 4 - 4]


DRESSES = tuple(_dresses(MARK))


def leaks(folder: Path) -> list[str]:
    """The files below the folder that show a secret."""
    return [str(path) for path in sorted(folder.rglob("*")) if path.is_file() and _shows(path)]


def shown(content: bytes) -> bool:
    """Whether a secret shows in these bytes."""
    return any(dress in content for dress in DRESSES)


def _shows(path: Path) -> bool:
    return any(shown(content) for content in _contents(path))


def _contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and what is packed inside."""
    yield path.read_bytes()
    if path.suffix == ".parquet":
        yield pd.read_parquet(path).to_csv().encode()
    if path.suffix == ".sqlite3":
        yield from contents(InFile(path))
