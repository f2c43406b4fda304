"""Marks become cells of a sheet: colour, comment, and two columns at the end to filter by."""

from __future__ import annotations

from copy import copy

from openpyxl.cell.cell import Cell, MergedCell
from openpyxl.styles import PatternFill
from openpyxl.utils import get_column_letter, range_boundaries
from openpyxl.worksheet.dimensions import ColumnDimension
from openpyxl.worksheet.table import Table, TableColumn
from openpyxl.worksheet.worksheet import Worksheet

from bulk_onboard.validation.cell_marks import Marks
from bulk_onboard.workbook.styles import AUTHOR, FILLS, TOP, comment, escaped

# The columns at the end and their widths.
_COLUMNS = {"problem": 30, "problem detail": 90}
_PROBLEM = "problem"
_SEPARATOR = "— bulk-onboard —"
_FILTER = (
    "Written by bulk-onboard: filter by this column; correct the red cells. Both columns can be deleted."
)
_COLOURS = frozenset(fill.start_color.rgb for fill in FILLS.values())


def mark(sheet: Worksheet, marks: Marks, header_row: int, width: int) -> None:
    """Mark the cells of a sheet with a header of ``width`` columns in ``header_row``."""
    column = _earlier_column(sheet, header_row)
    if column is None:
        column = _free_column(sheet, header_row, width)
    else:
        _remove_marks(sheet, header_row, column)
    for entry in marks.cells:
        cell = _shown_cell(sheet, entry.row, entry.column + 1)
        cell.fill = FILLS[entry.gravity]
        if entry.note:
            _add_note(cell, entry.note if cell.row == entry.row else f"Row {entry.row}: {entry.note}")
    _add_columns(sheet, marks, header_row, column)
    _set_filter(sheet, header_row, width, column)


def _shown_cell(sheet: Worksheet, row: int, column: int) -> Cell:
    """Return the cell itself, or of merged cells the one that is shown; a hidden row becomes visible."""
    if row in sheet.row_dimensions and (dimensions := sheet.row_dimensions[row]):
        dimensions.hidden = False
        dimensions.height = dimensions.height or None
    cell = sheet.cell(row, column)
    if isinstance(cell, MergedCell):
        area = next(area for area in sheet.merged_cells.ranges if cell.coordinate in area)
        return sheet.cell(area.min_row, area.min_col)
    return cell


def _add_note(cell: Cell, text: str) -> None:
    """Add a comment below the one that the owner of the file wrote, if any."""
    old = cell.comment
    if old is None:
        cell.comment = comment(text)
    elif old.author == AUTHOR:
        cell.comment = comment(f"{old.text}\n{text}")
    else:
        cell.comment = comment(f"{old.text}\n\n{_SEPARATOR}\n{text}", old.author)


# --- the columns at the end ---------------------------------------------------------------------------


def _free_column(sheet: Worksheet, header_row: int, width: int) -> int:
    """Return the first of two empty columns: beside the header if they are empty, else beyond everything."""
    used = {at for (row, at), cell in sheet._cells.items() if row >= header_row and cell.value is not None}
    used |= {at for area in sheet.merged_cells.ranges for at in range(area.min_col, area.max_col + 1)}
    return width + 1 if not used & {width + 1, width + 2} else max(used) + 1


def _add_columns(sheet: Worksheet, marks: Marks, header_row: int, column: int) -> None:
    model = sheet.cell(header_row, column - 1)
    for number, (name, width) in enumerate(_COLUMNS.items(), column):
        head = sheet.cell(header_row, number, name)
        head.font, head.fill, head.border = copy(model.font), copy(model.fill), copy(model.border)
        head.alignment = copy(model.alignment)
        _set_width(sheet, number, width)
    sheet.cell(header_row, column).comment = comment(_FILTER)
    for row, note in marks.rows.items():
        for number, text in enumerate((note.problem, note.detail), column):
            cell = sheet.cell(row, number, escaped(text))
            cell.data_type, cell.alignment = "s", TOP


def _set_width(sheet: Worksheet, column: int, width: int) -> None:
    """Give one column a width of its own; an entry for several columns is split (Excel refuses overlaps)."""
    dimensions = sheet.column_dimensions
    for letter, group in list(dimensions.items()):
        group.reindex()
        if group.min < group.max and group.min <= column <= group.max:
            del dimensions[letter]
            for low, high in ((group.min, column - 1), (column + 1, group.max)):
                if low <= high:
                    part = copy(group)
                    part.index, part.min, part.max = get_column_letter(low), low, high
                    dimensions[part.index] = part
    letter = get_column_letter(column)
    dimensions[letter] = ColumnDimension(sheet, index=letter, width=width)


# --- the filter ---------------------------------------------------------------------------------------


def _set_filter(sheet: Worksheet, header_row: int, width: int, column: int) -> None:
    """Set a filter over all columns, ours included; an existing one is widened and keeps its settings."""
    last = max(sheet.max_row, header_row + 1)
    for table in sheet.tables.values():
        left, top, right, bottom = range_boundaries(table.ref)
        if top == header_row and left <= width:
            if right == column - 1:
                _widen(table, left, top, bottom, column)
            elif right < column and not sheet.auto_filter.ref:
                sheet.auto_filter.ref = _range(column, header_row, column + 1, last)
            return
    left, top, right, bottom = range_boundaries(sheet.auto_filter.ref or _range(1, header_row, 1, 1))
    if top == header_row:
        sheet.auto_filter.ref = _range(left, top, max(right, column + 1), max(bottom, last))


def _widen(table: Table, left: int, top: int, bottom: int, column: int) -> None:
    """Extend a table by the columns beside it."""
    if {existing.name.casefold() for existing in table.tableColumns} & set(_COLUMNS):
        return
    free = max(existing.id for existing in table.tableColumns) + 1
    table.tableColumns += [TableColumn(id=id_, name=name) for id_, name in enumerate(_COLUMNS, free)]
    table.ref = _range(left, top, column + 1, bottom)
    if table.autoFilter:
        end = range_boundaries(table.autoFilter.ref)[3]
        table.autoFilter.ref = _range(left, top, column + 1, end)


def _range(left: int, top: int, right: int, bottom: int) -> str:
    return f"{get_column_letter(left)}{top}:{get_column_letter(right)}{bottom}"


# --- a workbook that was marked before ----------------------------------------------------------------


def _earlier_column(sheet: Worksheet, header_row: int) -> int | None:
    """Return the position of the columns that an earlier check wrote."""
    for cell in sheet[header_row]:
        if cell.value == _PROBLEM and cell.comment is not None and cell.comment.author == AUTHOR:
            return int(cell.column)
    return None


def _remove_marks(sheet: Worksheet, header_row: int, column: int) -> None:
    """Remove the colours, comments and texts of an earlier check: they are out of date."""
    for (row, number), cell in sheet._cells.items():
        if isinstance(cell, MergedCell) or row <= header_row:
            continue
        if number in (column, column + 1):
            cell.value = None
        if cell.fill.fill_type == "solid" and cell.fill.start_color.rgb in _COLOURS:
            cell.fill = PatternFill()
        if (old := cell.comment) is not None:
            own, separator, _ = old.text.partition(_SEPARATOR)
            if old.author == AUTHOR:
                cell.comment = None
            elif separator:
                cell.comment = comment(own.rstrip(), old.author)
