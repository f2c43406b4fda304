"""OpenDocument spreadsheets (.ods; ODF 1.2 and 1.3, part 3, whose names of elements are used here)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace

from openpyxl.cell.cell import ERROR_CODES

from bulk_onboard.domain.chunk import CellKind
from bulk_onboard.readers.cell_text import number_text
from bulk_onboard.readers.sheet_rows import LAST_COLUMN, LAST_ROW, DamagedWorkbook, SheetRow
from bulk_onboard.readers.xml_stream import Attributes, attribute, parse

_SPACE = re.compile(r"[ \t\r\n]+")
_INDENTATION = re.compile(r"[ \t\r\n]*[\t\r\n][ \t\r\n]*\Z")
# Until runs of spaces are collapsed, elements for white space are characters that XML cannot hold.
_ELEMENTS = {"s": "\x00", "tab": "\x01", "line-break": "\x02"}
_CHARACTERS = str.maketrans({"\x00": " ", "\x01": "\t", "\x02": "\n"})
_ERROR_TEXT = re.compile(rf"{'|'.join(map(re.escape, ERROR_CODES))}|Err:\d{{3}}")
_MOST_SPACES = 1 << 16


class Ods:
    """An .ods workbook."""

    file_type = "OpenDocument spreadsheet (.ods)"

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Raises DamagedWorkbook."""
        self._archive = archive
        self._struck: set[str] = set()
        hidden: set[str] = set()
        listed: list[tuple[str, str]] = []
        if "styles.xml" in archive.namelist():
            self._parse("styles.xml", _Styles(self._struck, hidden, []))
        self._parse("content.xml", _Styles(self._struck, hidden, listed))
        self.sheets: Sequence[tuple[str, bool]] = [(name, style not in hidden) for name, style in listed]

    def rows(self, sheet: str) -> Iterator[SheetRow]:
        """The rows of a sheet that have cells, from the top. Raises DamagedWorkbook."""
        found = _Table(sheet, self._struck)
        with self._archive.open("content.xml") as part:
            for _ in parse(part, found.start, found.end, found.text):
                for row, count in found.rows:
                    for i in range(count):
                        yield replace(row, number=row.number + i)
                found.rows.clear()
                if found.done:
                    return

    def close(self) -> None:
        """Release the archive."""
        self._archive.close()

    def _parse(self, name: str, styles: _Styles) -> None:
        with self._archive.open(name) as part:
            for _ in parse(part, styles.start, styles.end):
                pass


class _Styles:
    """Collects the tables of a document, and the styles that hide a table or strike text through."""

    def __init__(self, struck: set[str], hidden: set[str], tables: list[tuple[str, str]]) -> None:
        self._struck, self._hidden, self._tables = struck, hidden, tables
        self._style, self._depth = "", 0

    def start(self, tag: str, attributes: Attributes) -> None:
        if tag == "style":
            self._style = attribute(attributes, "name") or ""
            if attribute(attributes, "parent-style-name") in self._struck:
                self._struck.add(self._style)
        elif tag == "text-properties":
            lines = {attribute(attributes, f"text-line-through-{key}") for key in ("style", "type")}
            if lines - {None}:
                (self._struck.discard if "none" in lines else self._struck.add)(self._style)
        elif tag == "table-properties" and attribute(attributes, "display") == "false":
            self._hidden.add(self._style)
        elif tag == "table":
            self._depth += 1
            if self._depth == 1:
                name, style = attribute(attributes, "name"), attribute(attributes, "style-name")
                self._tables.append((name or "", style or ""))

    def end(self, tag: str) -> None:
        self._depth -= tag == "table"


class _Table:
    """Collects the rows of one table, with how often each is repeated, while the document is parsed."""

    def __init__(self, name: str, struck: set[str]) -> None:
        self.rows: list[tuple[SheetRow, int]] = []
        self.done = False
        self._name, self._struck = name, struck
        self._path: list[str] = []  # of elements, from the table on
        self._groups: list[bool] = []  # whether each group of rows around is shown
        self._next = 1
        self._row = SheetRow(0)
        self._times = self._repeat = 1
        self._column = 0
        self._cell: Attributes = {}
        self._paragraphs: list[str] = []
        self._pieces: list[str] = []

    def start(self, tag: str, attributes: Attributes) -> None:
        if not self._path:
            if tag == "table" and attribute(attributes, "name") == self._name and not self.done:
                self._path.append(tag)
            return
        self._path.append(tag)
        if tag == "table-row" and "table-cell" not in self._path:
            self._start_row(attributes)
        elif tag in {"table-cell", "covered-table-cell"} and self._path[-2] == "table-row":
            self._cell, self._paragraphs = attributes, []
            self._repeat = int(attribute(attributes, "number-columns-repeated") or 1)
            self._row.struck = self._row.struck or attribute(attributes, "style-name") in self._struck
        elif tag == "table-row-group":
            self._groups.append(attribute(attributes, "display") != "false")
        elif tag == "p" and self._in_cell(-2):
            self._pieces = []
        elif self._in_paragraph():
            self._start_inside(tag, attributes)

    def text(self, data: str) -> None:
        if self._in_paragraph():
            self._pieces.append(data)

    def end(self, tag: str) -> None:
        if not self._path:
            return
        if tag == "p" and self._in_cell(-2):
            # LibreOffice writes a space at the end as it is, which the standard would drop.
            collapsed = _SPACE.sub(" ", _INDENTATION.sub("", "".join(self._pieces))).lstrip(" ")
            self._paragraphs.append(collapsed.translate(_CHARACTERS))
        elif tag in {"table-cell", "covered-table-cell"} and self._path[-2:-1] == ["table-row"]:
            self._end_cell()
        elif tag == "table-row" and "table-cell" not in self._path:
            if self._row.filled:
                self.rows.append((self._row, self._times))
            self._next += self._times
        elif tag == "table-row-group":
            self._groups.pop()
        self._path.pop()
        self.done = self.done or not self._path

    def _in_cell(self, at: int) -> bool:
        return self._path[at] in {"table-cell", "covered-table-cell"}

    def _in_paragraph(self) -> bool:
        """Whether text belongs to the cell: a comment or a drawing in it has paragraphs of its own."""
        path = self._path
        if "p" not in path:
            return False
        at = path.index("p")
        return self._in_cell(at - 1) and not {
            "annotation",
            "frame",
            "custom-shape",
            "note",
            "ruby-text",
        } & set(path[at:])

    def _start_row(self, attributes: Attributes) -> None:
        self._times = int(attribute(attributes, "number-rows-repeated") or 1)
        hidden = attribute(attributes, "visibility") in {"collapse", "filter"} or not all(self._groups)
        self._row, self._column = SheetRow(self._next, hidden), 0

    def _start_inside(self, tag: str, attributes: Attributes) -> None:
        if tag in _ELEMENTS:
            count = int(attribute(attributes, "c") or 1) if tag == "s" else 1
            self._pieces.append(_ELEMENTS[tag] * min(count, _MOST_SPACES))
        elif tag == "span":
            self._row.struck = self._row.struck or attribute(attributes, "style-name") in self._struck

    def _end_cell(self) -> None:
        formula = attribute(self._cell, "formula") is not None
        text, kind = self._content(formula=formula)
        if text or kind or formula:
            if self._next + self._times - 1 > LAST_ROW or self._column + self._repeat > LAST_COLUMN:
                raise DamagedWorkbook("a cell is repeated beyond the last row or column")
            for column in range(self._column, self._column + self._repeat):
                self._row.put(column, text, kind, formula=formula)
        self._column += self._repeat

    def _content(self, *, formula: bool) -> tuple[str, CellKind]:
        """The value as text, by its type; a spreadsheet shows the paragraphs."""
        shown, kind = "\n".join(self._paragraphs), self._value_type()
        if kind == "error":
            return shown or "#ERROR!", CellKind.ERROR
        if kind in {"float", "percentage", "currency"}:
            stored = attribute(self._cell, "value")
            if stored is None:
                return ("", CellKind.FORMULA) if formula else (shown, CellKind.TEXT)
            # LibreOffice before 4.2 had no type for errors: the value was 0.
            if formula and _ERROR_TEXT.fullmatch(shown):
                return shown, CellKind.ERROR
            return number_text(stored), CellKind.VALUE
        if kind in {"date", "time", "boolean"}:
            stored = attribute(self._cell, f"{kind}-value") or ""
            text = stored.upper() if kind == "boolean" else stored
            return (text or shown, CellKind.VALUE) if text or shown or not formula else ("", CellKind.FORMULA)
        stored = attribute(self._cell, "string-value")
        if formula and stored is None and not self._paragraphs:
            return "", CellKind.FORMULA
        text = shown if stored is None else stored
        # Gnumeric has no type for errors either: they are texts.
        return text, CellKind.ERROR if formula and _ERROR_TEXT.fullmatch(text) else CellKind.TEXT

    def _value_type(self) -> str:
        """The type of the value; the newer attribute of LibreOffice knows errors."""
        types = {value for key, value in self._cell.items() if key.rpartition(":")[2] == "value-type"}
        return "error" if "error" in types else next(iter(types), "")
