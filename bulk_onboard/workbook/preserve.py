"""Open the original workbook for marking, and find out what of it openpyxl cannot keep."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from openpyxl import Workbook, load_workbook

# Beyond that it would take more memory than a machine may have; as a new workbook the rows take a third.
_LARGEST = 600 << 20


class CannotPreserve(Exception):  # noqa: N818
    """The workbook cannot be marked itself; ``str()`` says why."""


# What may be in the archive, and its name for people. openpyxl writes none of these.
_LOST: Mapping[str, str] = {
    r"xl/slicers/": "slicers",
    r"xl/timelines/": "timelines",
    r"xl/(ctrlProps|activeX)/": "form controls",
    r"xl/embeddings/": "embedded objects",
    r"xl/(queryTables/|connections\.xml)": "connections to data sources",
    r"xl/model/": "the data model",
    r"xl/threadedComments/": "comment threads (their text stays)",
    r"xl/richData/": "rich data types and pictures in cells",
    r"_xmlsignatures/": "the digital signature",
}
_EXTENSIONS: Mapping[str, str] = {
    "Conditional Formatting": "some newer conditional formats",
    "Data Validation": "drop-downs with a list on another sheet",
    "Sparkline Group": "sparklines",
    "Slicer List": "slicers",
    "Timeline": "timelines",
}
_SHAPE = re.compile(rb"<xdr:(sp|cxnSp|grpSp)\b")
_MACROS = "xl/vbaProject.bin"


@dataclass(frozen=True, slots=True)
class Losses:
    """What the marked workbook will not have."""

    found: tuple[str, ...]

    def words(self) -> list[str]:
        """Return the texts without repetitions."""
        return list(dict.fromkeys(self.found))


def open_original(file: BinaryIO, sheets: Collection[str], *, macros: bool) -> tuple[Workbook, Losses]:
    """The workbook with everything that can be kept. Raises CannotPreserve."""
    try:
        with zipfile.ZipFile(file) as packed:
            _require_modern(packed)
            lost = list(_parts(packed, macros=macros))
        file.seek(0)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            book = load_workbook(file, keep_vba=macros, rich_text=True)
    except CannotPreserve:
        raise
    except Exception:
        raise CannotPreserve("the workbook cannot be opened for marking") from None
    if not set(sheets) <= set(book.sheetnames):
        raise CannotPreserve("the sheet cannot be opened for marking")
    lost += [words for one in said for words in _of_warning(str(one.message))]
    return book, Losses((*lost, *_pictures(book, file)))


def _require_modern(packed: zipfile.ZipFile) -> None:
    if "xl/workbook.xml" not in packed.namelist():
        raise CannotPreserve("only .xlsx and .xlsm can be marked themselves")
    size = sum(one.file_size for one in packed.infolist() if one.filename.startswith("xl/worksheets/"))
    if size > _LARGEST:
        raise CannotPreserve("the workbook is too large to be marked itself")


def _parts(packed: zipfile.ZipFile, *, macros: bool) -> Iterator[str]:
    names = packed.namelist()
    for pattern, words in _LOST.items():
        if any(re.match(pattern, name) for name in names):
            yield words
    if _MACROS in names and not macros:
        yield "macros (give the new file the ending .xlsm to keep them)"
    drawings = [name for name in names if re.match(r"xl/drawings/drawing\d+\.xml$", name)]
    if any(_SHAPE.search(packed.read(name)) for name in drawings):
        yield "shapes and text boxes"
    if any(re.match(r"xl/charts/chart\d+\.xml$", name) for name in names):
        yield "some of the charts' formatting"


def _of_warning(message: str) -> list[str]:
    known = [words for name, words in _EXTENSIONS.items() if message.startswith(f"{name} extension")]
    if "Cannot parse header or footer" in message:
        known.append("headers and footers for printing")
    return known


def _pictures(book: Workbook, file: BinaryIO) -> list[str]:
    file.seek(0)
    with zipfile.ZipFile(file) as packed:
        had = sum(name.startswith("xl/media/") for name in packed.namelist())
    count = sum(len(sheet._images) for sheet in book.worksheets)
    return ["pictures (kept if the Python package pillow is installed)"] if had > count else []
