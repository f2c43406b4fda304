"""The text of a cell that holds something other than text, as a person would type it."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np


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
