"""Bytes -> lines of text, with detection of compression and encoding.

Streaming: the text is never in memory as a whole.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bulk_onboard.errors import InputError
from bulk_onboard.readers.input_file import InputFile, was_changed

BLOCK = 1 << 20
LONGEST_LINE = 1 << 22
_HEAD = 1 << 16
_LINE_END = ord("\n")

_COMPRESSED: dict[bytes, tuple[str, Callable[[Any], Any]]] = {
    b"\x1f\x8b": ("gzip", lambda raw: gzip.GzipFile(fileobj=raw)),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMAFile),
    b"\x28\xb5\x2f\xfd": ("Zstandard", lambda raw: pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")),
}
SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, because it begins with the byte order mark of UTF-16
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# A file that is neither UTF-8 nor UTF-16 is read as Windows-1252, in which five bytes have no meaning. They
# become control characters, so that a cell with one is never sent (WHATWG's windows-1252 does the same).
GUESS = "cp1252-guessed"
_UNDEFINED = "bulk_onboard.undefined-bytes"
TITLES = {
    **{"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with BOM", "cp1252": "Windows-1252", GUESS: "Windows-1252"},
    **{"utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32": "UTF-32"},
}
# Encodings in which blocks of ASCII need no decoding.
_ASCII_IS_ITSELF = frozenset({"utf-8", "cp1252", GUESS})
_UNPRINTABLE = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


# --- bytes ------------------------------------------------------------------------------------------


def find_compression(head: bytes) -> str:
    """Return how a file that begins with these bytes is compressed, "" if it is not."""
    return next((title for magic, (title, _) in _COMPRESSED.items() if head.startswith(magic)), "")


def read_blocks(file: InputFile) -> Iterator[bytes]:
    """Yield the content, decompressed. Raises InputError if the file is damaged."""
    head = file.head(8)
    opener = next((o for magic, (_, o) in _COMPRESSED.items() if head.startswith(magic)), None)
    try:
        with file.reader() as raw:
            stream = opener(raw) if opener else raw
            while block := stream.read(BLOCK):
                yield block
    except EOFError:
        raise InputError(f"{file.name} is cut off: the compressed data ends too early") from None
    except (zlib.error, lzma.LZMAError, OSError) as error:
        # bz2, gzip and Arrow raise an OSError without a number where the operating system is not involved.
        if getattr(error, "errno", None) is None:
            raise InputError(f"{file.name} is damaged: it cannot be decompressed; copy it again") from None
        raise InputError(f"{file.name} cannot be read to its end: {getattr(error, 'strerror', '')}") from None


# --- encodings --------------------------------------------------------------------------------------


def find_encoding(file: InputFile, stated: str | None = None) -> str:
    """Return the encoding of a file: the ``stated`` one, or the detected one.

    All of the file is checked. Raises InputError if none fits.
    """
    head = next(read_blocks(file), b"")[:_HEAD]
    mark = next((mark for mark in _BOMS if head.startswith(mark)), b"")
    if head == mark:
        raise InputError(f"{file.name} is empty; expected a header and rows")
    marked = _BOMS.get(mark, "")
    if stated:
        return _stated(file, marked, stated)
    if name := marked or _utf_16_without_mark(head):
        if fault := _fault(file, name):
            raise InputError(f"{fault.place}: not {TITLES[name]}, although the file begins like it")
        return name
    if len(_UNPRINTABLE.findall(head)) > len(head) // 20:
        raise InputError(f"{file.name} is not text; expected CSV, Parquet or a workbook")
    return _utf_8_or_windows(file)


def _stated(file: InputFile, marked: str, stated: str) -> str:
    family = marked.removesuffix("-sig")
    if family and not stated.startswith((family, family.replace("-", "_"))):
        raise InputError(
            f"{file.name} begins with the byte order mark of {family.upper()}, so its encoding is not"
            f" {TITLES.get(stated, stated)}; leave out --encoding"
        )
    name = marked if marked == "utf-8-sig" else stated
    if fault := _fault(file, name):
        raise InputError(
            f"{fault.place}: not {TITLES.get(name, name)}, as --encoding states; leave out --encoding to"
            " have it detected, or state the encoding that the file was saved with"
        )
    return name


def _utf_16_without_mark(head: bytes) -> str:
    """Return the encoding of UTF-16 without a byte order mark (every second byte is NUL), or ""."""
    even, odd, half = head[::2].count(0), head[1::2].count(0), len(head) // 2
    if odd > half * 0.4 and even < half * 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > half * 0.4 and odd < half * 0.1 else ""


def _utf_8_or_windows(file: InputFile) -> str:
    if (fault := _fault(file, "utf-8")) is None:
        return "utf-8"
    if fault.foreign:
        raise InputError(
            f"{fault.place}: not UTF-8, although the lines before it are; save the file again as UTF-8,"
            " or state its encoding with --encoding NAME"
        )
    if (fault := _fault(file, "cp1252")) and fault.line == 1:
        raise InputError(
            f"{fault.place}: neither UTF-8 nor Windows-1252; save the file again as UTF-8, or"
            " state its encoding with --encoding NAME"
        )
    return GUESS


class _Fault(NamedTuple):
    """The first place that an encoding does not allow. ``foreign``: there are non-ASCII letters before it."""

    place: str
    line: int
    foreign: bool


def _fault(file: InputFile, name: str) -> _Fault | None:
    """Return the first place that the encoding does not allow. Raises InputError for a cut character."""
    decoder, line, foreign = _decoder(name), 1, False
    for block in chain(read_blocks(file), [b""]):
        pending = decoder.getstate()[0]
        if name in _ASCII_IS_ITSELF and block and not pending and block.isascii():
            line += block.count(b"\n")
            continue
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(name, "ignore")
            line, foreign = line + before.count("\n"), foreign or not before.isascii()
            place = f"{file.name}, line {line}"
            # One stray byte at the end of ASCII text is more likely a Windows-1252 letter than half a
            # character.
            if not block and (name != "utf-8" or foreign or len(pending) > 1):
                raise InputError(f"{place}: cut off within a character; copy it again") from None
            return _Fault(place, line, foreign)
        line, foreign = line + text.count("\n"), foreign or not text.isascii()
    return None


def _decoder(name: str) -> codecs.IncrementalDecoder:
    if name == GUESS:
        return codecs.getincrementaldecoder("cp1252")(_UNDEFINED)
    return codecs.getincrementaldecoder(name)()


def _as_controls(error: UnicodeError) -> tuple[str, int]:
    """Error handler for `codecs.register_error`: map undefined bytes to control characters."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_UNDEFINED, _as_controls)


# --- text -------------------------------------------------------------------------------------------


def read_utf_8(file: InputFile, name: str) -> Iterator[bytes]:
    """Yield the content as UTF-8, in blocks of whole characters, without a byte order mark.

    ``name``: an encoding that `find_encoding` has returned. Raises InputError if the file was changed since.
    """
    decoder, mark = _decoder(name), "\ufeff" if name.startswith(("utf-16-", "utf-32-")) else ""
    try:
        for block in read_blocks(file):
            if name in _ASCII_IS_ITSELF and block.isascii() and not decoder.getstate()[0]:
                yield block
            else:
                yield decoder.decode(block).removeprefix(mark).encode()
            mark = ""
        yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError:
        raise InputError(was_changed(file.name)) from None


class Pieces:
    r"""Content that is read in pieces of many lines. A line ends with ``\n`` here."""

    def __init__(self, content: Iterator[bytes]) -> None:
        """``content``: see `read_utf_8`."""
        self._content, self._rest = filter(None, content), b""

    def piece(self, count: int) -> bytes:
        """Return the next lines with their ends; fewer if the content ends or a line is too long."""
        taken, missing, unended = [], count, 0
        while unended <= LONGEST_LINE and (block := self._rest or next(self._content, b"")):
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == _LINE_END)
            cut = int(ends[missing - 1]) + 1 if len(ends) >= missing else len(block)
            taken.append(block[:cut])
            self._rest = block[cut:]
            if len(ends) >= missing:
                break
            missing -= len(ends)
            unended = len(block) - int(ends[-1]) - 1 if len(ends) else unended + len(block)
        return b"".join(taken)

    def left(self) -> Iterator[bytes]:
        """Return the remaining content."""
        rest, self._rest = self._rest, b""
        return chain([rest], self._content)


def count_lines(piece: bytes) -> int:
    r"""Return the number of lines; the last line may lack its ``\n``."""
    return piece.count(b"\n") + (not piece.endswith(b"\n"))


def is_unended(piece: bytes) -> bool:
    """Return whether the last line is too long, so that it may continue."""
    return len(piece) - piece.rfind(b"\n") > LONGEST_LINE


def split_lines(content: Iterable[bytes], what: str, first: int = 1) -> Iterator[str]:
    r"""Yield lines with their ends (\n, \r\n or \r). Raises InputError for a line without end.

    ``content``: see `read_utf_8`; ``what`` and ``first``: for messages, its name and the number of its
    first line.
    """
    rest, line = "", first
    for block in content:
        split = io.StringIO(rest + block.decode(), newline="").readlines()
        # The last line may continue in the next block, and its \r may be half of a line end.
        rest = split.pop() if split and not split[-1].endswith("\n") else ""
        if len(rest) > LONGEST_LINE:
            raise InputError(
                f"{what}, line {line + len(split)}: more than {LONGEST_LINE:,} characters;"
                " expected one row per line"
            )
        line += len(split)
        yield from split
    yield from io.StringIO(rest, newline="")
