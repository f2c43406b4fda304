"""Rows of a worksheet in any format: texts, kinds of cells, and whether a row is hidden or struck through."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from bulk_onboard.domain.chunk import CellKind, cell_text

# The largest sheet of Excel and of LibreOffice's usual settings.
LAST_ROW, LAST_COLUMN = 1_048_576, 16_384
_DIGITS = re.compile(r"-?\d{1,40}\Z")


class DamagedWorkbook(Exception):  # noqa: N818  (it becomes an InputError that names the file)
    """The workbook contradicts its format; ``str()`` says how."""


class EncryptedWorkbook(Exception):  # noqa: N818
    """The workbook needs a password."""


class Book(Protocol):
    """An open workbook. ``sheets``: name -> whether it is visible, of the worksheets in their order."""

    file_type: str
    sheets: dict[str, bool]

    def rows(self, sheet: str) -> Iterator[SheetRow]:
        """Yield the rows of a sheet that have cells, from the top. Raises DamagedWorkbook and others."""

    def close(self) -> None:
        """Release the file."""


@dataclass(slots=True)
class SheetRow:
    """One row of a worksheet.

    ``number``: as a spreadsheet shows it; ``hidden``: by a filter, a collapsed group or by hand; ``struck``:
    some of its text is struck through; ``texts``: from column A on; ``kinds``: by position, of cells that are
    not text; ``zeros``: how many of its ``filled`` cells are formulas with the result 0 or "".
    """

    number: int
    hidden: bool = False
    struck: bool = False
    texts: list[str] = field(default_factory=list)
    kinds: dict[int, CellKind] = field(default_factory=dict)
    filled: int = 0
    zeros: int = 0

    def __post_init__(self) -> None:
        """Raise DamagedWorkbook if no sheet has a row of this number."""
        if not 0 < self.number <= LAST_ROW:
            raise DamagedWorkbook(f"a row with the number {self.number}")

    def put(self, column: int, text: str, kind: CellKind = CellKind.TEXT, *, formula: bool = False) -> None:
        """Set a cell; empty cells are left out. ``column``: from 0.

        Raises DamagedWorkbook if no sheet has such a column.
        """
        if not (text or kind or formula):
            return
        if not 0 <= column < LAST_COLUMN:
            raise DamagedWorkbook(f"a cell in column {column + 1}")
        if column == len(self.texts):
            self.texts.append(text)
        else:
            self.texts += [""] * (column + 1 - len(self.texts))
            self.texts[column] = text
        if kind:
            self.kinds[column] = kind
        self.filled += 1
        self.zeros += formula and (text == "0" if kind else not text)

    @property
    def blank(self) -> bool:
        """Whether no cell has a value, a formula or an error. Spaces alone are not a value."""
        return not (self.kinds or self.zeros or any(map(str.strip, self.texts)))

    @property
    def formula_zeros(self) -> bool:
        """Whether every cell is a formula with the result 0 or "", as below a table of references."""
        return 0 < self.filled == self.zeros


def number_text(stored: str | float, number_format: str = "General", *, mac_dates: bool = False) -> str:
    """Return the text of a number or date cell: digits without an exponent, or a date in ISO 8601.

    ``stored``: as the file holds it; ``mac_dates``: days are counted from 1904.
    """
    is_date = number_format != "General" and _is_date(number_format)
    if not is_date and isinstance(stored, str) and _DIGITS.match(stored):
        return stored
    value = float(stored)
    if not value:
        return "0"  # also as a date: a reference to an empty cell shows the day before the calendar
    return _date_text(value, number_format, mac_dates=mac_dates) if is_date else cell_text(value)[0]


@cache
def _is_date(number_format: str) -> bool:
    from openpyxl.styles.numbers import is_date_format  # noqa: PLC0415  (loaded when a sheet has formats)

    return bool(is_date_format(number_format))


def _date_text(value: float, number_format: str, *, mac_dates: bool) -> str:
    from openpyxl.styles.numbers import is_timedelta_format  # noqa: PLC0415
    from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel  # noqa: PLC0415

    epoch = CALENDAR_MAC_1904 if mac_dates else CALENDAR_WINDOWS_1900
    try:
        date = from_excel(value, epoch, timedelta=is_timedelta_format(number_format))
    except (OverflowError, ValueError):
        return cell_text(value)[0]
    return str(date) if isinstance(date, datetime.timedelta) else cell_text(date)[0]
