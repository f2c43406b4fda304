"""The text of a cell that holds something other than text, as a person would type it."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any

import numpy as np
from openpyxl.styles.numbers import is_date_format, is_timedelta_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

_DIGITS = re.compile(r"-?\d{1,40}\Z")


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


def number_text(stored: str | float, number_format: str = "General", *, mac_dates: bool = False) -> str:
    """The text of a number or date cell: digits without an exponent, or a date in ISO 8601.

    ``stored``: as the file holds it; ``mac_dates``: days are counted from 1904.
    """
    if isinstance(stored, str) and _DIGITS.match(stored) and not is_date_format(number_format):
        return stored
    value = float(stored)
    if not value:
        return "0"  # also as a date: a reference to an empty cell shows the day before the calendar
    if is_date_format(number_format):
        try:
            date = from_excel(
                value,
                CALENDAR_MAC_1904 if mac_dates else CALENDAR_WINDOWS_1900,
                timedelta=is_timedelta_format(number_format),
            )
        except (OverflowError, ValueError):
            pass
        else:
            return str(date) if isinstance(date, datetime.timedelta) else cell_text(date)[0]
    return cell_text(value)[0]
