"""What a file is: by its content, whatever its name. Other types are refused with how to export them."""

from __future__ import annotations

import re
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.domain.input_name import STANDARD_INPUT
from bulk_onboard.errors import BulkOnboardError, InputError, NoRows
from bulk_onboard.readers.decode import SUFFIXES as PACKED
from bulk_onboard.readers.decode import blocks, compression
from bulk_onboard.readers.first_rows import FirstRows
from bulk_onboard.readers.input_file import FileSource, InputFile

# The container of old Office files ([MS-CFB]).
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD = 4096
_UNPACK = "unpack it first"
_ENCRYPTED = (".gpg", ".pgp", ".asc", ".age", ".enc")

_LARGEST_SHEETS, _LARGEST_MEMBER = 4 << 30, 2 << 30
# Deflate at its best packs a thousand times; a real sheet is packed ten or twenty times.
_LARGE_SHEETS, _MOST_PACKED = 1 << 27, 200


def reader_of(file: InputFile, options: ReadOptions) -> FileSource:
    """Return the reader of the file's content. Raises InputError: what the file is and how to export it."""
    known = _format_of(file)
    if options.sheets and not known.has_sheets:
        raise InputError(f"{file.name} has no sheets; leave out --sheet {options.sheets[0]}")
    _, _, name = known.reader.partition(":")
    source: FileSource = getattr(_module_of(known), name)(file, options)
    return source


def first_rows_in(file: InputFile, encoding: str | None = None) -> list[FirstRows]:
    """Return the first rows of each sheet; nothing for a format whose columns have names of their own."""
    read = getattr(_module_of(_format_of(file)), "first_rows", None)
    return read(file, encoding) if read else []


def _format_of(file: InputFile) -> Format:
    head = file.head(_HEAD)
    if not head:
        raise NoRows(f"{file.name} is empty; expected a header and rows")
    return next(known for known in FORMATS if known.is_it(file, head))


def _module_of(known: Format) -> ModuleType:
    return import_module(f"bulk_onboard.readers.{known.reader.partition(':')[0]}")


def has_known_suffix(name: str) -> bool:
    """Return whether a file of this name is meant to be a table."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in {*_SUFFIXES, ".zip"}


def is_system_file(name: str) -> bool:
    """Return whether a system or program put a file of this name beside others. ``name``: no folder."""
    return name.startswith((".", "_", "~$")) or name.casefold() in {"thumbs.db", "desktop.ini", "ehthumbs.db"}


# --- text -------------------------------------------------------------------------------------------


def _require_not_packed_twice(file: InputFile, head: bytes) -> None:
    inside = {
        b"PK": "a compressed workbook or archive",
        OLE_MAGIC: "a compressed workbook",
        b"PAR1": "a compressed Parquet file",
    }
    what = next((what for magic, what in inside.items() if head.startswith(magic)), "")
    if what or compression(head):
        raise InputError(f"{file.name} is {what or 'compressed twice'}; {_UNPACK}")


def _is_text(file: InputFile, head: bytes) -> bool:
    """Return True. Raises InputError for content that is not a table of text."""
    packed = compression(head)
    if packed:
        head = next(blocks(file), b"")[:_HEAD]
        _require_not_packed_twice(file, head)
    if what := _foreign(head):
        raise InputError(f"{file.name} is {what}. Expected one of {KNOWN}")
    _require_known_name(file, packed=bool(packed))
    return True


def _foreign(head: bytes) -> str:
    """Return what a file of this beginning is and what to do, "" if it may be a table of text."""
    text, markup = head.decode("latin-1"), _as_markup(head)
    for file in _foreign_files():
        if any(re.match(pattern, text, re.ASCII | re.DOTALL) for pattern in file.get("begins", ())):
            return _described(file)
        if any(re.search(pattern, markup, re.ASCII) for pattern in file.get("contains", ()) if markup):
            return _described(file)
    return ""


def _as_markup(head: bytes) -> str:
    """Return text that may be markup, good enough to recognise it, also in UTF-16; "" for other text."""
    for mark in (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"):
        head = head.removeprefix(mark)
    text = head.replace(b"\0", b"").decode("latin-1")
    return text if text.lstrip()[:1] in {"<", "{", "["} else ""


@cache
def _foreign_files() -> Sequence[dict[str, Any]]:
    text = Path(__file__).with_name("foreign_files.toml").read_text(encoding="utf-8")
    files: Sequence[dict[str, Any]] = tomllib.loads(text)["file"]
    return files


def _described(file: dict[str, Any]) -> str:
    return f"{file['is']}; {file['advice']}"


def _require_known_name(file: InputFile, *, packed: bool) -> None:
    """Raise InputError for text in a file with the suffix of something else, such as a workbook."""
    if file.name == STANDARD_INPUT:
        return
    suffixes = [suffix for suffix in file.suffixes if not (packed and suffix in PACKED)]
    last = suffixes[-1] if suffixes else ""
    if packed and last in _SUFFIXES and last not in TEXT:
        raise InputError(f"{file.name} is a compressed {last} file; {_UNPACK}")
    if last in _ENCRYPTED:
        raise InputError(
            f"{file.name} is encrypted; pipe the decrypted text into standard input and give - as the file"
        )
    if last and last not in _SUFFIXES:
        raise InputError(
            f"{file.name}: unknown suffix {last}; expected one of {KNOWN}; if it is CSV, rename it to .csv"
        )


# --- workbooks --------------------------------------------------------------------------------------


def _is_workbook(file: InputFile, head: bytes) -> bool:
    """Return whether it is a workbook. Raises InputError for another file in the same containers."""
    if head.startswith(OLE_MAGIC):
        _require_workbook_in_ole(file)
    elif head.startswith(_ZIP_MAGIC):
        _require_workbook_in_zip(file)
    else:
        return False
    return True


def _require_workbook_in_ole(file: InputFile) -> None:
    """The old container of Microsoft Office, also used for encrypted workbooks of the new kind."""
    with file.reader() as reader:
        content = reader.read()

    def has(*streams: str) -> bool:
        return any(stream.encode("utf-16-le") in content for stream in streams)

    if has("EncryptedPackage"):
        raise InputError(f"{file.name} is encrypted; save the workbook without a password")
    if has("Workbook", "Book"):
        return
    other = next((foreign for foreign in _foreign_files() if has(*foreign.get("stream", ()))), None)
    if other:
        raise InputError(f"{file.name} is {_described(other)}. Expected one of {KNOWN}")
    raise InputError(
        f"{file.name} is an old Office file without a workbook in it, or cut off; save it as .xlsx"
    )


def _require_workbook_in_zip(file: InputFile) -> None:
    try:
        with file.reader() as reader, zipfile.ZipFile(reader) as archive:
            names = set(map(_with_slashes, archive.namelist()))
            size = sum(info.file_size for info in archive.infolist())
            mime = archive.read("mimetype")[:80] if "mimetype" in names else b""
            manifest = archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in names else b""
    except Exception as error:  # zipfile raises whatever the bytes lead to
        raise _damaged(file, error) from None
    if size > _LARGEST_SHEETS or (size > _LARGE_SHEETS and size > _MOST_PACKED * file.size):
        raise InputError(f"{file.name} would unpack to {size >> 20:,} MiB; save it as CSV")
    if b"encryption-data" in manifest:
        raise InputError(f"{file.name} is encrypted; save the workbook without a password")
    if b"opendocument.spreadsheet" in mime or any(name.startswith("xl/") for name in names):
        return
    other = next(_members_of_others(names), None)
    what = (
        _described(other)
        if other
        else ("an Office document without a sheet; open it in a spreadsheet program and save it as .xlsx")
    )
    raise InputError(f"{file.name} is {what}. Expected one of {KNOWN}")


def _members_of_others(names: set[str]) -> Iterator[dict[str, Any]]:
    return (foreign for foreign in _foreign_files() if names.intersection(foreign.get("member", ())))


def _with_slashes(name: str) -> str:
    """Return a path with slashes: some Windows programs write backslashes between the folders."""
    return name.replace("\\", "/")


def _damaged(file: InputFile, error: Exception) -> Exception:
    """Return what to raise for an error of a library that reads an archive."""
    if isinstance(error, MemoryError | BulkOnboardError):
        return error
    return InputError(
        f"{file.name} is _damaged or cut off: it begins like a workbook or archive but cannot be unpacked;"
        " copy it again"
    )


# --- ZIP archives -----------------------------------------------------------------------------------


def unpacked(file: InputFile) -> InputFile:
    """Return the table in a ZIP archive that has exactly one, in memory; any other file as it is.

    Raises InputError for an archive with another number of tables, or a password.
    """
    if not file.head(4).startswith(_ZIP_MAGIC):
        return file
    try:
        return _unpacked(file)
    except BaseException:
        file.close()
        raise


def _unpacked(file: InputFile) -> InputFile:
    try:
        with file.reader() as reader, zipfile.ZipFile(reader) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            if _is_office_file({_with_slashes(info.filename) for info in members}):
                return file
            member = _only_table(file.name, members)
            content = archive.read(member)
    except Exception as error:  # zipfile raises whatever the bytes lead to
        raise _damaged(file, error) from None
    return file.unpacked(content, PurePosixPath(member.filename).name)


def _is_office_file(names: set[str]) -> bool:
    known = {"[Content_Types].xml", "mimetype", "content.xml"}
    return bool(names & known) or any(
        (*_members_of_others(names), *(name for name in names if name.startswith("xl/")))
    )


def _only_table(name: str, members: Sequence[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    parts = {member: PurePosixPath(_with_slashes(member.filename)).parts for member in members}
    shown = [member for member in members if not any(map(is_system_file, parts[member]))]
    tables = [
        member for member in shown if has_known_suffix(member.filename) and not _is_note(member.filename)
    ]
    if any(member.flag_bits & 1 for member in shown):
        raise InputError(f"{name} is a ZIP archive with a password; {_UNPACK} and name the file in it")
    if len(tables) != 1:
        listed = ", ".join(member.filename for member in (tables or shown)[:5]) or "nothing"
        what = f"{len(tables)} tables" if tables else "no table"
        raise InputError(
            f"{name} is a ZIP archive with {what} ({listed}); {_UNPACK} and name one file, a folder or a"
            " pattern"
        )
    if tables[0].file_size > _LARGEST_MEMBER:
        raise InputError(f"{name} would unpack to {tables[0].file_size >> 20:,} MiB in memory; {_UNPACK}")
    return tables[0]


def _is_note(path: str) -> bool:
    """Return whether it is a text about the table beside it, not a table."""
    name = PurePosixPath(_with_slashes(path).casefold())
    return name.suffix == ".txt" and name.stem.startswith(
        ("readme", "read me", "license", "liesmich", "lisezmoi")
    )


# --- formats ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can be read. A new one needs its module in this package and a line in `FORMATS`.

    ``reader``: module and class, a `FileSource` made of an `InputFile` and `ReadOptions`; ``suffixes``: of
    its files; ``is_it``: whether a file with these first bytes is one; it may raise InputError.
    """

    reader: str
    suffixes: tuple[str, ...]
    is_it: Callable[[InputFile, bytes], bool]
    has_sheets: bool = False


TEXT = (".csv", ".tsv", ".txt")
# The first that fits is used. Anything else is text, or refused.
FORMATS = (
    Format("parquet:Parquet", (".parquet",), lambda _, head: head.startswith(b"PAR1")),
    Format("workbook:Workbook", (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"), _is_workbook, has_sheets=True),
    Format("delimited:Delimited", TEXT, _is_text),
)
_SUFFIXES = [suffix for each in FORMATS for suffix in each.suffixes]
KNOWN = (
    f"{' '.join(TEXT)} (also compressed: {' '.join(PACKED)}, or one such file in a .zip),"
    f" {' '.join(suffix for suffix in _SUFFIXES if suffix not in TEXT)}"
)
