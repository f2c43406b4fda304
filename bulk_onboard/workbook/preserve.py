"""Open the original workbook for marking, and find out what of it openpyxl cannot keep."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from typing import BinaryIO

from openpyxl import Workbook, load_workbook

# Beyond that it would take more memory than a machine may have; as a new workbook the rows take a third.
_LARGEST = 600 << 20

# What may be in the archive, and its name for people. openpyxl writes none of these.
_LOST_PARTS: Mapping[str, str] = {
    r"xl/slicers/": "slicers",
    r"xl/timelines/": "timelines",
    r"xl/(ctrlProps|activeX)/": "form controls",
    r"xl/embeddings/": "embedded objects",
    r"xl/(queryTables/|connections\.xml)": "connections to data sources",
    r"xl/model/": "the data model",
    r"xl/threadedComments/": "comment threads (their text stays)",
    r"xl/richData/": "rich data types and pictures in cells",
    r"_xmlsignatures/": "the digital signature",
    r"xl/charts/chart\d+\.xml$": "some of the charts' formatting",
}
# What openpyxl warns of, by the words in its message.
_LOST_BY_WARNING: Mapping[str, str] = {
    "Conditional Formatting extension": "some newer conditional formats",
    "Data Validation extension": "drop-downs with a list on another sheet",
    "Sparkline Group extension": "sparklines",
    "Slicer List extension": "slicers",
    "Timeline extension": "timelines",
    "Cannot parse header or footer": "headers and footers for printing",
}
_SHAPE = re.compile(rb"<xdr:(sp|cxnSp|grpSp)\b")
_MACROS = "xl/vbaProject.bin"


class CannotPreserve(Exception):  # noqa: N818
    """The workbook cannot be marked itself; ``str()`` says why."""


def open_original(file: BinaryIO, sheets: Collection[str], *, macros: bool) -> tuple[Workbook, list[str]]:
    """Return the workbook with all that can be kept, and what cannot, in words. Raises CannotPreserve."""
    try:
        with zipfile.ZipFile(file) as packed:
            _check(packed)
            lost = list(_lost_parts(packed, macros=macros))
            pictures = sum(name.startswith("xl/media/") for name in packed.namelist())
        file.seek(0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            book = load_workbook(file, keep_vba=macros, rich_text=True)
    except CannotPreserve:
        raise
    except Exception:
        raise CannotPreserve("the workbook cannot be opened for marking") from None
    if not set(sheets) <= set(book.sheetnames):
        raise CannotPreserve("the sheet cannot be opened for marking")
    messages = [str(warning.message) for warning in caught]
    lost += [lack for words, lack in _LOST_BY_WARNING.items() if any(words in text for text in messages)]
    if pictures > sum(len(sheet._images) for sheet in book.worksheets):
        lost.append("pictures (kept if the Python package pillow is installed)")
    return book, list(dict.fromkeys(lost))


def _check(packed: zipfile.ZipFile) -> None:
    if "xl/workbook.xml" not in packed.namelist():
        raise CannotPreserve("only .xlsx and .xlsm can be marked themselves")
    size = sum(part.file_size for part in packed.infolist() if part.filename.startswith("xl/worksheets/"))
    if size > _LARGEST:
        raise CannotPreserve("the workbook is too large to be marked itself")


def _lost_parts(packed: zipfile.ZipFile, *, macros: bool) -> Iterator[str]:
    names = packed.namelist()
    for pattern, lack in _LOST_PARTS.items():
        if any(re.match(pattern, name) for name in names):
            yield lack
    if _MACROS in names and not macros:
        yield "macros (give the new file the ending .xlsm to keep them)"
    drawings = [name for name in names if re.match(r"xl/drawings/drawing\d+\.xml$", name)]
    if any(_SHAPE.search(packed.read(name)) for name in drawings):
        yield "shapes and text boxes"
