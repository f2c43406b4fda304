"""Workbooks as owners have them, the command that checks them, and what came back."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from uuid import UUID

import openpyxl
from openpyxl.worksheet.worksheet import Worksheet

from bulk_onboard.cli.main import main
from bulk_onboard.workbook.summary_sheet import TITLE_OF_SHEET

PLANTED = "planted-token"
RED, GREY, YELLOW = "FFFFC7CE", "FFD9D9D9", "FFFFEB9C"

Rows = Sequence[Sequence[object]]


def grower(number: int) -> str:
    return str(UUID(int=10**36 + number))


def token(number: int) -> str:
    return f"{PLANTED}-{number}"


HEADER = ("Leaf User ID", "Grower", "Refresh Token")
# Row 4 has no token, row 5 spaces, row 6 repeats row 2, row 7 is wrong twice, 8 and 9 contradict each other.
ROWS: Rows = (
    (grower(1), "Ann", token(1)),
    (grower(2), "Bob", token(2)),
    (grower(3), "Cleo", None),
    (f" {grower(4)} ", "Dan", token(4)),
    (grower(1), "Ann", token(1)),
    ("no uuid", "Eve", "TODO"),
    (grower(6), "Fay", token(6)),
    (grower(6), "Fay", token(7)),
)


def write_workbook(
    path: Path,
    rows: Rows = ROWS,
    header: Sequence[str] = HEADER,
    at: tuple[int, int] = (1, 1),
    change: Callable[[openpyxl.Workbook, Worksheet], object] = lambda _book, _sheet: None,
) -> Path:
    """A workbook with its header at ``at``; ``change`` makes it the owner's own."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Growers"
    for row, cells in enumerate((header, *rows), at[0]):
        for column, value in enumerate(cells, at[1]):
            sheet.cell(row, column, value)
    change(book, sheet)
    book.save(path)
    return path


def with_parts(path: Path, change: Callable[[str, bytes], bytes], **more: bytes) -> Path:
    """The same file with its parts changed, and with more of them (``__`` for ``/``)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(packed, "w") as after:
        for name in before.namelist():
            after.writestr(name, change(name, before.read(name)))
        for name, data in more.items():
            after.writestr(name.replace("__", "/"), data)
    path.write_bytes(packed.getvalue())
    return path


@dataclass(frozen=True)
class Returned:
    """What the command came to, and the workbook that it wrote."""

    code: int
    path: Path

    @cached_property
    def book(self) -> openpyxl.Workbook:
        return openpyxl.load_workbook(self.path)

    @property
    def sheet(self) -> Worksheet:
        """The sheet with the rows."""
        return next(each for each in self.book.worksheets if each.title != TITLE_OF_SHEET)

    @property
    def summary(self) -> list[str]:
        """The texts of the first sheet."""
        page = self.book.worksheets[0]
        assert page.title == TITLE_OF_SHEET
        return [str(cell.value) for row in page.iter_rows() for cell in row if cell.value is not None]

    def parts(self) -> dict[str, str]:
        with zipfile.ZipFile(self.path) as packed:
            return {name: packed.read(name).decode("utf-8", "replace") for name in packed.namelist()}


def annotate(path: Path, *options: str, out: str = "out.xlsx") -> Returned:
    """``validate --annotate``, in this process."""
    where = path.with_name(out)
    code = main(
        ["validate", str(path), "--annotate", str(where), "--output", str(path.parent / "reports"), *options]
    )
    return Returned(code, where)


def colours(sheet: Worksheet) -> dict[str, str]:
    """Cell -> its colour, of those that have one of ours."""
    filled = {
        cell.coordinate: cell.fill.start_color.rgb
        for row in sheet.iter_rows()
        for cell in row
        if cell.fill.fill_type
    }
    return {at: colour for at, colour in filled.items() if colour in (RED, GREY, YELLOW)}


def comments(sheet: Worksheet) -> dict[str, str]:
    """Cell -> its comment, below the header."""
    found = (cell for row in sheet.iter_rows() for cell in row if cell.comment is not None)
    return {
        cell.coordinate: cell.comment.text for cell in found if not cell.comment.text.startswith("Written by")
    }


def problems(sheet: Worksheet) -> dict[int, str]:
    """Row -> what stands in the column ``problem``."""
    [head] = [cell for row in sheet.iter_rows() for cell in row if cell.value == "problem"]
    below = sheet.iter_rows(min_row=head.row + 1, min_col=head.column, max_col=head.column)
    return {cell.row: cell.value for [cell] in below if cell.value is not None}


def tokens_in(text: str) -> list[str]:
    return re.findall(rf"{PLANTED}[\w-]*", text)
