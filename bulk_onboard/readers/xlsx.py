"""Workbooks of the format Office Open XML (.xlsx .xlsm; ECMA-376, ISO/IEC 29500 transitional and strict)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from functools import cache, cached_property
from xml.etree.ElementTree import Element

from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.utils import column_index_from_string

from bulk_onboard.domain.chunk import CellKind
from bulk_onboard.readers.office_xml import Package, attribute, children, children_of, is_true, namespace
from bulk_onboard.readers.sheet_rows import DamagedWorkbook, SheetRow, number_text

# Row and column, both from 1, -> the type and the text of a formula's stored result, as the XML has them.
Results = dict[tuple[int, int], tuple[str, str]]

_PLAIN = ("General", False)
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


class Xlsx:
    """An .xlsx workbook."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Raises DamagedWorkbook and others (see `workbook`)."""
        self._package = package = Package(archive)
        self.close = package.close
        self.file_type = f"Excel workbook ({'.xlsm' if 'xl/vbaProject.bin' in package else '.xlsx'})"
        root = [target for kind, target in package.related("").values() if kind == "officeDocument"]
        main = root[0] if root and root[0] in package else "xl/workbook.xml"
        related = package.related(main)
        self._parts = dict(related.values())
        content = package.root(main)
        listed = children(content, "sheets", "sheet")
        if not listed:
            raise DamagedWorkbook("it lists no sheets")
        self._mac_dates = any(is_true(node.get("date1904")) for node in children(content, "workbookPr"))
        self.sheets: dict[str, bool] = {}
        self._targets: dict[str, str] = {}
        for sheet in listed:
            kind, target = related.get(attribute(sheet, "id") or "", ("", ""))
            if kind == "worksheet":
                name = sheet.get("name", "")
                self.sheets[name] = sheet.get("state", "visible") == "visible"
                self._targets[name] = target

    def rows(self, sheet: str) -> Iterator[SheetRow]:
        """Yield the rows of a sheet that have cells, from the top."""
        for number, element in self._elements(sheet):
            height = element.get("ht")
            row = SheetRow(
                number, is_true(element.get("hidden")) or (height is not None and not float(height))
            )
            for column, cell, content in _cells(element):
                self._put(row, column, cell, content)
            yield row

    def results(self) -> dict[str, Results]:
        """Return by sheet and cell what is stored as the result of each formula."""
        return {sheet: dict(self._results(sheet)) for sheet in self._targets}

    def _results(self, sheet: str) -> Iterator[tuple[tuple[int, int], tuple[str, str]]]:
        for number, element in self._elements(sheet):
            for column, cell, (stored, _, formula) in _cells(element):
                kind = cell.get("t", "n")
                if formula and (stored or kind == "str") and kind not in {"s", "inlineStr"}:
                    yield (number, column + 1), (kind, stored or "")

    def _elements(self, sheet: str) -> Iterator[tuple[int, Element]]:
        number = 0
        with self._package.open(self._targets[sheet]) as part:
            for element in children_of(part, "sheetData"):
                number = int(element.get("r") or number + 1)
                yield number, element

    def _put(self, row: SheetRow, column: int, cell: Element, content: _Content) -> None:
        """Add one cell to its row."""
        (stored, inline, formula), kind = content, cell.get("t", "n")
        number_format, struck = self._styles.get(cell.get("s", "0"), _PLAIN)
        if kind == "inlineStr" and inline is not None:
            text, partly = _rich_text(inline)
            row.put(column, text, formula=formula)
        elif kind == "s" and stored and not stored.isspace():
            text, partly = self._shared_string(int(stored))
            row.put(column, text, formula=formula)
        elif stored is not None or formula:
            partly = False
            text, cell_kind = self._value(stored, kind, number_format, formula=formula)
            row.put(column, text, cell_kind, formula=formula)
        else:
            return
        if struck or partly:
            row.struck = True

    def _value(
        self, stored: str | None, kind: str, number_format: str, *, formula: bool
    ) -> tuple[str, CellKind]:
        """Return the text and kind of a cell that is neither a shared string nor an inline one."""
        if kind == "str" and stored is not None:
            return unescaped(stored), CellKind.TEXT
        text = (stored or "").strip()
        if kind == "e" and not (formula and not text):
            return text or "#ERROR!", CellKind.ERROR
        if not text:
            return "", CellKind.FORMULA if formula else CellKind.TEXT
        if kind == "b":
            return "TRUE" if is_true(text) else "FALSE", CellKind.VALUE
        if kind == "d":
            return text, CellKind.VALUE
        return number_text(text, number_format, mac_dates=self._mac_dates), CellKind.VALUE

    def _shared_string(self, number: int) -> tuple[str, bool]:
        if not 0 <= number < len(self._shared):
            raise DamagedWorkbook("a cell refers to a shared string that does not exist")
        return self._shared[number]

    @cached_property
    def _shared(self) -> list[tuple[str, bool]]:
        """The shared strings, and whether they are struck through, in part."""
        if (name := self._parts.get("sharedStrings", "")) not in self._package:
            return []
        with self._package.open(name) as part:
            return [_rich_text(item) for item in children_of(part, "sst")]

    @cached_property
    def _styles(self) -> dict[str, tuple[str, bool]]:
        """Style number -> the number format, and whether the font is struck through."""
        root = self._package.root(self._parts.get("styles", ""))
        formats = dict(BUILTIN_FORMATS)
        for node in children(root, "numFmts", "numFmt"):
            formats[int(node.get("numFmtId", "0"))] = node.get("formatCode", "")
        fonts = [_is_struck(font) for font in children(root, "fonts", "font")]
        styles = {}
        for i, node in enumerate(children(root, "cellXfs", "xf")):
            font = int(node.get("fontId", "0"))
            number_format = formats.get(int(node.get("numFmtId", "0")), "General")
            styles[str(i)] = number_format, font < len(fonts) and fonts[font]
        return styles


# What a cell holds: its stored value, its inline text, and whether there is a formula.
_Content = tuple[str | None, Element | None, bool]


def _cells(row: Element) -> Iterator[tuple[int, Element, _Content]]:
    """Yield the cells of a row, each with its column from 0; one without a reference follows the last one."""
    column, (cell_tag, value_tag, inline_tag, formula_tag) = -1, _tags(namespace(row))
    for cell in row:
        if cell.tag != cell_tag:
            continue
        reference, stored, inline, formula = cell.get("r"), None, None, False
        column = _column(reference.rstrip("0123456789")) if reference else column + 1
        for part in cell:
            tag = part.tag
            if tag == value_tag:
                stored = part.text or ""
            elif tag == inline_tag:
                inline = part
            elif tag == formula_tag:
                formula = True
        yield column, cell, (stored, inline, formula)


@cache
def _tags(namespace: str) -> tuple[str, str, str, str]:
    """Return the names of cells and of what is in them."""
    return f"{namespace}c", f"{namespace}v", f"{namespace}is", f"{namespace}f"


@cache
def _column(letters: str) -> int:
    """Return the number of a column from 0: ``B`` -> 1."""
    return int(column_index_from_string(letters)) - 1


def _rich_text(item: Element) -> tuple[str, bool]:
    """Return the text of all runs, without phonetic hints, and whether some of it is struck through."""
    if len(item) == 1 and (only := item[0]).tag[-2:] in {"}t", "t"}:
        return unescaped(only.text or ""), False
    prefix = namespace(item)
    runs = item.findall(f"{prefix}r")
    pieces = [text.text or "" for run in (item, *runs) for text in run.iterfind(f"{prefix}t")]
    return unescaped("".join(pieces)), any(_is_struck(text) for run in runs for text in run)


def _is_struck(font: Element) -> bool:
    return any(is_true(strike.get("val", "1")) for strike in children(font, "strike"))


def unescaped(text: str) -> str:
    """Put back the characters that XML cannot hold, which ST_Xstring writes as ``_xHHHH_``."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text
