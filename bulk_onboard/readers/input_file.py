"""The bytes of an input, which stays open from detection to the last row and is read as often as needed.

Deleting or replacing the file in the meantime does not affect a run; writing into it does, and is detected.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import BinaryIO

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.input_description import STANDARD_INPUT, printable
from bulk_onboard.errors import InputError

# A value that changes with the content: size and modification time, or a digest of bytes in memory.
Version = tuple[int, int] | bytes


def was_changed(name: str) -> str:
    """Return the message for a file that has changed."""
    return f"{name} was changed while it was being read; run the command again"


class InputFile:
    """Bytes with a name.

    ``name``: for people; ``suffixes``: in lower case; ``packing``: what it was unpacked from, "" otherwise;
    ``size``: in bytes; ``version``: see `Version`.
    """

    def __init__(
        self, name: str, content: BinaryIO | bytes, *, packing: str = "", outer: InputFile | None = None
    ) -> None:
        """``content``: a file or all of its bytes; ``outer``: the archive that it was unpacked from."""
        self.name, self.packing = name, packing
        self.suffixes = tuple(suffix.lower() for suffix in PurePath(name).suffixes)
        self._content, self._outer, self._lock = content, outer, threading.Lock()
        self._digest = blake2b(content).digest() if isinstance(content, bytes) else b""
        self.version = self._version()
        self.size = len(content) if isinstance(content, bytes) else os.fstat(content.fileno()).st_size

    def unpacked(self, content: bytes, name: str) -> InputFile:
        """Return the content of a file in this archive. The archive is closed with it."""
        inner = InputFile(self.name, content, packing=f"ZIP archive with {name}", outer=self)
        inner.suffixes = tuple(suffix.lower() for suffix in PurePath(name).suffixes)
        return inner

    def reader(self) -> BinaryIO:
        """Return an independent reader, from the start."""
        if isinstance(self._content, bytes):
            return io.BytesIO(self._content)
        return io.BufferedReader(_Reader(self._content, self._lock), 1 << 16)

    def head(self, size: int) -> bytes:
        """Return the first bytes."""
        with self.reader() as reader:
            return reader.read(size)

    def changed(self) -> bool:
        """Return whether it has been written to since it was opened."""
        return self._version() != self.version

    def close(self) -> None:
        """Release it."""
        if not isinstance(self._content, bytes):
            self._content.close()
        if self._outer is not None:
            self._outer.close()

    def _version(self) -> Version:
        if self._outer is not None:
            return self._outer._version()
        if isinstance(self._content, bytes):
            return self._digest
        status = os.fstat(self._content.fileno())
        return status.st_size, status.st_mtime_ns


class FileSource(Source):
    """A source of one file."""

    _file: InputFile

    @property
    def version(self) -> Version:
        """A value that changes when the content does."""
        return self._file.version

    def changed(self) -> bool:
        """Return whether the file has been written to."""
        return self._file.changed()

    def close(self) -> None:
        """Release the file."""
        self._file.close()


class _Reader(io.RawIOBase):
    """Reads a shared file, at its own position."""

    def __init__(self, file: BinaryIO, lock: threading.Lock) -> None:
        self._file, self._lock, self._at = file, lock, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with self._lock:
            self._file.seek(self._at)
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with self._lock:
            origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
            self._at = max(0, origin + offset) if origin is not None else self._file.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        return self._at


def open_path(where: str) -> InputFile:
    """Open a local file. Raises InputError if it does not exist or cannot be read twice."""
    path = Path(where)
    name = printable(path.name or where)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{name} is a folder; name the file in it")
        # Opening a pipe would wait for its writer, and it could not be read a second time.
        if not stat.S_ISREG(mode):
            raise InputError(
                f"{name} is not a regular file; pipe CSV into standard input and give - as the file"
            )
        return InputFile(name, path.open("rb"))
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file; expected it at {path.absolute()}") from None
    except PermissionError:
        raise InputError(f"{name} cannot be read: permission denied") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be opened: {getattr(error, 'strerror', None) or error}") from None


def open_standard_input(stdin: BinaryIO | None) -> InputFile:
    """Read all of standard input into memory: it may contain secrets that must not be written to disk."""
    if stdin is None and sys.stdin is None:
        raise InputError("standard input is closed; pipe CSV into it, or name a file")
    stream = stdin if stdin is not None else sys.stdin.buffer
    if stream.isatty():
        raise InputError("standard input is the keyboard; pipe CSV into it, or name a file")
    try:
        return InputFile(STANDARD_INPUT, stream.read())
    except OSError as error:
        raise InputError(f"standard input cannot be read: {error.strerror}") from None
