"""Files of growers -> chunks of text cells. What kind of file it is is found by looking at it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from bulk_onboard.chunk import Chunk, Source
from bulk_onboard.errors import InputError
from bulk_onboard.read.delimited import Delimited
from bulk_onboard.read.frame import Frame
from bulk_onboard.read.magic import Kind, kind_of
from bulk_onboard.read.parquet import Parquet
from bulk_onboard.read.workbook import Workbook

__all__ = ["Chunk", "Source", "open_source"]


def open_source(
    where: str | Path | pd.DataFrame, *, sheet: str | None = None, stdin: BinaryIO | None = None
) -> Source:
    """Open a file, a DataFrame, or ``-`` for CSV on ``stdin``. Use as ``with``.

    Raises InputError if it cannot be read as a table: one line, what was found and what to do.
    """
    if isinstance(where, pd.DataFrame):
        return Frame(where)
    if str(where) == "-":
        if stdin is None:
            raise InputError("there is nothing on standard input")
        # It is kept in memory: it may be the output of a decrypting program, so nothing may touch the disk.
        return Delimited("standard input", stdin.read())
    return _open_file(Path(where), sheet)


def _open_file(path: Path, sheet: str | None) -> Source:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{path} is a folder; name a file in it")
        if not stat.S_ISREG(mode):
            raise InputError(f"{path} is no regular file; to read from a pipe, use - and standard input")
        file = path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}") from None
    try:
        return _by_kind(path, file, sheet)
    except BaseException:
        file.close()
        raise


def _by_kind(path: Path, file: BinaryIO, sheet: str | None) -> Source:
    kind = kind_of(path, file)
    if sheet is not None and kind is not Kind.WORKBOOK:
        raise InputError(f"{path.name} is no workbook and has no sheet {sheet!r}")
    match kind:
        case Kind.PARQUET:
            return Parquet(path.name, file)
        case Kind.WORKBOOK:
            return Workbook(path.name, file, sheet)
        case Kind.TEXT:
            return Delimited(path.name, file)
