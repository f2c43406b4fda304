"""Which encoding a text is in, by looking: a byte order mark, the pattern of UTF-16, valid UTF-8, else
Windows-1252."""

from __future__ import annotations

import codecs
from typing import BinaryIO

from bulk_onboard.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 with BOM"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_BLOCK = 1 << 20


def encoding_of(name: str, content: BinaryIO) -> tuple[str, str]:
    """The codec's name and its name for people. Reads everything, a block at a time. Raises InputError."""
    head = content.read(4096)
    for mark, codec, words in _MARKS:
        if head.startswith(mark):
            return codec, words
    if wide := _wide(head):
        return wide, "UTF-16"
    content.seek(0)
    if _decodes(content, "utf-8"):
        return "utf-8", "UTF-8"
    content.seek(0)
    if _decodes(content, "cp1252"):
        return "cp1252", "Windows-1252"
    raise InputError(f"{name} is neither UTF-8, UTF-16 nor Windows-1252 text; save it as UTF-8")


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of ordinary text is zero."""
    even, odd = head[0::2], head[1::2]
    if len(head) >= 8 and odd.count(0) > 0.7 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    if len(head) >= 8 and even.count(0) > 0.7 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be"
    return None


def _decodes(content: BinaryIO, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        while block := content.read(_BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
