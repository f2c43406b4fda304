"""A file that is held open from the first look to the last row.

Deleting or replacing it meanwhile cannot change what is read; writing into it can, and is noticed.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from bulk_onboard.errors import InputError
from bulk_onboard.where import STANDARD_INPUT, printable

# The size of what is read, and when it was written or a word of its own for what was: another one is changed.
Stamp = tuple[int, str]


def was_changed(name: str) -> str:
    """What to say of a file that is no longer what it was."""
    return f"{name} was changed while it was being read; run the command again"


class Held:
    """Bytes with a name, that can be read from the start as often as needed."""

    def __init__(
        self,
        name: str,
        file: BinaryIO,
        suffixes: tuple[str, ...] = (),
        stamp: Callable[[], Stamp] | None = None,
        *,
        packing: str = "",
        outer: Held | None = None,
    ) -> None:
        """``stamp``: tells what is there now; needed for what is no file of this machine.

        ``packing``: what it was unpacked from, and ``outer`` that file, which is closed with this one.
        """
        self.packing, self._outer = packing, outer
        self.name, self.suffixes, self.file = name, suffixes, file
        self._lock = threading.Lock()
        self._now = stamp or self._stamp
        self.stamp = self._now()
        self.size = len(file.getbuffer()) if isinstance(file, io.BytesIO) else self.stamp[0]

    @property
    def in_memory(self) -> bool:
        """Whether all of it was fetched to be read."""
        return isinstance(self.file, io.BytesIO)

    def holding(self, content: io.BytesIO, suffixes: tuple[str, ...], packing: str) -> Held:
        """Content that was unpacked from this file: it has changed when this file has."""
        return Held(self.name, content, suffixes, self._now, packing=packing, outer=self)

    def reader(self, start: int = 0, end: int | None = None) -> io.BufferedReader:
        """A reader of its own, from the start to the end, or of the bytes between two places."""
        last = self.size if end is None else end
        return io.BufferedReader(_Reader(self.file, self._lock, start, last), 1 << 16)

    def head(self, size: int) -> bytes:
        """The first bytes."""
        with self.reader() as reader:
            return reader.read(size)

    def changed(self) -> bool:
        """Whether it has been written to since it was opened."""
        return self._now() != self.stamp

    def close(self) -> None:
        """Let go of it."""
        self.file.close()
        if self._outer is not None:
            self._outer.close()

    def _stamp(self) -> Stamp:
        if isinstance(self.file, io.BytesIO):
            return len(self.file.getbuffer()), ""
        found = os.fstat(self.file.fileno())
        return found.st_size, str(found.st_mtime_ns)


def hold_file(where: str | Path) -> Held:
    """Open a file. Raises InputError if there is none, or none that can be read twice."""
    path = Path(where)
    name = printable(path.name or str(where))
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{name} is a folder; name the file in it")
        # Opening a pipe would wait for its writer, and it could not be read a second time.
        if not stat.S_ISREG(mode):
            raise InputError(
                f"{name} is not a regular file; pipe CSV into standard input and give - as the file"
            )
        return Held(name, path.open("rb"), tuple(suffix.lower() for suffix in path.suffixes))
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file; expected it at {path.absolute()}") from None
    except PermissionError:
        raise InputError(f"{name} cannot be read: permission denied") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be opened: {getattr(error, 'strerror', None) or error}") from None


def hold_standard_input(stdin: BinaryIO | None) -> Held:
    """All of standard input, in memory: it may hold secrets that must not touch the disk."""
    if stdin is None and sys.stdin is None:
        raise InputError("standard input is closed; pipe CSV into it, or name a file")
    stream = stdin if stdin is not None else sys.stdin.buffer
    if stream.isatty():
        raise InputError("standard input is the keyboard; pipe CSV into it, or name a file")
    try:
        data = stream.read()
    except OSError as error:
        raise InputError(f"standard input cannot be read: {error.strerror}") from None
    return Held(STANDARD_INPUT, io.BytesIO(data), (".csv",))


class _Reader(io.RawIOBase):
    """Reads a shared file, or a stretch of it, at a position of its own."""

    def __init__(self, file: BinaryIO, lock: threading.Lock, start: int, end: int) -> None:
        self._file, self._lock = file, lock
        self._start, self._end, self._at = start, end, start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with self._lock:
            self._file.seek(self._at)
            data = self._file.read(max(0, min(len(buffer), self._end - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: self._start, os.SEEK_CUR: self._at}.get(whence, self._end)
        self._at = max(self._start, origin + offset)
        return self.tell()

    def tell(self) -> int:
        return self._at - self._start
