"""What a file is: by its first bytes; its name only says whether text is meant to be a table."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import PurePath

from bulk_onboard.errors import InputError, NoRows
from bulk_onboard.read.held import Held
from bulk_onboard.read.text import blocks, compression
from bulk_onboard.where import STANDARD_INPUT

# The container of old Office files ([MS-CFB]).
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

TEXT = (".csv", ".tsv", ".txt")
PACKED = (".gz", ".bz2", ".xz")
WORKBOOK = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
PARQUET = (".parquet",)
KNOWN = f"{' '.join(TEXT)} (also compressed: {' '.join(PACKED)}), {PARQUET[0]}, {' '.join(WORKBOOK)}"

_FOREIGN = {
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard; unpack it first",
    b"PARE": "an encrypted Parquet file; decrypt it first",
    b"SQLite format 3": "a SQLite database",
    b"-----BEGIN PGP": "encrypted; pipe the decrypted text into standard input and name the file -",
    b"{\\rtf": "a text document (RTF)",
    b"ARROW1": "an Arrow file",
}
_PACKED = {
    b"PK": "a compressed workbook or archive; unpack it first",
    OLE_MAGIC: "a compressed workbook; unpack it first",
    b"PAR1": "a compressed Parquet file; unpack it first",
    b"\x1f\x8b": "compressed twice; unpack it first",
    b"BZh": "compressed twice; unpack it first",
    b"\xfd7zXZ\x00": "compressed twice; unpack it first",
}
_WEB = "a web page or XML; open it in a spreadsheet program and save it as .xlsx"
_MARKUP = {b"<": _WEB, b"{": "JSON", b"[": "JSON"}
# What comes of reading a damaged ZIP archive.
UNZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    struct.error,
    RuntimeError,  # of which NotImplementedError is one: encryption, strange methods of compression
)
_LARGEST_SHEETS = 4 << 30
# Deflate at its best packs a thousand times; a real sheet is packed ten or twenty times.
_LARGE_SHEETS, _MOST_PACKED = 1 << 27, 200


def is_known_name(name: str) -> bool:
    """Whether a file of this name is meant to be a table."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in (*TEXT, *WORKBOOK, *PARQUET)


class Kind(Enum):
    """Who reads it."""

    DELIMITED = auto()
    PARQUET = auto()
    WORKBOOK = auto()


def kind_of(held: Held) -> Kind:
    """What the content is. Raises InputError if it is nothing that can be read."""
    head = held.head(512)
    if not head:
        raise NoRows(f"{held.name} is empty; expected a header and rows")
    if head.startswith(b"PAR1"):
        return Kind.PARQUET
    if head.startswith(OLE_MAGIC):
        return _of_ole(held)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _of_zip(held)
    packed = bool(compression(head))
    foreign = _foreign(next(blocks(held), b"")[:512], _PACKED) if packed else _foreign(head, {})
    if foreign:
        raise InputError(f"{held.name} is {foreign}; expected one of {KNOWN}")
    _require_known_name(held, packed=packed)
    return Kind.DELIMITED


def _foreign(head: bytes, more: Mapping[bytes, str]) -> str:
    """What this is the beginning of, "" if it may be text."""
    found = next((what for magic, what in {**_FOREIGN, **more}.items() if head.startswith(magic)), "")
    text = head.removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    return found or _MARKUP.get(text.replace(b"\0", b"").lstrip()[:1], "")


def _require_known_name(held: Held, *, packed: bool) -> None:
    """Text of an unknown suffix may be anything; text named as a workbook is an export that lies."""
    if held.name == STANDARD_INPUT:
        return
    suffixes = tuple(s for s in held.suffixes if s not in PACKED) if packed else held.suffixes
    last = suffixes[-1] if suffixes else ""
    if packed and last in (*WORKBOOK, *PARQUET):
        raise InputError(f"{held.name} is a compressed {last} file; unpack it first")
    if last not in (*TEXT, *WORKBOOK, *PARQUET):
        what = f"unknown suffix {last}" if last else "no suffix"
        raise InputError(f"{held.name}: {what}; expected one of {KNOWN}; if it is CSV, rename it to .csv")


def _of_ole(held: Held) -> Kind:
    """The old container of Microsoft Office, also used for encrypted workbooks of the new kind."""
    with held.reader() as reader:
        content = reader.read()
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise InputError(f"{held.name} is encrypted; save the workbook without a password")
    if not any(stream.encode("utf-16-le") in content for stream in ("Workbook", "Book")):
        raise InputError(
            f"{held.name} is an old Office file without a workbook in it, or cut off; save it as .xlsx"
        )
    return Kind.WORKBOOK


def _of_zip(held: Held) -> Kind:
    try:
        with held.reader() as reader, zipfile.ZipFile(reader) as packed:
            names, size = set(packed.namelist()), sum(info.file_size for info in packed.infolist())
            mime = packed.read("mimetype")[:80] if "mimetype" in names else b""
            manifest = packed.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in names else b""
    except UNZIP_FAULTS:
        raise InputError(
            f"{held.name} is damaged or cut off: it begins like a workbook but cannot be unpacked;"
            " copy it anew"
        ) from None
    if size > _LARGEST_SHEETS or (size > _LARGE_SHEETS and size > _MOST_PACKED * held.size):
        raise InputError(f"{held.name} would unpack to {size >> 20:,} MiB; save it as CSV")
    if b"encryption-data" in manifest:
        raise InputError(f"{held.name} is encrypted; save the workbook without a password")
    if b"opendocument.spreadsheet" in mime or any(name.startswith("xl/") for name in names):
        return Kind.WORKBOOK
    what = (
        "an Office document" if "[Content_Types].xml" in names or mime else "a ZIP archive; unpack it first"
    )
    raise InputError(f"{held.name} is {what}; expected one of {KNOWN}")
