"""Cells that have a type of their own (workbooks, DataFrames) as text, and which of them were not text."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray


def text_column(values: Sequence[Any]) -> tuple[ExtensionArray, np.ndarray]:
    """The cells as text, "" for nothing, and a flag for each that was a number, a date or a boolean."""
    texts = [as_text(value) for value in values]
    flags = np.array([bool(t) and not isinstance(v, str) for v, t in zip(values, texts, strict=True)], bool)
    return pd.array(texts, dtype="str"), flags


def as_text(value: Any) -> str:
    """Plain text, as a person would type it: ``12345`` for 12345.0, ISO for dates."""
    if isinstance(value, str):
        return value
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) < 1e15:
        return str(int(value))
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return str(value)
