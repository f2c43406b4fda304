"""The first rows of a file as they stand, so that a person can choose the sheet and the header row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bulk_onboard.readers.header_row import header_row, wanted_names

# How many rows are shown, and how many below a header that is further down.
SHOWN, BELOW = 30, 5


class Line(NamedTuple):
    """A row that is not blank: its number as a spreadsheet shows it, its texts, and whether it is hidden."""

    number: int
    texts: Sequence[str]
    hidden: bool = False


class FirstRows(NamedTuple):
    """The first rows of one sheet, or of a text file (``sheet`` is "").

    ``has_growers``: whether rows of growers were recognised; ``header_row``: the number of the row that is
    most like a header, None if all rows are blank.
    """

    sheet: str
    is_visible: bool
    has_growers: bool
    header_row: int | None
    lines: Sequence[Line]


def first_rows_of(
    lines: Sequence[Line], sheet: str = "", *, is_visible: bool = True, has_growers: bool = True
) -> FirstRows:
    """Return the first of these lines, down to some rows below the header."""
    at = header_row([line.texts for line in lines], wanted_names())
    first = lines[: max(SHOWN, (at or 0) + 1 + BELOW)]
    return FirstRows(sheet, is_visible, has_growers, None if at is None else lines[at].number, first)
