"""Columns of numbers in files without a name, so that memory does not grow with the input.

On the disk there is what the ledger keeps of rows too: numbers, ids and keyed digests, never a secret.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from contextlib import suppress
from io import FileIO

import numpy as np

from bulk_onboard.errors import OutputError

# What is shorter stays in memory.
LEAST = 1 << 20  # bytes


class Spooled:
    """Values that more are added to, and that are read when all are there.

    Where no file can be made, or the disk is full, they stay in memory.
    """

    def __init__(self, kind: type[np.generic], *shape: int, least: int = LEAST) -> None:
        self._nothing, self._least = np.empty((0, *shape), kind), least
        self._pending: list[np.ndarray] = []
        self._written = 0  # rows
        self._file: FileIO | None = None
        self._may_write = True

    def add(self, part: np.ndarray) -> None:
        """One more part, which is copied."""
        self._pending.append(part.astype(self._nothing.dtype, order="C", copy=True))
        if self._may_write and (self._file or sum(each.nbytes for each in self._pending) >= self._least):
            try:
                self._write()
            except OSError:
                self._may_write = False

    @property
    def values(self) -> np.ndarray:
        """What was added so far, read into an array of its own. Raises OutputError if that fails."""
        rows = self._written + sum(map(len, self._pending))
        found = np.empty((rows, *self._nothing.shape[1:]), self._nothing.dtype)
        if self._file:
            try:
                self._read(self._file, found[: self._written])
            except OSError as error:
                raise OutputError(f"a temporary file cannot be read: {error.strerror or error}") from None
        np.concatenate([self._nothing, *self._pending], out=found[self._written :])
        return found

    def _write(self) -> None:
        if self._file is None:
            # Unbuffered: what could not be written must not be tried again.
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (lives as long)
            weakref.finalize(self, _close, self._file)
        self._file.seek(0, os.SEEK_END)
        for part in self._pending:
            if self._file.write(part.data) != part.nbytes:
                raise OSError("the disk is full")
        self._written += sum(map(len, self._pending))
        self._pending.clear()

    def _read(self, file: FileIO, into: np.ndarray) -> None:
        room = into.reshape(-1).view(np.uint8).data
        file.seek(0)
        while room:
            if not (count := file.readinto(room)):
                raise OSError("it is shorter than it was")
            room = room[count:]


def _close(file: FileIO) -> None:
    with suppress(OSError):
        file.close()
