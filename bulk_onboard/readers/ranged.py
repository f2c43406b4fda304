"""Files of an object store or the web, of which only what is needed is fetched.

Other than what is held in memory, such a file may be replaced while it is read: then the reading ends.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

from bulk_onboard.errors import InputError, NoRows
from bulk_onboard.readers.detect import OLE_MAGIC
from bulk_onboard.readers.input_file import Held, Stamp
from bulk_onboard.readers.remote import WEB, files_of, hold_remote, known, suffixes, translated

# What the stores call that which changes with the content, or at least when it is written.
_MARKS = (
    "ETag", "etag", "Content-MD5", "content_md5", "md5Hash", "generation",
    "Last-Modified", "LastModified", "last_modified", "updated", "mtime", "created",
)  # fmt: skip


def hold_ranged(where: str) -> Held:
    """Open what an address leads to. Raises UsageError, or InputError if it cannot be had.

    Workbooks, and what a web server gives in one piece only, are fetched whole and held in memory.
    """
    scheme, name = known(where)
    with translated(name, scheme):
        files = files_of(scheme)
        found = _told(files, where)
        if found.get("type") == "directory":
            raise InputError("that is a folder; name the file in it")
        if found.get("size") == 0:
            raise NoRows(f"{name} is empty; expected a header and rows")
        file = _opened(files, where, found, scheme, name)

    def now() -> Stamp:
        with translated(name, scheme):
            told = _told(files, where)
        return told.get("size") or 0, " ".join(str(told[mark]) for mark in _MARKS if told.get(mark))

    return Held(name, file, suffixes(name), now)


def _opened(files: Any, where: str, found: Mapping[str, Any], scheme: str, name: str) -> BinaryIO:
    if not (found.get("size") and found.get("partial", True)):
        return hold_remote(where).file
    # Readers know how much they want: nothing beyond it is fetched, and nothing is kept.
    file = files.open(where, "rb", cache_type="none")
    # A workbook is read here and there, a little at a time.
    if (scheme in WEB and not _gives_ranges(file)) or _begins_like_workbook(file):
        return hold_remote(where).file
    return cast(BinaryIO, _Translating(file, name, scheme))


def _gives_ranges(file: BinaryIO) -> bool:
    """Web servers need not say it: what they answer shows it."""
    try:
        file.seek(1)
        file.read(1)
    except ValueError:
        return False
    return True


def _begins_like_workbook(file: BinaryIO) -> bool:
    file.seek(0)
    return file.read(len(OLE_MAGIC)).startswith((b"PK", OLE_MAGIC))


def listed(where: str, *, is_pattern: bool) -> list[tuple[str, bool]]:
    """The addresses that a pattern matches or a folder holds, or that of the one file; and which are folders.

    Raises UsageError, or InputError if there is nothing.
    """
    scheme, name = known(where)
    with translated(name, scheme):
        files = files_of(scheme)
        if not is_pattern and _told(files, where)["type"] != "directory":
            return [(where, False)]
        files.invalidate_cache()
        found = files.glob(where, detail=True).values() if is_pattern else files.ls(where, detail=True)
    told = {f"{scheme}://{one['name'].strip('/')}": one["type"] == "directory" for one in found}
    # Some programs make an object of no bytes for the folder itself.
    told.pop(where.rstrip("/"), None)
    return list(told.items())


def exists(where: str) -> bool:
    """Whether a pattern of addresses matches anything; a folder counts."""
    scheme, name = known(where)
    with translated(name, scheme):
        files = files_of(scheme)
        return bool(files.glob(where) if "*" in where else files.exists(where))


def _told(files: Any, where: str) -> Mapping[str, Any]:
    """What the store says of it now, and not what it said of it before."""
    files.invalidate_cache()
    found: Mapping[str, Any] = files.info(where)
    return found


class _Translating:
    """An open file whose troubles are told in words for people."""

    def __init__(self, file: BinaryIO, name: str, scheme: str) -> None:
        self._file, self._name, self._scheme = file, name, scheme

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        with translated(self._name, self._scheme):
            return self._file.read(size)

    def close(self) -> None:
        self._file.close()
