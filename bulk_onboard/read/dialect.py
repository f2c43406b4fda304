"""How a delimited text is laid out: its delimiter, and where the header stands. Pure."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO

from bulk_onboard.header import LEAF_USER_ID, normal

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
# Title lines above the header are common; further down a line that looks like a header is data.
HEADER_WITHIN = 20


def delimiter_of(sample: str) -> str:
    """The delimiter by which the most rows have as many cells as the header, preferring a known header."""
    return max(DELIMITERS, key=lambda delimiter: _score(sample, delimiter))


def _score(sample: str, delimiter: str) -> tuple[int, int, int]:
    rows = [row for row in _rows(sample, delimiter) if any(row)]
    if not rows:
        return 0, 0, 0
    header = rows[header_at(rows)]
    if len(header) < 2:
        return 0, 0, 0
    named = any(normal(cell) == normal(LEAF_USER_ID) for cell in header)
    return int(named), sum(len(row) == len(header) for row in rows), len(header)


def _rows(sample: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(StringIO(sample, newline=""), delimiter=delimiter):
            rows.append(row)
    except csv.Error:
        pass  # the sample may end within a quoted cell, or be quoted another way
    return rows


def header_at(rows: Sequence[Sequence[str]]) -> int:
    """Which of the rows is the header: one with a column leafUserId near the top, else the first that is not
    blank."""
    first = next((i for i, row in enumerate(rows) if any(cell.strip() for cell in row)), 0)
    for i, row in enumerate(rows[:HEADER_WITHIN]):
        if any(normal(cell) == normal(LEAF_USER_ID) for cell in row):
            return i
    return first
