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

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.errors import UsageError
from bulk_onboard.readers.archive import unpacked
from bulk_onboard.readers.dataframe import Frame
from bulk_onboard.readers.files import files_at, path_columns
from bulk_onboard.readers.input_file import open_standard_input
from bulk_onboard.readers.multi_file import MultiFile
from bulk_onboard.readers.one_file import open_bytes, source_of, with_rows

_DEFAULT = ReadOptions()


def open_source(
    where: str | Path | pd.DataFrame, options: ReadOptions = _DEFAULT, *, stdin: BinaryIO | None = None
) -> Source:
    """Open a file, an address such as ``s3://…``, a DataFrame, or for ``-`` the CSV on standard input.

    The files of a folder, or those that a pattern such as ``exports/*.csv`` matches, are read as one.
    Raises InputError, one line, if it cannot be used: what was found and what was expected; UsageError if
    an address is not supported, or needs an extra.
    """
    if isinstance(where, pd.DataFrame):
        return with_rows(Frame(where), options)
    _require_path(where)
    if str(where) == "-":
        return source_of(unpacked(open_standard_input(stdin)), options)
    files = files_at(str(where))
    if files.is_one and not path_columns(files.paths[0]):
        return source_of(open_bytes(files.paths[0]), options)
    return MultiFile(files, options)


def _require_path(where: object) -> None:
    """Raise UsageError for what is not the name of a file: callers of the library may pass anything."""
    if not isinstance(where, str | Path):
        raise UsageError(f"a file or a DataFrame is expected, not {type(where).__name__}")
    try:
        os.fsencode(where)
    except UnicodeEncodeError:
        raise UsageError(f"{str(where)!a} cannot be the name of a file") from None
