"""Tables with different headers as one: each cell under the column of its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import Chunk, text_column
from bulk_onboard.validation.columns import normal

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
    for same in (lambda one, other: one == other, lambda one, other: normal(one) == normal(other)):
        for i, name in enumerate(names):
            free = (at for at, cell in enumerate(header) if at not in places and same(name, cell))
            if places[i] is None:
                places[i] = next(free, None)
    return places


def spread(chunk: Chunk, values: Sequence[str | None]) -> Chunk:
    """Return a chunk with more columns: of one value where there is one, else the chunk's own in turn."""
    if values.count(None) == len(values):
        return chunk
    cells, kinds = {}, np.zeros((len(chunk.numbers), len(values)), np.uint8)
    own = iter(range(len(chunk.cells.columns)))
    for i, value in enumerate(values):
        if value is not None:
            cells[i] = text_column([value] * len(chunk.numbers))
        else:
            column = next(own)
            cells[i], kinds[:, i] = chunk.cells[column], chunk.kinds[:, column]
    return replace(chunk, cells=pd.DataFrame(cells), kinds=kinds)
