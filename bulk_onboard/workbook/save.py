"""A workbook into an open file, with no copy of any cell on the disk on the way."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from typing import Any, BinaryIO

from openpyxl.drawing.spreadsheet_drawing import SpreadsheetDrawing
from openpyxl.workbook import Workbook
from openpyxl.worksheet._writer import WorksheetWriter
from openpyxl.writer.excel import ExcelWriter

_BUFFER = 1 << 20


def save(book: Workbook, out: BinaryIO) -> None:
    """Write the workbook as .xlsx, or as .xlsm if it carries macros. It cannot be written a second time."""
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
            _Writer(book, archive).write_data()
    finally:
        if book.vba_archive:  # nobody else closes it, and the collector may find its memory gone first
            book.vba_archive.close()


class _Writer(ExcelWriter):  # type: ignore[misc]
    """openpyxl's own writer puts each sheet, secrets and all, into a temporary file first."""

    def write_worksheet(self, ws: Any) -> None:
        ws._drawing = SpreadsheetDrawing()
        ws._drawing.charts, ws._drawing.images = ws._charts, ws._images
        with (
            self._archive.open(ws.path[1:], "w", force_zip64=True) as part,
            io.BufferedWriter(part, _BUFFER) as buffered,
        ):
            writer = WorksheetWriter(ws, buffered)
            try:
                writer.write()
            except BaseException:
                # Left to itself, its generator would complain with a traceback that it cannot be closed.
                with suppress(OSError, ValueError):
                    writer.xf.close()
                raise
        ws._rels = writer._rels
        self.manifest.append(ws)
