"""Bytes -> lines of text: compression and encoding are found by looking. Streaming; nothing is held whole."""

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
from typing import cast

import numpy as np
import pyarrow as pa

from bulk_onboard.errors import InputError
from bulk_onboard.readers.input_file import Held, was_changed

BLOCK = 1 << 20
LONGEST_LINE = 1 << 22
HEAD = 1 << 16
_LINE_END = ord("\n")

Opener = Callable[[io.BufferedReader], io.BufferedIOBase]


def _gunzip(raw: io.BufferedReader) -> io.BufferedIOBase:
    return gzip.GzipFile(fileobj=raw)


def _unpack_zstandard(raw: io.BufferedReader) -> io.BufferedIOBase:
    return cast(io.BufferedIOBase, pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd"))


_COMPRESSED: dict[bytes, tuple[str, Opener]] = {
    b"\x1f\x8b": ("gzip", _gunzip),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMAFile),
    b"\x28\xb5\x2f\xfd": ("Zstandard", _unpack_zstandard),
}
SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# How a file is read that is neither UTF-8 nor UTF-16: as Windows-1252, in which five bytes have no meaning.
# They become control characters, so that no cell that holds one is sent (WHATWG's windows-1252 is the same).
GUESS = "cp1252-guessed"
_UNDEFINED = "bulk_onboard.undefined-bytes"
# Codecs of Python that take a byte order mark for a character.
_MARK_IS_KEPT = frozenset({"utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"})
TITLES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with BOM",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252",
    GUESS: "Windows-1252",
}
# Encodings in which the bytes of ASCII stand for themselves alone.
BYTE_BY_BYTE = frozenset({"utf-8", "utf-8-sig", "cp1252", GUESS})
_UNPRINTABLE = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def compression(head: bytes) -> str:
    """How the file is compressed, "" if not."""
    return next((title for magic, (title, _) in _COMPRESSED.items() if head.startswith(magic)), "")


def blocks(held: Held, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The content, decompressed, or some bytes of what is not. Raises InputError if the file is damaged."""
    head = held.head(8)
    opener = next((o for magic, (_, o) in _COMPRESSED.items() if head.startswith(magic)), None)
    try:
        with held.reader(start, end) as raw:
            stream: io.BufferedIOBase = opener(raw) if opener else raw
            while block := stream.read(BLOCK):
                yield block
    except EOFError:
        raise InputError(f"{held.name} is cut off: the compressed data ends too early") from None
    except (zlib.error, lzma.LZMAError, OSError) as error:
        # bz2 and gzip raise an OSError without a number for what the operating system has no part in.
        if getattr(error, "errno", None) is None:
            raise InputError(f"{held.name} is damaged: it cannot be decompressed; copy it again") from None
        raise InputError(f"{held.name} cannot be read to its end: {getattr(error, 'strerror', '')}") from None


def from_the_start(held: Held, encoding: str) -> str:
    """The encoding of a file, given that of what is below its first line: there a mark may come first."""
    return "utf-8-sig" if encoding == "utf-8" and held.head(3) == codecs.BOM_UTF8 else encoding


def title(name: str) -> str:
    """The usual name of an encoding."""
    return TITLES.get(name, name)


def encoding(held: Held, stated: str | None = None) -> str:
    """The encoding of the whole file: the ``stated`` one, or detected. Raises InputError if none fits."""
    head = next(blocks(held), b"")[:HEAD]
    if not head:
        raise InputError(f"{held.name} is empty; expected a header and rows")
    return _detected(held, head) if stated is None else _stated(held, head, stated)


def _stated(held: Held, head: bytes, stated: str) -> str:
    found = next((name for mark, name in _BOMS.items() if head.startswith(mark)), None)
    family = found and found.removesuffix("-sig")
    if family and not stated.startswith((family, family.replace("-", "_"))):
        raise InputError(
            f"{held.name} begins with the mark of {family.upper()}, so its encoding is not {title(stated)};"
            " leave out --encoding"
        )
    name = found if found == "utf-8-sig" else stated
    where, _ = _first_fault(held, name)
    if where is not None:
        raise InputError(
            f"{held.name}, line {where}: not {title(stated)}, as --encoding states; leave out --encoding to"
            " have it detected, or state the encoding that the file was saved with"
        )
    return name


def _detected(held: Held, head: bytes) -> str:
    for mark, name in _BOMS.items():
        if head == mark:
            raise InputError(f"{held.name} is empty; expected a header and rows")
        if head.startswith(mark):
            _require(held, name, TITLES[name])
            return name
    if wide := _utf_16_without_mark(head):
        _require(held, wide, "UTF-16")
        return wide
    if len(_UNPRINTABLE.findall(head)) > len(head) // 20:
        raise InputError(f"{held.name} is not text; expected CSV, Parquet or a workbook")
    return _utf_8_or_windows(held)


def _utf_16_without_mark(head: bytes) -> str:
    """Every other byte of English text in UTF-16 is NUL."""
    even, odd, half = head[::2].count(0), head[1::2].count(0), len(head) // 2
    if odd > half * 0.4 and even < half * 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > half * 0.4 and odd < half * 0.1 else ""


def _utf_8_or_windows(held: Held) -> str:
    where, foreign = _first_fault(held, "utf-8")
    if where is None:
        return "utf-8"
    if foreign:
        raise InputError(
            f"{held.name}, line {where}: not UTF-8, though lines before it are; save the file again as UTF-8,"
            " or state its encoding with --encoding NAME"
        )
    where, _ = _first_fault(held, "cp1252")
    if where == 1:
        raise InputError(
            f"{held.name}, line 1: neither UTF-8 nor Windows-1252; save the file again as UTF-8, or"
            " state its encoding with --encoding NAME"
        )
    return GUESS


def _require(held: Held, name: str, title: str) -> None:
    where, _ = _first_fault(held, name)
    if where is not None:
        raise InputError(f"{held.name}, line {where}: not {title}, though the file begins like it")


def _first_fault(held: Held, name: str) -> tuple[int | None, bool]:
    """The line of the first bytes that the encoding does not have, and whether it had others before."""
    decoder, line, foreign = _decoder(name), 1, False
    narrow = name in BYTE_BY_BYTE - {"utf-8-sig"}
    pending = False
    for block in blocks(held):
        if narrow and not pending and block.isascii():
            line += block.count(b"\n")
            continue
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(name, "ignore")
            return line + before.count("\n"), foreign or not before.isascii()
        line += text.count("\n")
        foreign = foreign or not text.isascii()
        pending = bool(decoder.getstate()[0])
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        # One stray byte at the end of English text is rather a letter of Windows-1252 than half of one.
        if name != "utf-8" or foreign or len(decoder.getstate()[0]) > 1:
            raise InputError(f"{held.name}, line {line}: cut off within a character; copy it again") from None
        return line, foreign
    return None, foreign


def utf_8(held: Held, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The content, or some of it, as UTF-8, in blocks of whole characters, without a byte order mark."""
    decoder = _decoder(name)
    same, mark = name in BYTE_BY_BYTE - {"utf-8-sig"}, "" if start or name not in _MARK_IS_KEPT else "\ufeff"
    for block in blocks(held, start, end):
        if same and block.isascii() and not decoder.getstate()[0]:
            yield block
        else:
            yield _decoded(held, decoder, block).removeprefix(mark).encode()
        mark = ""
    yield _decoded(held, decoder, b"").encode()


class Pieces:
    r"""Content that is taken in pieces of many lines. A line ends with ``\n`` here."""

    def __init__(self, content: Iterator[bytes]) -> None:
        """``content``: see `utf_8`."""
        self._content, self._rest = filter(None, content), b""

    def piece(self, count: int) -> bytes:
        """The next so many lines, with their ends; fewer where the content ends, or one is too long."""
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
        """All that has not been taken."""
        rest, self._rest = self._rest, b""
        return chain([rest], self._content)


def line_count(piece: bytes) -> int:
    r"""How many lines there are, of which the last one may lack its ``\n``."""
    return piece.count(b"\n") + (not piece.endswith(b"\n"))


def is_unended(piece: bytes) -> bool:
    """Whether its last line is too long to be one, and so may go on."""
    return len(piece) - piece.rfind(b"\n") > LONGEST_LINE


def lines(content: Iterable[bytes], what: str, first: int = 1) -> Iterator[list[str]]:
    r"""Lists of lines with their ends (\n, \r\n or \r). Raises InputError for a line without end.

    ``content``: see `utf_8`; ``what`` it is called and the number of its first line, for messages.
    """
    rest, line = "", first
    for block in content:
        split = io.StringIO(rest + block.decode(), newline="").readlines()
        # The last line may go on in the next block, and its \r may be half of an end.
        rest = split.pop() if split and not split[-1].endswith("\n") else ""
        if len(rest) > LONGEST_LINE:
            raise InputError(
                f"{what}, line {line + len(split)}: more than {LONGEST_LINE:,} characters;"
                " expected one row per line"
            )
        line += len(split)
        yield split
    yield io.StringIO(rest, newline="").readlines()


def _decoder(name: str) -> codecs.IncrementalDecoder:
    if name == GUESS:
        return codecs.getincrementaldecoder("cp1252")(_UNDEFINED)
    return codecs.getincrementaldecoder(name)()


def _controls(error: UnicodeError) -> tuple[str, int]:
    """For `codecs.register_error`: bytes without a meaning become the control characters of these numbers."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_UNDEFINED, _controls)


def _decoded(held: Held, decoder: codecs.IncrementalDecoder, block: bytes) -> str:
    try:
        return decoder.decode(block, final=not block)
    except UnicodeDecodeError:
        # It was checked from end to end before.
        raise InputError(was_changed(held.name)) from None
