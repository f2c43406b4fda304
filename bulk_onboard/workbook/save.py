"""Write a workbook into an open file; no cell is copied to the disk on the way."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

from openpyxl.cell._writer import write_cell
from openpyxl.comments.comment_sheet import CommentRecord
from openpyxl.drawing.spreadsheet_drawing import SpreadsheetDrawing
from openpyxl.workbook import Workbook
from openpyxl.worksheet._writer import WorksheetWriter
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula
from openpyxl.writer.excel import ExcelWriter
from openpyxl.xml.functions import Element, SubElement

_BUFFER = 1 << 20

# Row and column, both from 1, -> the type and the text of a formula's stored result, as in the XML.
Results = Mapping[tuple[int, int], tuple[str, str]]


def save(book: Workbook, out: BinaryIO, results: Mapping[str, Results] | None = None) -> None:
    """Write the workbook as .xlsx, or as .xlsm if it carries macros. It cannot be written a second time.

    ``results``: by sheet, what is stored beside the formulas, which openpyxl would leave out.
    """
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
            _Writer(book, archive, results or {}).write_data()
    finally:
        if book.vba_archive:  # openpyxl leaves it open
            book.vba_archive.close()


class _Writer(ExcelWriter):  # type: ignore[misc]
    """openpyxl's own writer puts each sheet, secrets and all, into a temporary file first."""

    def __init__(self, book: Workbook, archive: zipfile.ZipFile, results: Mapping[str, Results]) -> None:
        super().__init__(book, archive)
        self._results = results

    def write_worksheet(self, ws: Any) -> None:
        ws._drawing = SpreadsheetDrawing()
        ws._drawing.charts, ws._drawing.images = ws._charts, ws._images
        with (
            self._archive.open(ws.path[1:], "w", force_zip64=True) as part,
            io.BufferedWriter(part, _BUFFER) as buffered,
        ):
            writer = _SheetWriter(ws, buffered, self._results.get(ws.title, {}))
            try:
                writer.write()
            except BaseException:
                # Left to itself, its generator would complain with a traceback that it cannot be closed.
                with suppress(OSError, ValueError):
                    writer.xf.close()
                raise
        ws._rels = writer._rels
        self.manifest.append(ws)


class _SheetWriter(WorksheetWriter):  # type: ignore[misc]
    """openpyxl's own writer leaves out the results of formulas; without them a reader has no values."""

    def __init__(self, ws: Any, out: io.BufferedWriter, results: Results) -> None:
        super().__init__(ws, out)
        self._results = results

    def write_row(self, xf: Any, row: Any, row_idx: int) -> None:
        with xf.element("row", {"r": str(row_idx), **dict(self.ws.row_dimensions.get(row_idx, {}))}):
            for cell in row:
                if cell._comment is not None:
                    self.ws._comments.append(CommentRecord.from_cell(cell))
                result = self._results.get((cell.row, cell.column)) if cell.data_type == "f" else None
                if result:
                    xf.write(self._formula(cell, *result))
                elif cell._value is not None or cell.has_style or cell._comment:
                    write_cell(xf, self.ws, cell, cell.has_style)

    def _formula(self, cell: Any, kind: str, stored: str) -> Any:
        """Return a formula with its stored result (ECMA-376, part 1, 18.3.1.4)."""
        if cell.hyperlink:
            self.ws._hyperlinks.append(cell.hyperlink)
        style = {"s": str(cell.style_id)} if cell.has_style else {}
        element = Element("c", {"r": cell.coordinate, **style, "t": kind})
        value = cell._value
        is_special = isinstance(value, ArrayFormula | DataTableFormula)
        text = getattr(value, "text", None) if is_special else value
        SubElement(element, "f", dict(value) if is_special else {}).text = text[1:] if text else None
        SubElement(element, "v").text = stored
        return element
