"""Columns of text, built fast."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard.chunk import Chunk

_TEXT = pd.StringDtype(na_value=np.nan)


def text_column(values: Sequence[str] | pa.Array) -> pd.Series[str]:
    """A text column of these values, which have no gaps."""
    return pd.Series(pd.array(_arrow(values), dtype=_TEXT, copy=False))


def _arrow(values: Sequence[str] | pa.Array) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    try:
        return pa.array(values, pa.large_string())
    except UnicodeEncodeError:
        # Half of a surrogate pair is no character; validation finds its replacement.
        whole = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in values]
        return pa.array(whole, pa.large_string())


def make_chunk(
    numbers: np.ndarray,
    columns: Iterable[Sequence[str] | pa.Array],
    *,
    kinds: np.ndarray | None = None,
    ragged: np.ndarray | None = None,
    whole_line: Callable[[int], Sequence[str] | None] | None = None,
) -> Chunk:
    """A chunk of these columns; all cells are text and no row is ragged unless said otherwise."""
    cells = pd.DataFrame(dict(enumerate(map(text_column, columns))), index=pd.RangeIndex(len(numbers)))
    return Chunk(
        numbers,
        cells,
        np.zeros(cells.shape, bool) if kinds is None else kinds,
        np.zeros(len(numbers), bool) if ragged is None else ragged,
        whole_line,
    )


def plain(value: Any) -> tuple[str, bool]:
    """A cell's value as text, and whether it was something else, such as a number or a date."""
    if isinstance(value, str):
        return value, False
    if value is None:
        return "", False
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).upper(), True
    if isinstance(value, float | np.floating):
        return _number(float(value)), True
    if isinstance(value, datetime.datetime):
        return (value.date() if value.time() == datetime.time.min else value).isoformat(), True
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat(), True
    return str(value), True


def _number(value: float) -> str:
    """Digits as a person would type them: 12345.0 is 12345, and 1.23e+17 has its zeros."""
    return str(int(value)) if value.is_integer() else f"{Decimal(repr(value)):f}"
