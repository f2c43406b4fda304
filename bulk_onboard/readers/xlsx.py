"""Workbooks of the format Office Open XML (.xlsx .xlsm; ECMA-376, ISO/IEC 29500 transitional and strict)."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO

from openpyxl.styles.numbers import BUILTIN_FORMATS

from bulk_onboard.domain.chunk import CellKind
from bulk_onboard.readers.cell_text import number_text
from bulk_onboard.readers.sheet_rows import LAST_ROW, DamagedWorkbook, SheetRow
from bulk_onboard.readers.xml_stream import Attributes, is_true, parse

# Row and column, both from 1, -> the type and the text of a formula's stored result, as the XML has them.
Results = dict[tuple[int, int], tuple[str, str]]

_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


class Package:
    """The parts of an Office archive, by name, whatever the case and the direction of the slashes."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = {_normal(name): name for name in archive.namelist()}

    def __contains__(self, name: str) -> bool:
        return _normal(name) in self._names

    def open(self, name: str) -> IO[bytes]:
        """One part. Raises DamagedWorkbook if it is missing."""
        if name not in self:
            raise DamagedWorkbook(f"{name} is missing")
        return self._archive.open(self._names[_normal(name)])

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """The relationships of a part: id -> last word of the type, other part."""
        folder, _, base = name.rpartition("/")
        path = f"{folder}/_rels/{base}.rels".lstrip("/")
        found: dict[str, tuple[str, str]] = {}

        def start(tag: str, attributes: Attributes) -> None:
            if tag == "Relationship":
                kind = attributes.get("Type", "").rpartition("/")[2]
                target = posixpath.join("/", folder, attributes.get("Target", "").replace("\\", "/"))
                found[attributes.get("Id", "")] = kind, posixpath.normpath(target).lstrip("/")

        if path in self:
            self.read(path, start)
        return found

    def read(self, name: str, start: object, end: object = None, text: object = None) -> None:
        """Parse a whole part."""
        with self.open(name) as part:
            for _ in parse(part, start, end or _nothing, text):  # type: ignore[arg-type]
                pass


def _normal(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _nothing(_: str) -> None:
    pass


class Xlsx:
    """An .xlsx workbook."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Raises DamagedWorkbook."""
        self._archive, self._package = archive, Package(archive)
        suffix = ".xlsm" if "xl/vbaProject.bin" in self._package else ".xlsx"
        self.file_type = f"Excel workbook ({suffix})"
        root = [target for kind, target in self._package.related("").values() if kind == "officeDocument"]
        self._main = root[0] if root and root[0] in self._package else "xl/workbook.xml"
        self._mac_dates = False
        listed: list[tuple[str, str, str]] = []

        def start(tag: str, attributes: Attributes) -> None:
            if tag == "sheet":
                link = next((value for key, value in attributes.items() if key.endswith(":id")), "")
                listed.append((attributes.get("name", ""), attributes.get("state", "visible"), link))
            elif tag == "workbookPr":
                self._mac_dates = is_true(attributes.get("date1904"))

        self._package.read(self._main, start)
        related = self._package.related(self._main)
        self._parts = dict(related.values())
        tables = [(name, state, related[link]) for name, state, link in listed if link in related]
        self.sheets: Sequence[tuple[str, bool]] = [
            (name, state == "visible") for name, state, (kind, _) in tables if kind == "worksheet"
        ]
        self._targets = {name: target for name, _, (kind, target) in tables if kind == "worksheet"}
        if not listed:
            raise DamagedWorkbook("it lists no sheets")
        self._shared: list[tuple[str, bool]] | None = None
        self._styles: list[tuple[str, bool]] | None = None

    def rows(self, sheet: str) -> Iterator[SheetRow]:
        """The rows of a sheet that have cells, from the top. Raises DamagedWorkbook."""
        for found in self._parsed(sheet):
            yield from found.rows
            found.rows.clear()

    def results(self) -> dict[str, Results]:
        """By sheet and cell, what is stored as the result of each formula. Raises DamagedWorkbook."""
        found: dict[str, Results] = {}
        for sheet in self._targets:
            for table in self._parsed(sheet):
                table.rows.clear()
                found[sheet] = table.results
        return found

    def _parsed(self, sheet: str) -> Iterator[_Sheet]:
        """The same sheet after each block of its XML."""
        if self._shared is None or self._styles is None:
            self._shared, self._styles = self._shared_strings(), self._cell_styles()
        found = _Sheet(self._shared, self._styles, mac_dates=self._mac_dates)
        with self._package.open(self._targets[sheet]) as part:
            for _ in parse(part, found.start, found.end, found.text):
                yield found

    def close(self) -> None:
        """Release the archive."""
        self._archive.close()

    def _shared_strings(self) -> list[tuple[str, bool]]:
        """Each shared string, and whether some of it is struck through."""
        if self._parts.get("sharedStrings", "") not in self._package:
            return []
        strings: list[tuple[str, bool]] = []
        rich = _RichText()

        def start(tag: str, attributes: Attributes) -> None:
            if tag == "si":
                rich.reset()
            else:
                rich.start(tag, attributes)

        def end(tag: str) -> None:
            if tag == "si":
                strings.append((rich.content, rich.struck))
            else:
                rich.end(tag)

        self._package.read(self._parts["sharedStrings"], start, end, rich.text)
        return strings

    def _cell_styles(self) -> list[tuple[str, bool]]:
        """By style number: the number format, and whether the font is struck through."""
        if self._parts.get("styles", "") not in self._package:
            return []
        formats, fonts, styles = dict(BUILTIN_FORMATS), [False], [("General", False)]
        fonts.clear()
        styles.clear()
        path: list[str] = []

        def start(tag: str, attributes: Attributes) -> None:
            path.append(tag)
            if path[-2:] == ["numFmts", "numFmt"]:
                formats[int(attributes.get("numFmtId", "0"))] = attributes.get("formatCode", "")
            elif path[-2:] == ["fonts", "font"]:
                fonts.append(False)
            elif path[-3:] == ["fonts", "font", "strike"]:
                fonts[-1] = is_true(attributes.get("val", "1"))
            elif path[-2:] == ["cellXfs", "xf"]:
                font = int(attributes.get("fontId", "0"))
                number_format = formats.get(int(attributes.get("numFmtId", "0")), "General")
                styles.append((number_format, font < len(fonts) and fonts[font]))

        self._package.read(self._parts["styles"], start, lambda _: path.pop())
        return styles


class _RichText:
    """The text of a string item: of all its runs, without phonetic hints."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._pieces: list[str] = []
        self._open = self._phonetic = self.struck = False

    def start(self, tag: str, attributes: Attributes) -> None:
        if tag == "t":
            self._open = not self._phonetic
        elif tag == "rPh":
            self._phonetic = True
        elif tag == "strike":
            self.struck = self.struck or is_true(attributes.get("val", "1"))

    def end(self, tag: str) -> None:
        if tag == "t":
            self._open = False
        elif tag == "rPh":
            self._phonetic = False

    def text(self, data: str) -> None:
        if self._open:
            self._pieces.append(data)

    @property
    def content(self) -> str:
        return unescaped("".join(self._pieces))


def unescaped(text: str) -> str:
    """The characters that XML cannot hold, which ST_Xstring writes as ``_xHHHH_``, put back."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


class _Sheet:
    """Collects the rows of one sheet while its XML is parsed."""

    def __init__(
        self, shared: list[tuple[str, bool]], styles: list[tuple[str, bool]], *, mac_dates: bool
    ) -> None:
        self.rows: list[SheetRow] = []
        self.results: Results = {}
        self._shared, self._styles, self._mac_dates = shared, styles, mac_dates
        self._row = SheetRow(0)
        self._column = -1
        self._type, self._style = "n", 0
        self._formula = False
        self._value: str | None = None
        self._reading = ""  # "v", "is" or "": where text belongs
        self._inline = _RichText()
        self._in_data = False

    def start(self, tag: str, attributes: Attributes) -> None:
        if tag == "c":
            reference = attributes.get("r")
            self._column = _column(reference) if reference else self._column + 1
            self._type = attributes.get("t", "n")
            self._style = int(attributes.get("s", "0"))
            self._formula, self._value = False, None
        elif tag == "v":
            self._reading, self._value = "v", ""
        elif tag == "f":
            self._formula = True
        elif tag == "row":
            self._start_row(attributes)
        elif tag == "is":
            self._reading, self._value = "is", ""
            self._inline.reset()
        elif self._reading == "is":
            self._inline.start(tag, attributes)

    def text(self, data: str) -> None:
        if self._reading == "v":
            self._value = (self._value or "") + data
        elif self._reading:
            self._inline.text(data)

    def end(self, tag: str) -> None:
        if tag == "c":
            self._end_cell()
        elif tag == "row":
            self.rows.append(self._row)
        elif tag in {"v", "is"}:
            self._reading = ""
        elif self._reading == "is":
            self._inline.end(tag)

    def _start_row(self, attributes: Attributes) -> None:
        number = int(attributes.get("r") or self._row.number + 1)
        if not 0 < number <= LAST_ROW:
            raise DamagedWorkbook(f"a row with the number {number}")
        height = attributes.get("ht")
        hidden = is_true(attributes.get("hidden")) or (height is not None and float(height) == 0)
        self._row, self._column = SheetRow(number, hidden), -1

    def _end_cell(self) -> None:
        if self._value is None and not self._formula:
            return
        stored = self._value or ""
        if self._formula and (stored or self._type == "str") and self._type not in {"s", "inlineStr"}:
            self.results[self._row.number, self._column + 1] = self._type, stored
        number_format, struck = (
            self._styles[self._style] if self._style < len(self._styles) else ("General", False)
        )
        if self._type == "inlineStr":
            stored, struck = self._inline.content, struck or self._inline.struck
            self._put(stored, CellKind.TEXT)
        elif self._type == "str" and self._value is not None:
            self._put(unescaped(stored), CellKind.TEXT)
        elif not stored.strip():
            if self._type == "e" and self._value is not None:
                self._put("#ERROR!", CellKind.ERROR)
            elif self._formula:
                self._put("", CellKind.FORMULA)
        elif self._type == "s":
            text, partly = self._shared_string(stored)
            struck = struck or partly
            self._put(text, CellKind.TEXT)
        elif self._type == "e":
            self._put(stored.strip(), CellKind.ERROR)
        elif self._type == "b":
            self._put("TRUE" if is_true(stored) else "FALSE", CellKind.VALUE)
        elif self._type == "d":
            self._put(stored.strip(), CellKind.VALUE)
        else:
            text = number_text(stored.strip(), number_format, mac_dates=self._mac_dates)
            self._put(text, CellKind.VALUE)
        self._row.struck = self._row.struck or struck

    def _put(self, text: str, kind: CellKind) -> None:
        if text or kind or self._formula:
            self._row.put(self._column, text, kind, formula=self._formula)

    def _shared_string(self, stored: str) -> tuple[str, bool]:
        number = int(stored)
        if not 0 <= number < len(self._shared):
            raise DamagedWorkbook("a cell refers to a shared string that does not exist")
        return self._shared[number]


def _column(reference: str) -> int:
    """``B7`` -> 1."""
    number = 0
    for letter in reference:
        if not letter.isalpha():
            break
        number = number * 26 + (ord(letter) & 0x1F)
    return number - 1
