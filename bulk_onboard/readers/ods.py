"""OpenDocument spreadsheets (.ods; element names as in ODF 1.2 and 1.3, part 3)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element

from openpyxl.cell.cell import ERROR_CODES

from bulk_onboard.domain.chunk import CellKind
from bulk_onboard.readers.office_xml import Package, attribute, local, parse
from bulk_onboard.readers.sheet_rows import LAST_COLUMN, LAST_ROW, DamagedWorkbook, SheetRow, number_text

_SPACE = re.compile(r"[ \t\r\n]+")
_INDENTATION = re.compile(r"[ \t\r\n]*[\t\r\n][ \t\r\n]*\Z")
# Until runs of spaces are collapsed, elements for white space are characters that XML cannot hold.
_ELEMENTS = {"s": "\x00", "tab": "\x01", "line-break": "\x02"}
_CHARACTERS = str.maketrans({"\x00": " ", "\x01": "\t", "\x02": "\n"})
# Elements in a paragraph with paragraphs of their own.
_NOT_TEXT = {"annotation", "frame", "custom-shape", "note", "ruby-text"}
_CELLS = {"table-cell", "covered-table-cell"}
_ERROR_TEXT = re.compile(rf"{'|'.join(map(re.escape, ERROR_CODES))}|Err:\d{{3}}")
_MOST_SPACES = 1 << 16


class Ods:
    """An .ods workbook."""

    file_type = "OpenDocument spreadsheet (.ods)"

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Raises DamagedWorkbook and others (see `workbook`)."""
        self._package = Package(archive)
        self.close = self._package.close
        self._struck: set[str | None] = set()
        hidden = {name for part in ("styles.xml", "content.xml") for name in self._hiding_styles(part)}
        self.sheets = {
            attribute(table, "name") or "": attribute(table, "style-name") not in hidden
            for table, _, _ in self._rows()
        }

    def rows(self, sheet: str) -> Iterator[SheetRow]:
        """Yield the rows of a sheet that have cells, from the top."""
        number = 1
        for table, row, shown in self._rows():
            if row is None or attribute(table, "name") != sheet:
                continue
            hidden = not shown or attribute(row, "visibility") in {"collapse", "filter"}
            times = _repeated(row, "rows")
            if (sheet_row := self._row(row, number, times, hidden=hidden)).filled:
                for i in range(times):
                    yield replace(sheet_row, number=number + i)
            number += times

    def _rows(self) -> Iterator[tuple[Element, Element | None, bool]]:
        """Yield each table at its start, then its rows, and whether the groups around a row are shown."""
        tables: list[Element] = []  # from the outermost: a cell may contain a table
        groups: list[bool] = []
        with self._package.open("content.xml") as part:
            for event, element in parse(part, "start", "end"):
                name, begins = local(element), event == "start"
                if name == "table":
                    if begins and not tables:
                        yield element, None, True
                    if begins:
                        tables.append(element)
                    else:
                        tables.pop().clear()
                elif name == "table-row-group" and begins:
                    groups.append(attribute(element, "display") != "false")
                elif name == "table-row-group":
                    groups.pop()
                elif name == "table-row" and not begins and len(tables) == 1:
                    yield tables[0], element, all(groups)
                    element.clear()

    def _hiding_styles(self, part: str) -> Iterator[str]:
        """Yield the names of styles that hide a table, and remember those that strike text through."""
        if part not in self._package:
            return
        with self._package.open(part) as stream:
            for style in (element for _, element in parse(stream, "end") if local(element) == "style"):
                name = attribute(style, "name") or ""
                struck = attribute(style, "parent-style-name") in self._struck
                for item in style:
                    lines = {attribute(item, f"text-line-through-{key}") for key in ("style", "type")} - {
                        None
                    }
                    if local(item) == "text-properties" and lines:
                        struck = "none" not in lines
                    elif local(item) == "table-properties" and attribute(item, "display") == "false":
                        yield name
                if struck:
                    self._struck.add(name)

    def _row(self, element: Element, number: int, times: int, *, hidden: bool) -> SheetRow:
        row, column = SheetRow(min(number, LAST_ROW), hidden), 0
        for cell in element:
            if local(cell) not in _CELLS:
                continue
            text, kind = _content(cell)
            formula, repeat = attribute(cell, "formula") is not None, _repeated(cell, "columns")
            if text or kind or formula:
                if number + times - 1 > LAST_ROW or column + repeat > LAST_COLUMN:
                    raise DamagedWorkbook("a cell is repeated beyond the last row or column")
                for at in range(column, column + repeat):
                    row.put(at, text, kind, formula=formula)
            styles = {
                attribute(node, "style-name") for node in cell.iter() if local(node) in {"span", *_CELLS}
            }
            row.struck = row.struck or bool(styles & self._struck)
            column += repeat
        return row


def _repeated(element: Element, what: str) -> int:
    return int(attribute(element, f"number-{what}-repeated") or 1)


def _content(cell: Element) -> tuple[str, CellKind]:
    """Return the value as text, by its type; a spreadsheet shows the paragraphs."""
    paragraphs = [_paragraph(child) for child in cell if local(child) == "p"]
    shown, kind = "\n".join(paragraphs), _value_type(cell)
    formula = attribute(cell, "formula") is not None
    if kind == "error":
        return shown or "#ERROR!", CellKind.ERROR
    if kind in {"float", "percentage", "currency"}:
        stored = attribute(cell, "value")
        if stored is None:
            return ("", CellKind.FORMULA) if formula else (shown, CellKind.TEXT)
        # LibreOffice before 4.2 had no type for errors: the value was 0.
        if formula and _ERROR_TEXT.fullmatch(shown):
            return shown, CellKind.ERROR
        return number_text(stored), CellKind.VALUE
    if kind in {"date", "time", "boolean"}:
        stored = attribute(cell, f"{kind}-value") or ""
        text = (stored.upper() if kind == "boolean" else stored) or shown
        return text, CellKind.VALUE if text or not formula else CellKind.FORMULA
    stored = attribute(cell, "string-value")
    if formula and stored is None and not paragraphs:
        return "", CellKind.FORMULA
    text = shown if stored is None else stored
    # Gnumeric has no type for errors either: they are texts.
    return text, CellKind.ERROR if formula and _ERROR_TEXT.fullmatch(text) else CellKind.TEXT


def _value_type(cell: Element) -> str:
    """Return the type of the value; the newer attribute of LibreOffice knows errors."""
    types = {value for key, value in cell.items() if key.rpartition("}")[2] == "value-type"}
    return "error" if "error" in types else next(iter(types), "")


def _paragraph(element: Element) -> str:
    # LibreOffice writes a space at the end as it is, which the standard would drop.
    text = _SPACE.sub(" ", _INDENTATION.sub("", "".join(_pieces(element)))).lstrip(" ")
    return text.translate(_CHARACTERS)


def _pieces(element: Element) -> Iterator[str]:
    """Yield the text in an element, with elements for white space as characters."""
    yield element.text or ""
    for child in element:
        name = local(child)
        if name in _ELEMENTS:
            count = int(attribute(child, "c") or 1) if name == "s" else 1
            yield _ELEMENTS[name] * min(count, _MOST_SPACES)
        elif name not in _NOT_TEXT:
            yield from _pieces(child)
        yield child.tail or ""
