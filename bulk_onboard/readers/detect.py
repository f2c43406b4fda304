"""Detect the type of a file by its content.

Unsupported types are refused with advice on how to export them.
"""

from __future__ import annotations

import re
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path, PurePosixPath
from pkgutil import iter_modules
from typing import Any

from bulk_onboard.domain.input_description import STANDARD_INPUT, ReadOptions
from bulk_onboard.errors import BulkOnboardError, InputError, NoRows
from bulk_onboard.readers.decode import SUFFIXES as PACKED
from bulk_onboard.readers.decode import find_compression, read_blocks
from bulk_onboard.readers.delimited import Delimited, first_rows
from bulk_onboard.readers.header_row import FirstRows
from bulk_onboard.readers.input_file import FileSource, InputFile

# The container of old Office files ([MS-CFB]).
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD = 4096
TEXT = (".csv", ".tsv", ".txt")
_UNPACK = "unpack it first"
# Notes about the table beside them in an archive.
_NOTE = re.compile(r"(readme|read me|license|liesmich|lisezmoi).*\.txt")

_LARGEST_SHEETS, _LARGEST_MEMBER = 4 << 30, 2 << 30
# Deflate can compress a thousandfold; a real sheet is compressed ten or twenty times.
_LARGE_SHEETS, _MOST_PACKED = 1 << 27, 200


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can be read. A new one needs a module in `formats` with its `FORMAT`, and nothing else.

    ``suffixes``: of its files; ``is_it``: whether a file with these first bytes is one; it may raise
    InputError. ``first_rows``: reads some rows as they stand, None if its columns have names of their own.
    """

    suffixes: tuple[str, ...]
    is_it: Callable[[InputFile, bytes], bool]
    reader: Callable[[InputFile, ReadOptions], FileSource]
    first_rows: Callable[[InputFile, str | None], list[FirstRows]] | None = None
    has_sheets: bool = False


@cache
def known_formats() -> tuple[Format, ...]:
    """Return all formats. The first that fits a file is used; text is last, because anything may be text."""
    from bulk_onboard.readers import formats  # noqa: PLC0415  (its modules import this one)

    names = [f"{formats.__name__}.{module.name}" for module in iter_modules(formats.__path__)]
    return *(import_module(name).FORMAT for name in names), Format(TEXT, _is_text, Delimited, first_rows)


def expected_formats() -> str:
    """Return the readable formats, as text for people."""
    others = " ".join(suffix for known in known_formats()[:-1] for suffix in known.suffixes)
    return f"{' '.join(TEXT)} (also compressed: {' '.join(PACKED)}, or one such file in a .zip), {others}"


def format_of(file: InputFile) -> Format:
    """Return the format of a file's content. Raises InputError: what the file is and how to export it."""
    head = file.head(_HEAD)
    if not head:
        raise NoRows(f"{file.name} is empty; expected a header and rows")
    return next(known for known in known_formats() if known.is_it(file, head))


def has_known_suffix(name: str) -> bool:
    """Return whether a file of this name is meant to be a table."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in {*_suffixes(), ".zip"}


def _suffixes() -> set[str]:
    return {suffix for known in known_formats() for suffix in known.suffixes}


def is_system_file(name: str) -> bool:
    """Return whether systems or programs create files of this name beside others.

    ``name``: without folder.
    """
    return name.startswith((".", "_", "~$")) or name.casefold() in {"thumbs.db", "desktop.ini", "ehthumbs.db"}


# --- text and foreign files ---------------------------------------------------------------------------


def _is_text(file: InputFile, head: bytes) -> bool:
    """Return True. Raises InputError for content that is not a table of text."""
    packed = find_compression(head)
    if packed:
        head = next(read_blocks(file), b"")[:_HEAD]
    text, markup = head.decode("latin-1"), _as_markup(head)
    for foreign in _foreign_files():
        begins = any(re.match(begin, text, re.ASCII | re.DOTALL) for begin in foreign.get("begins", ()))
        contains = markup and any(re.search(part, markup, re.ASCII) for part in foreign.get("contains", ()))
        if begins or contains or file.suffixes[-1:] in [(suffix,) for suffix in foreign.get("suffix", ())]:
            raise _refusal(file, foreign)
    suffixes = [suffix for suffix in file.suffixes if not (packed and suffix in PACKED)]
    if file.name != STANDARD_INPUT and suffixes and suffixes[-1] not in _suffixes():
        raise InputError(
            f"{file.name}: unknown suffix {suffixes[-1]}; expected one of {expected_formats()};"
            " if it is CSV, rename it to .csv"
        )
    return True


def _as_markup(head: bytes) -> str:
    """Return the start of text that may be markup, even in UTF-16; "" for other text."""
    for mark in (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"):
        head = head.removeprefix(mark)
    text = head.replace(b"\0", b"").decode("latin-1")
    return text if text.lstrip()[:1] in {"<", "{", "["} else ""


@cache
def _foreign_files() -> Sequence[dict[str, Any]]:
    text = Path(__file__).with_name("foreign_files.toml").read_text(encoding="utf-8")
    files: Sequence[dict[str, Any]] = tomllib.loads(text)["file"]
    return files


def _refusal(file: InputFile, foreign: dict[str, Any] | None, otherwise: str = "") -> InputError:
    what = f"{foreign['is']}; {foreign['advice']}" if foreign else otherwise
    return InputError(f"{file.name} is {what}. Expected one of {expected_formats()}")


# --- workbooks and archives -----------------------------------------------------------------------------


def is_workbook(file: InputFile, head: bytes) -> bool:
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
    if not has("Workbook", "Book"):
        other = next((foreign for foreign in _foreign_files() if has(*foreign.get("stream", ()))), None)
        what = "damaged or cut off, or an old Office file without a workbook; save it as .xlsx"
        raise _refusal(file, other, what)


@contextmanager
def _opened(file: InputFile) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """Open a ZIP archive; also return its files by path. Raises InputError if it is damaged.

    Some Windows programs write backslashes between the folders of a path.
    """
    try:
        with file.reader() as reader, zipfile.ZipFile(reader) as archive:
            members = {info.filename.replace("\\", "/"): info for info in archive.infolist()}
            yield archive, {path: info for path, info in members.items() if not path.endswith("/")}
    except (BulkOnboardError, MemoryError):
        raise
    except Exception:  # zipfile raises whatever the bytes lead to
        raise InputError(
            f"{file.name} is damaged or cut off: it begins like a workbook or archive but cannot be unpacked;"
            " copy it again"
        ) from None


def _require_workbook_in_zip(file: InputFile) -> None:
    with _opened(file) as (archive, members):
        size = sum(info.file_size for info in members.values())
        mime, manifest = (
            archive.read(members[path]) if path in members else b""
            for path in ("mimetype", "META-INF/manifest.xml")
        )
    if size > _LARGEST_SHEETS or (size > _LARGE_SHEETS and size > _MOST_PACKED * file.size):
        raise InputError(f"{file.name} would unpack to {size >> 20:,} MiB; save it as CSV")
    if b"encryption-data" in manifest:
        raise InputError(f"{file.name} is encrypted; save the workbook without a password")
    if b"opendocument.spreadsheet" not in mime and not any(path.startswith("xl/") for path in members):
        other = _foreign_archive(members)
        what = "an Office document without a sheet; open it in a spreadsheet program and save it as .xlsx"
        raise _refusal(file, other, what)


def _foreign_archive(paths: dict[str, zipfile.ZipInfo]) -> dict[str, Any] | None:
    """Return the entry for a file of another program that is a ZIP archive with these paths."""
    return next((f for f in _foreign_files() if paths.keys() & set(f.get("member", ()))), None)


def unpack(file: InputFile) -> InputFile:
    """Return the table in a ZIP archive that has exactly one, in memory; any other file as it is.

    Raises InputError for an archive with another number of tables, or a password.
    """
    if not file.head(4).startswith(_ZIP_MAGIC):
        return file
    try:
        with _opened(file) as (archive, members):
            is_office = not members.keys().isdisjoint({"[Content_Types].xml", "mimetype", "content.xml"})
            if is_office or _foreign_archive(members) or any(path.startswith("xl/") for path in members):
                return file
            path = _only_table(file.name, members)
            return file.unpacked(archive.read(members[path]), PurePosixPath(path).name)
    except BaseException:
        file.close()
        raise


def _only_table(name: str, members: dict[str, zipfile.ZipInfo]) -> str:
    """Return the path of the only table in an archive."""
    paths = [path for path in members if not any(map(is_system_file, PurePosixPath(path).parts))]
    tables = [
        path
        for path in paths
        if has_known_suffix(path) and not _NOTE.fullmatch(PurePosixPath(path).name.casefold())
    ]
    if any(members[path].flag_bits & 1 for path in paths):
        raise InputError(f"{name} is a ZIP archive with a password; {_UNPACK} and name the file in it")
    if len(tables) != 1:
        what = f"{len(tables)} tables" if tables else "no table"
        raise InputError(
            f"{name} is a ZIP archive with {what} ({', '.join((tables or paths)[:5]) or 'nothing'});"
            f" {_UNPACK} and name one file, a folder or a pattern"
        )
    if (size := members[tables[0]].file_size) > _LARGEST_MEMBER:
        raise InputError(f"{name} would unpack to {size >> 20:,} MiB in memory; {_UNPACK}")
    return tables[0]
