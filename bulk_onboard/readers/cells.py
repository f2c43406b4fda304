"""Cells of all formats: their text, and tables with different headers as one."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import Chunk, constant_column
from bulk_onboard.validation.columns import normal

# For each column of all tables its position in one of them, None if it is not there.
Places = Sequence[int | None]


def cell_text(value: Any) -> tuple[str, bool]:
    """Return a cell's value as text, and whether it is not a text, such as a number or a date."""
    if isinstance(value, str):
        return value, False
    if value is None:
        return "", False
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).upper(), True
    if isinstance(value, float | np.floating):
        number = float(value)  # 12345.0 is 12345, and 1.23e+17 has its zeros
        return (str(int(number)) if number.is_integer() else f"{Decimal(repr(number)):f}"), True
    if isinstance(value, datetime.datetime):
        return (value.date() if value.time() == datetime.time.min else value).isoformat(), True
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat(), True
    return str(value), True


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


def placed(chunk: Chunk, places: Sequence[int | str]) -> Chunk:
    """Return a chunk with a column for each place: its own at that position, or one of a constant text."""
    if list(places) == list(range(chunk.kinds.shape[1])):
        return chunk
    size = len(chunk.numbers)
    columns = [chunk.cells[at] if isinstance(at, int) else constant_column(at, size) for at in places]
    kinds = np.zeros((size, len(places)), np.uint8)
    own = {i: at for i, at in enumerate(places) if isinstance(at, int)}
    kinds[:, list(own)] = chunk.kinds[:, list(own.values())]
    return replace(chunk, cells=pd.DataFrame(dict(enumerate(columns)), index=chunk.cells.index), kinds=kinds)
