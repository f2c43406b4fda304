"""Tables with different headers as one: each cell under the column of its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import Chunk, text_column
from bulk_onboard.validation.columns import normal

Places = Sequence[int | None]


def spread(chunk: Chunk, places: Places) -> Chunk:
    """A chunk with blank columns where a table has none."""
    cells, kinds = {}, np.zeros((len(chunk.numbers), len(places)), np.uint8)
    found = iter(range(len(chunk.cells.columns)))
    for i, at in enumerate(places):
        if at is None:
            cells[i] = text_column([""] * len(chunk.numbers))
        else:
            column = next(found)
            cells[i], kinds[:, i] = chunk.cells[column], chunk.kinds[:, column]
    return replace(chunk, cells=pd.DataFrame(cells), kinds=kinds)


def lined_up(headers: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], list[Places]]:
    """The names of all columns, those of the first table first; and for each table where it has them."""
    names: list[str] = []
    for header in headers:
        taken = _found(names, header)
        names += [name for i, name in enumerate(header) if i not in taken]
    return tuple(names), [_found(names, header) for header in headers]


def _found(names: Sequence[str], header: Sequence[str]) -> Places:
    """For each name its position in a header, None if it is not there; the exact spelling wins."""
    if list(names) == list(header):
        return range(len(names))
    places: list[int | None] = [None] * len(names)
    for same in (lambda one, other: one == other, lambda one, other: normal(one) == normal(other)):
        for i, name in enumerate(names):
            free = (at for at, cell in enumerate(header) if at not in places and same(name, cell))
            if places[i] is None:
                places[i] = next(free, None)
    return places
