"""Which row is the header: the first one, or the one below some title lines."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bulk_onboard.header import LEAF_USER_ID, normal
from bulk_onboard.providers import PROVIDERS

LOOKED_AT = 20
_ID = normal(LEAF_USER_ID)
_FIELDS = frozenset({_ID, *(normal(f.name) for p in PROVIDERS.values() for f in p.fields)})


def wanted_names(more: Collection[str] = ()) -> frozenset[str]:
    """The names that make a row a header, in their normal form: all fields, and what --map names."""
    return _FIELDS | {normal(name) for name in more}


def is_blank(row: Sequence[str]) -> bool:
    """Whether no cell of the row shows anything."""
    return not any(cell and not cell.isspace() for cell in row)


def matches(row: Sequence[str], wanted: Collection[str]) -> int:
    """How many cells are names that are wanted."""
    return sum(normal(cell) in wanted for cell in row if cell)


def header_row(rows: Sequence[Sequence[str]], wanted: frozenset[str]) -> int | None:
    """The position of the header among the first rows; None if all are blank."""
    filled = [i for i, row in enumerate(rows) if not is_blank(row)][:LOOKED_AT]
    if not filled:
        return None
    if matches(rows[filled[0]], wanted):
        return filled[0]
    named = wanted - _FIELDS
    by_id = (i for i in filled if matches(rows[i], {_ID}))
    by_map = (i for i in filled if named and matches(rows[i], named))
    return next(by_id, next(by_map, filled[0]))


def spelled(row: Sequence[str]) -> tuple[str, ...]:
    """The header as people read it: each cell on one line, no empty cells at the end."""
    cells = [" ".join(cell.split()) for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return tuple(cells)
