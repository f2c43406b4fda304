"""Marks -> cells of a sheet: colour, comment, and two columns at the end to filter by."""

from __future__ import annotations

from copy import copy
from typing import Any

from openpyxl.cell.cell import Cell, MergedCell
from openpyxl.styles import PatternFill
from openpyxl.utils import get_column_letter, range_boundaries
from openpyxl.worksheet.dimensions import ColumnDimension
from openpyxl.worksheet.table import Table, TableColumn
from openpyxl.worksheet.worksheet import Worksheet

from bulk_onboard.validation.cell_marks import Marks
from bulk_onboard.workbook.styles import AUTHOR, FILLS, TOP, comment, escaped

PROBLEM, DETAIL = "problem", "problem detail"
_NAMES = (PROBLEM, DETAIL)
_WIDTHS = (30, 90)
_OURS = "— bulk-onboard —"
_FILTER = (
    "Written by bulk-onboard: filter by this column; correct the red cells. Both columns can be deleted."
)
_NO_FILL = PatternFill()
_COLOURS = frozenset(fill.start_color.rgb for fill in FILLS.values())


def mark(sheet: Worksheet, marks: Marks, header_row: int, width: int) -> None:
    """Mark the cells of a sheet with a header of ``width`` columns in ``header_row``."""
    column = _ours(sheet, header_row)
    if column is None:
        column = _free_column(sheet, header_row, width)
    else:
        _wipe(sheet, header_row, column)
    for entry in marks.cells:
        cell = _anchor(sheet, entry.row, entry.column + 1)
        _show(sheet, entry.row)
        cell.fill = FILLS[entry.gravity]
        if entry.note:
            _note(cell, entry.note if cell.row == entry.row else f"Row {entry.row}: {entry.note}")
    _columns(sheet, marks, header_row, column)
    _filter(sheet, header_row, width, column)


def _show(sheet: Worksheet, row: int) -> None:
    """Show a marked row that a filter, a group or a height of 0 hides."""
    if row in sheet.row_dimensions and (dimensions := sheet.row_dimensions[row]):
        dimensions.hidden = False
        dimensions.height = dimensions.height or None


def _anchor(sheet: Worksheet, row: int, column: int) -> Cell:
    """The cell itself, or of merged ones the one that is shown."""
    cell = sheet.cell(row, column)
    if not isinstance(cell, MergedCell):
        return cell
    area = next(area for area in sheet.merged_cells.ranges if cell.coordinate in area)
    return sheet.cell(area.min_row, area.min_col)


def _note(cell: Cell, text: str) -> None:
    """Add a comment below the one that the owner of the file wrote, if any."""
    if cell.comment is None:
        cell.comment = comment(text)
        return
    both = comment(f"{cell.comment.text}\n{text}")
    if cell.comment.author != AUTHOR:
        both = comment(f"{cell.comment.text}\n\n{_OURS}\n{text}")
        both.author = cell.comment.author
    cell.comment = both


# --- the columns at the end ---------------------------------------------------------------------------


def _free_column(sheet: Worksheet, header_row: int, width: int) -> int:
    """The first of two empty columns: beside the header if they are empty, else beyond everything."""
    used = {at for (row, at), cell in sheet._cells.items() if row >= header_row and cell.value is not None}
    used |= {at for area in sheet.merged_cells.ranges for at in range(area.min_col, area.max_col + 1)}
    return width + 1 if not used & {width + 1, width + 2} else max(used) + 1


def _columns(sheet: Worksheet, marks: Marks, header_row: int, column: int) -> None:
    model = sheet.cell(header_row, column - 1)
    for at, (name, width) in enumerate(zip(_NAMES, _WIDTHS, strict=True), column):
        head = sheet.cell(header_row, at, name)
        head.font, head.fill, head.border = copy(model.font), copy(model.fill), copy(model.border)
        head.alignment = copy(model.alignment)
        _own_width(sheet, at, width)
    sheet.cell(header_row, column).comment = comment(_FILTER)
    for row, note in marks.rows.items():
        for at, text in enumerate((note.problem, note.detail), column):
            cell = sheet.cell(row, at, escaped(text))
            cell.data_type, cell.alignment = "s", TOP


def _own_width(sheet: Worksheet, column: int, width: int) -> None:
    """Give one column a width of its own; an entry for several columns is split."""
    dimensions = sheet.column_dimensions
    for letter, wide in list(dimensions.items()):
        wide.reindex()
        first, last = wide.min, wide.max
        if first < last and first <= column <= last:
            del dimensions[letter]
            for low, high in ((first, column - 1), (column + 1, last)):
                if low <= high:
                    dimensions[get_column_letter(low)] = _part(sheet, wide, low, high)
    mine = ColumnDimension(sheet, index=get_column_letter(column), width=width)
    dimensions[get_column_letter(column)] = mine


def _part(sheet: Worksheet, wide: ColumnDimension, low: int, high: int) -> ColumnDimension:
    part = ColumnDimension(sheet, get_column_letter(low), width=wide.width, bestFit=wide.bestFit,
                           hidden=wide.hidden, outlineLevel=wide.outlineLevel, collapsed=wide.collapsed,
                           min=low, max=high)  # fmt: skip
    part._style = copy(wide._style)
    return part


# --- the filter ---------------------------------------------------------------------------------------


def _filter(sheet: Worksheet, header_row: int, width: int, column: int) -> None:
    """A filter over all columns, ours included; an existing one is widened and keeps its settings."""
    last = max(sheet.max_row, header_row + 1)
    for table in sheet.tables.values():
        left, top, right, bottom = range_boundaries(table.ref)
        if top == header_row and left <= width:
            if right == column - 1:
                _widen(table, left, top, bottom, column)
            elif right < column and not sheet.auto_filter.ref:
                sheet.auto_filter.ref = _range(column, header_row, column + 1, last)
            return
    if sheet.auto_filter.ref:
        left, top, right, bottom = range_boundaries(sheet.auto_filter.ref)
        if top == header_row:
            sheet.auto_filter.ref = _range(left, top, max(right, column + 1), max(bottom, last))
    else:
        sheet.auto_filter.ref = _range(1, header_row, column + 1, last)


def _widen(table: Table, left: int, top: int, bottom: int, column: int) -> None:
    """Extend a table by the columns beside it."""
    taken = {existing.name.casefold() for existing in table.tableColumns}
    if taken & set(_NAMES):
        return
    for name in _NAMES:
        table.tableColumns.append(
            TableColumn(id=max(existing.id for existing in table.tableColumns) + 1, name=name)
        )
    table.ref = _range(left, top, column + 1, bottom)
    if table.autoFilter:
        end = range_boundaries(table.autoFilter.ref)[3]
        table.autoFilter.ref = _range(left, top, column + 1, end)


def _range(left: int, top: int, right: int, bottom: int) -> str:
    return f"{get_column_letter(left)}{top}:{get_column_letter(right)}{bottom}"


# --- a workbook that was marked before ----------------------------------------------------------------


def _ours(sheet: Worksheet, header_row: int) -> int | None:
    """Return the position of the columns that an earlier check wrote."""
    for cell in sheet[header_row]:
        if cell.value == PROBLEM and cell.comment is not None and cell.comment.author == AUTHOR:
            return int(cell.column)
    return None


def _wipe(sheet: Worksheet, header_row: int, column: int) -> None:
    """Marks of an earlier check are out of date: colours, comments and words are taken away."""
    for (row, at), cell in sheet._cells.items():
        if isinstance(cell, MergedCell) or row <= header_row:
            continue
        if at in (column, column + 1):
            cell.value = None
        if cell.fill.fill_type == "solid" and cell.fill.start_color.rgb in _COLOURS:
            cell.fill = _NO_FILL
        if cell.comment is not None:
            _unnote(cell)


def _unnote(cell: Any) -> None:
    if cell.comment.author == AUTHOR:
        cell.comment = None
    elif _OURS in cell.comment.text:
        remaining = comment(cell.comment.text.partition(_OURS)[0].rstrip())
        remaining.author = cell.comment.author
        cell.comment = remaining
