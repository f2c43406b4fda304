"""Open an input, whatever it is: a file, a folder, a pattern, an address, standard input or a DataFrame.

    source = open_source("growers.xlsx", ReadOptions(sheets=("Growers",)))
    for chunk in source.chunks([0, 1]): ...

The content decides what a file is, not its name. Every cell is text, as typed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from bulk_onboard.domain.chunk import Chunk, Source
from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.errors import UsageError
from bulk_onboard.readers.dataframe import Frame
from bulk_onboard.readers.detect import unpacked
from bulk_onboard.readers.files import is_one_file, path_columns, require_no_table
from bulk_onboard.readers.input_file import Held, hold_file, hold_standard_input
from bulk_onboard.readers.path_columns import with_path_columns
from bulk_onboard.readers.whole import open_whole, with_rows
from bulk_onboard.where import scheme

__all__ = ["Chunk", "Source", "open_source"]

_DEFAULT = ReadOptions()


def open_source(
    where: str | Path | pd.DataFrame, options: ReadOptions = _DEFAULT, *, stdin: BinaryIO | None = None
) -> Source:
    """Open a file, an address such as ``s3://…``, a DataFrame, or for ``-`` the CSV on standard input.

    The files of a folder, or those that a pattern such as ``exports/*.csv`` matches, are read as one.
    Raises InputError, one line, if it cannot be used: what was found and what was expected; UsageError if
    an address is of no use, or needs an extra.
    """
    if isinstance(where, pd.DataFrame):
        return with_rows(Frame(where), options)
    _require_path(where)
    if str(where) != "-" and not is_one_file(str(where)):
        from bulk_onboard.readers.multi_file import join  # noqa: PLC0415  (loaded when used)

        return join(str(where), options)
    path = str(where) if scheme(str(where)) else str(Path(where).absolute())
    columns = {} if str(where) == "-" else path_columns(path)
    if str(where) != "-":
        require_no_table(path, [])
    return with_path_columns(open_whole(unpacked(_held(where, stdin)), options), columns)


def _require_path(where: object) -> None:
    """Raise UsageError for what is not the name of a file: callers of the library may pass anything."""
    if not isinstance(where, str | Path):
        raise UsageError(f"a file or a DataFrame is expected, not {type(where).__name__}")
    try:
        os.fsencode(where)
    except UnicodeEncodeError:
        raise UsageError(f"{str(where)!a} cannot be the name of a file") from None


def _held(where: str | Path, stdin: BinaryIO | None) -> Held:
    if str(where) == "-":
        return hold_standard_input(stdin)
    if isinstance(where, str) and scheme(where) is not None:
        from bulk_onboard.readers.remote import hold_remote  # noqa: PLC0415  (loaded when used)

        return hold_remote(where)
    return hold_file(where)
