"""Finding the header row: the first row, or a row below some title lines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import accumulate, chain, permutations, product
from typing import NamedTuple

from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.errors import InputError
from bulk_onboard.validation.columns import LEAF_USER_ID, PROVIDER, holds_data, no_header, normalize, visible
from bulk_onboard.validation.likely_columns import MOST, resembles_field

# Rows above the first grower that are compared in detail.
LOOKED_AT = 200
_MOST_ROWS = 3  # rows over which one header may be spread
_ENOUGH = 2  # score of a header with only an id
_ID = normalize(LEAF_USER_ID)
_FIELDS = frozenset({_ID, *(normalize(f.name) for p in PROVIDERS.values() for f in p.fields)})


def wanted_names(more: Collection[str] = ()) -> frozenset[str]:
    """Return the names that make a row a header, in their normal form: all fields, and what --map names."""
    return _FIELDS | {normalize(name) for name in more}


def is_blank(row: Sequence[str]) -> bool:
    """Return whether no cell of the row shows anything."""
    return not any(map(str.strip, row))


def count_wanted(row: Sequence[str], wanted: Collection[str]) -> int:
    """Return the number of cells with wanted names."""
    return sum(normalize(cell) in wanted for cell in row if cell)


def header_names(row: Sequence[str], width: int = 0) -> tuple[str, ...]:
    """Return the header as text for people: each cell on one line, without empty cells at the end.

    ``width``: the smallest number of cells to return.
    """
    cells = [visible(cell) for cell in row]
    while len(cells) > width and not cells[-1]:
        cells.pop()
    return tuple(cells)


def lettered(position: int) -> str:
    """Return a name for a column without a name: ``column A`` and so on, as in spreadsheets."""
    letters, number = "", position + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"column {letters}"


def no_such_header(place: str, number: int) -> str:
    """Return the message for --header-row with a row that has no names."""
    return f"{place}: row {number}, which --header-row names, is blank or too far down; name another row"


def header_row(rows: Sequence[Sequence[str]], wanted: frozenset[str]) -> int | None:
    """Return the position of the header among the first rows; None if all are blank.

    It is the row with the most wanted names. Without such a row, it is the row with the most other names of
    fields, or else the last row above the first grower that has several cells.
    """
    filled = [i for i, row in enumerate(rows) if not is_blank(row)]
    if not filled:
        return None
    best = max(filled, key=lambda i: (_score(rows[i], wanted), -i))
    if _score(rows[best], wanted):
        return best
    above = _above_growers(rows)
    likeness = {i: sum(map(resembles_field, rows[i][:MOST])) for i in above}
    if any(likeness.values()):
        return max(above, key=lambda i: (likeness[i], -i))
    several = [
        i for i in above if above[-1] != filled[-1] and sum(bool(cell.strip()) for cell in rows[i]) > 1
    ]
    return several[-1] if several else filled[0]


def _score(row: Sequence[str], wanted: Collection[str]) -> int:
    """Return how many of the wanted names a row has; the id counts twice."""
    names = {normalize(cell) for cell in {*row} if cell} & {*wanted}
    return len(names) + (_ID in names)


def _above_growers(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the last filled rows above the first one with an id, or of all if none has one."""
    filled = [i for i, row in enumerate(rows) if not is_blank(row)]
    first = next((i for i in filled if holds_data(rows[i])), len(rows))
    return [i for i in filled if i < first][-LOOKED_AT:]


def require_one_row(
    place: str,
    rows: Sequence[Sequence[str]],
    at: int,
    wanted: frozenset[str],
    number: Callable[[int], int] = lambda i: i + 1,
) -> None:
    """Raise InputError if the names of the columns are spread over several rows.

    ``place``: name of the file or sheet; ``at``: the row that was taken as the header; ``number``: position
    -> the number that a spreadsheet shows.
    """
    usual = _score(rows[at], wanted)
    if usual > _ENOUGH:
        return
    above = _above_growers(rows)
    for count in range(2, _MOST_ROWS + 1):
        for first in range(len(above) - count + 1):
            block = above[first : first + count]
            texts = [rows[i][:MOST] for i in block]
            names = set(map(normalize, chain(_joined(texts), *texts)))
            if _score(list(names), wanted) > max(usual, 1):
                *others, last = [str(number(i)) for i in block]
                raise InputError(
                    f"{place}: the names of the columns seem to be in rows {' and '.join([*others, last])};"
                    f" write each name into one cell of row {last}, delete row{'s' * (count > 2)}"
                    f" {' and '.join(others)}, and run again"
                )


def _joined(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the cells of each column as one text, and the same with cells repeated to their right.

    A merged cell has its text in its first column only.
    """
    width = max(map(len, rows))
    padded = [[*row, *[""] * (width - len(row))] for row in rows]

    def carried(left: str, cell: str) -> str:
        return cell if cell.strip() else left

    repeated = [*(list(accumulate(row, carried)) for row in padded[:-1]), padded[-1]]
    return [" ".join(cells) for block in (padded, repeated) for cells in zip(*block, strict=True)]


def require_alike(heads: Sequence[tuple[str, Sequence[str]]], wanted: Collection[str]) -> None:
    """Raise InputError if one of these (name, header) lacks a wanted column that another one has.

    Columns of other names, and their order, may differ.
    """
    known = {*wanted, normalize(PROVIDER)}
    for name, header in heads:
        if holds_data(header) and not count_wanted(header, wanted):
            raise InputError(no_header(name))
    for pair in product(heads[:1], heads[1:]):
        for (with_column, header), (without, names) in permutations(pair):
            present = set(map(normalize, names))
            if missing := [cell for cell in header if normalize(cell) in known - present]:
                raise InputError(
                    f"{without} has no column {', '.join(missing)}, but {with_column} has; use the same"
                    " column names in all of them"
                )


# For each column of all tables its position in one of them, None if it is not there.
Places = Sequence[int | None]


def aligned(headers: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], list[Places]]:
    """Return the names of all columns, those of the first table first; and where each table has them."""
    names: list[str] = []
    for header in headers:
        taken = _places(names, header)
        names += [name for i, name in enumerate(header) if i not in taken]
    return tuple(names), [_places(names, header) for header in headers]


def _places(names: Sequence[str], header: Sequence[str]) -> Places:
    """Return the position of each name in a header; the exact spelling wins."""
    if list(names) == list(header):
        return range(len(names))
    places: list[int | None] = [None] * len(names)
    for form in (str, normalize):
        for i, name in enumerate(names):
            free = (at for at, cell in enumerate(header) if at not in places and form(name) == form(cell))
            if places[i] is None:
                places[i] = next(free, None)
    return places


# --- for a person to choose ---------------------------------------------------------------------------


# How many rows are shown, and how many of them below the header.
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
