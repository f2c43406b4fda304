"""What kind of file it is, by its content; the suffix only decides where the content does not."""

from __future__ import annotations

import os
import zipfile
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO

from bulk_onboard.errors import InputError

SUFFIXES = ".csv .tsv .txt (also .gz .bz2 .xz), .parquet, .xlsx .xlsm .xls .ods"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Content that is certainly no table, by its first bytes.
_STRANGE = {
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"SQLite format 3": "a database",
    b"{\\rtf": "an RTF document",
    b"-----BEGIN PGP": "encrypted (PGP)",
    b"age-encryption.org": "encrypted (age)",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
}
# A workbook larger than this when unpacked is a bomb, or at least not readable in memory.
LARGEST_WORKBOOK = 2 << 30  # bytes


class Kind(Enum):
    """How a file is to be read."""

    TEXT = auto()
    PARQUET = auto()
    WORKBOOK = auto()


def kind_of(path: Path, file: BinaryIO) -> Kind:
    """Look at the first bytes. Raises InputError for what is no table."""
    head = file.read(64)
    file.seek(0)
    if not head:
        raise InputError(f"{path.name} is empty")
    if head.startswith(b"PAR1"):
        return Kind.PARQUET
    if head.startswith(b"PK\x03\x04"):
        return _zip(path, file)
    if head.startswith(_OLE):
        return _ole(path, file)
    for magic, what in _STRANGE.items():
        if head.startswith(magic):
            raise InputError(f"{path.name} is {what}, not a table; what can be read: {SUFFIXES}")
    if path.suffix.lower() in {".parquet", ".xlsx", ".xlsm", ".xls", ".ods"} and _looks_binary(head):
        raise InputError(f"{path.name} is damaged: its content is not that of a {path.suffix} file")
    return Kind.TEXT


def _zip(path: Path, file: BinaryIO) -> Kind:
    try:
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError):
        raise InputError(f"{path.name} is damaged or cut off: it cannot be opened as a workbook") from None
    finally:
        file.seek(0)
    if "xl/workbook.bin" in names:
        raise InputError(f"{path.name} is a binary workbook (.xlsb); save it as .xlsx")
    if not names & {"xl/workbook.xml", "content.xml"}:
        raise InputError(f"{path.name} is a ZIP archive, not a table; unpack it and name the file in it")
    if size > LARGEST_WORKBOOK:
        raise InputError(f"{path.name} would be {size >> 30} GiB when unpacked; save the sheet as CSV")
    return Kind.WORKBOOK


def _ole(path: Path, file: BinaryIO) -> Kind:
    """The old Excel format; an encrypted .xlsx is wrapped in the same container."""
    content = file.read(1 << 20)
    file.seek(0, os.SEEK_SET)
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise InputError(
            f"{path.name} is protected by a password; save it without one, or feed it as CSV by -"
        )
    return Kind.WORKBOOK


def _looks_binary(head: bytes) -> bool:
    return b"\x00" in head or sum(byte < 9 for byte in head) > 2
