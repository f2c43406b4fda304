"""How our marks look, by what they are recognised, and how a cell holds any text."""

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
BOLD = Font(name="Calibri", size=11, bold=True)
TITLE = Font(name="Calibri", size=14, bold=True)
LINK = Font(name="Calibri", size=11, color="FF0563C1", underline="single")
WRAPPED = Alignment(wrap_text=True, vertical="top")
TOP = Alignment(vertical="top")
MIDDLE = Alignment(horizontal="center", vertical="top")
UNDERLINED = Border(bottom=Side("thin", color="FF9AA5B1"))
_LINE_HEIGHT = 15.5

# What XML cannot hold, and what a spreadsheet would take for the escape of such a character. openpyxl does
# not mark a text of spaces alone as one with significant spaces.
_ESCAPED = re.compile("\\A\\s+\\Z|[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def heighten(sheet: Worksheet, row: int, lines: int) -> None:
    """Make a row high enough for this many lines; not every program does so automatically."""
    dimensions = sheet.row_dimensions[row]
    dimensions.height = max(dimensions.height or 0, _LINE_HEIGHT * lines + 2)


def fit_page(sheet: Worksheet) -> None:
    """Put all columns on one page when the sheet is printed."""
    sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True


def comment(text: str, author: str = AUTHOR) -> Comment:
    """Return a comment that is large enough for its text."""
    lines = sum(1 + len(line) // 46 for line in text.split("\n"))
    return Comment(text, author, width=340, height=18 * (lines + 1))


def escaped(text: str) -> str:
    """Return a text as a cell holds it (ECMA-376 ST_Xstring), so that every character comes back."""
    return _ESCAPED.sub(lambda match: "".join(f"_x{ord(sign):04X}_" for sign in match[0]), text)
