"""Workbooks of Excel 5 to 2003 (.xls), through xlrd."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import xlrd

from bulk_onboard.domain.chunk import CellKind
from bulk_onboard.readers.sheet_rows import DamagedWorkbook, EncryptedWorkbook, SheetRow, number_text


class Xls:
    """An .xls workbook."""

    file_type = "Excel workbook of the old kind (.xls)"

    def __init__(self, content: bytes) -> None:
        """Raises DamagedWorkbook, EncryptedWorkbook."""
        try:
            # The formatting has hidden rows and fonts. Ragged rows: a stray cell does not widen all rows.
            self._book: Any = xlrd.open_workbook(
                file_contents=content, formatting_info=True, ragged_rows=True, logfile=io.StringIO()
            )
        # xlrd raises many kinds of exceptions for damaged files.
        except Exception as error:
            if "encrypted" in str(error).lower():
                raise EncryptedWorkbook from None
            raise DamagedWorkbook from None
        self.close = self._book.release_resources
        self.sheets = {sheet.name: sheet.visibility == 0 for sheet in self._book.sheets()}

    def rows(self, sheet: str) -> Iterator[SheetRow]:
        """Yield the rows of a sheet that have cells, from the top."""
        table = self._book.sheet_by_name(sheet)
        for index in range(table.nrows):
            info = table.rowinfo_map.get(index)
            row = SheetRow(index + 1, hidden=info is not None and bool(info.hidden or info.height == 0))
            for column, cell in enumerate(table.row(index)):
                if cell.ctype not in {xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK}:
                    self._put(row, column, cell)
            yield row

    def _put(self, row: SheetRow, column: int, cell: Any) -> None:
        """Add one cell to its row."""
        look = self._book.xf_list[cell.xf_index]
        row.struck = row.struck or bool(self._book.font_list[look.font_index].struck_out)
        if cell.ctype == xlrd.XL_CELL_TEXT:
            # xlrd gives an empty text for a formula only: one with an empty result, or without any (xlwt).
            row.put(column, cell.value, CellKind.TEXT if cell.value else CellKind.FORMULA)
        elif cell.ctype == xlrd.XL_CELL_ERROR:
            row.put(column, xlrd.error_text_from_code.get(cell.value, "#ERROR!"), CellKind.ERROR)
        elif cell.ctype == xlrd.XL_CELL_BOOLEAN:
            row.put(column, "TRUE" if cell.value else "FALSE", CellKind.VALUE)
        else:
            number_format = self._book.format_map[look.format_key].format_str
            text = number_text(cell.value, number_format, mac_dates=bool(self._book.datemode))
            # xlrd does not distinguish formulas from numbers. No grower has the number 0 in every cell.
            row.put(column, text, CellKind.VALUE, formula=text == "0")
