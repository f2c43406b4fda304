"""How our marks look, and by what they are known again."""

from __future__ import annotations

import re
from collections.abc import Mapping

from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.worksheet.worksheet import Worksheet

from bulk_onboard.validation.cell_marks import Gravity

AUTHOR = "bulk-onboard"
TEXT = "@"

FILLS: Mapping[Gravity, PatternFill] = {
    Gravity.WRONG: PatternFill("solid", start_color="FFFFC7CE", end_color="FFFFC7CE"),
    Gravity.REPEAT: PatternFill("solid", start_color="FFD9D9D9", end_color="FFD9D9D9"),
    Gravity.CLEANED: PatternFill("solid", start_color="FFFFEB9C", end_color="FFFFEB9C"),
}
HEADER_FILL = PatternFill("solid", start_color="FFE7EEF7", end_color="FFE7EEF7")
_FACE = "Calibri"
BOLD = Font(name=_FACE, size=11, bold=True)
TITLE = Font(name=_FACE, size=14, bold=True)
LINK = Font(name=_FACE, size=11, color="FF0563C1", underline="single")
WRAPPED = Alignment(wrap_text=True, vertical="top")
TOP = Alignment(vertical="top")
MIDDLE = Alignment(horizontal="center", vertical="top")
UNDER = Border(bottom=Side("thin", color="FF9AA5B1"))

_WIDTH, _LINE, _LETTERS = 340, 18, 46


LINE_HEIGHT = 15.5


def heighten(sheet: Worksheet, row: int, lines: int) -> None:
    """Make a row high enough for this many lines; not every program does so automatically."""
    dimensions = sheet.row_dimensions[row]
    dimensions.height = max(dimensions.height or 0, LINE_HEIGHT * lines + 2)


def fit_page(sheet: Worksheet) -> None:
    """Printed, all columns are on one page."""
    sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True


def comment(text: str) -> Comment:
    """Return a comment of ours, large enough for its text."""
    lines = sum(1 + len(line) // _LETTERS for line in text.split("\n"))
    return Comment(text, AUTHOR, width=_WIDTH, height=_LINE * (lines + 1))


# What XML cannot hold, and what a spreadsheet would take for the escape of such a character.
_UNHELD = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def escaped(text: str) -> str:
    """The text as a cell holds it (ECMA-376 ST_Xstring), so that every character comes back."""
    if text.isspace():
        # openpyxl does not mark such a text as one with significant spaces.
        return "".join(map(_escape, text))
    return _UNHELD.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    return f"_x{ord(character):04X}_"
