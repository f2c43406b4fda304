"""Which row is the header: the first one, or the one below some title lines."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import permutations

from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.errors import InputError
from bulk_onboard.validation.columns import LEAF_USER_ID, PROVIDER, holds_data, no_header, normal

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


def require_alike(heads: Sequence[tuple[str, Sequence[str]]], wanted: Collection[str]) -> None:
    """Of files with these names and headers, all must have the same ones of the names that are wanted.

    Columns of other names, and their order, may differ. Raises InputError.
    """
    known = {*wanted, normal(PROVIDER)}
    for name, header in heads:
        if holds_data(header) and not matches(header, wanted):
            raise InputError(no_header(name))
    first, top = heads[0]
    for name, header in heads[1:]:
        for (one, has), (other, lacks) in permutations([(first, top), (name, header)]):
            names = {normal(cell) for cell in lacks}
            if missing := [cell for cell in has if normal(cell) in known - names]:
                raise InputError(
                    f"{other} has no column {', '.join(missing)}, but {one} has; all files need the same"
                )


def spelled(row: Sequence[str]) -> tuple[str, ...]:
    """The header as people read it: each cell on one line, no empty cells at the end."""
    cells = [" ".join(cell.split()) for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return tuple(cells)
