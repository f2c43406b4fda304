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
from bulk_onboard.domain.input_description import ReadOptions, url_scheme
from bulk_onboard.errors import HeaderWithoutRows, InputError, NoRows, UsageError
from bulk_onboard.readers.dataframe import Frame
from bulk_onboard.readers.detect import first_rows_in, open_reader, unpack
from bulk_onboard.readers.files import files_at, path_columns
from bulk_onboard.readers.header_row import FirstRows, count_wanted, wanted_names
from bulk_onboard.readers.input_file import FileSource, InputFile, open_path, open_standard_input
from bulk_onboard.readers.multi_file import MultiFile
from bulk_onboard.validation.columns import holds_data, no_header

_DEFAULT = ReadOptions()


def open_source(
    where: str | Path | pd.DataFrame | InputFile,
    options: ReadOptions = _DEFAULT,
    *,
    stdin: BinaryIO | None = None,
) -> Source:
    """Open a file, an address such as ``s3://…``, a DataFrame, or for ``-`` the CSV on standard input.

    An `InputFile` is a file whose bytes are at hand.

    The files of a folder, or those that a pattern such as ``exports/*.csv`` matches, are read as one.
    Raises InputError, one line, if it cannot be used: what was found and what was expected; UsageError if
    an address is not supported, or needs an extra.
    """
    if isinstance(where, pd.DataFrame):
        _require_rows(frame := Frame(where), options)
        return frame
    if isinstance(where, InputFile):
        return _source_of(unpack(where), options)
    _require_path(where)
    if str(where) == "-":
        return _source_of(unpack(open_standard_input(stdin)), options)
    files = files_at(str(where))
    if files.is_one and not path_columns(files.paths[0]):
        return _open_file(files.paths[0], options)
    return MultiFile(files, options, lambda path: _open_file(path, options))


def first_rows(where: str | Path | InputFile, encoding: str | None = None) -> list[FirstRows]:
    """Return the first rows of a CSV file or of each sheet of a workbook, as they stand, for a person to see.

    Other formats have no rows above the names of their columns: nothing is returned. Raises InputError.
    """
    if isinstance(where, InputFile):
        return first_rows_in(unpack(where), encoding)
    files = files_at(str(where))
    if not files.is_one or url_scheme(files.paths[0]) is not None:
        return []
    file = unpack(open_path(files.paths[0]))
    try:
        return first_rows_in(file, encoding)
    finally:
        file.close()


def _require_path(where: object) -> None:
    """Raise UsageError for what is not the name of a file: callers of the library may pass anything."""
    if not isinstance(where, str | Path):
        raise UsageError(f"a file or a DataFrame is expected, not {type(where).__name__}")
    try:
        os.fsencode(where)
    except UnicodeEncodeError:
        raise UsageError(f"{str(where)!a} cannot be the name of a file") from None


def _open_file(where: str, options: ReadOptions) -> FileSource:
    """Open a path or address; of a ZIP archive, the only table in it."""
    if url_scheme(where) is None:
        return _source_of(unpack(open_path(where)), options)
    from bulk_onboard.readers.remote import open_address  # noqa: PLC0415  (loaded when used)

    return _source_of(unpack(open_address(where)), options)


def _source_of(file: InputFile, options: ReadOptions) -> FileSource:
    """Return the rows of a file, which is closed with the source, or if it cannot be used."""
    try:
        source = open_reader(file, options)
        _require_rows(source, options)
    except BaseException:
        file.close()
        raise
    return source


def _require_rows(source: Source, options: ReadOptions) -> None:
    """Raise NoRows or another InputError if there are no rows; HeaderWithoutRows if there is a header."""
    if next(source.chunks([], 1), None) is not None:
        return
    if holds_data(source.header):
        raise InputError(no_header(source.name))
    description = source.description
    left_out = len(description.skipped_lines)
    left_out += len(description.hidden_rows) if description.hidden == "skip" else 0
    message = f"{source.name} has a header but no rows below it"
    message += f", apart from {left_out:,} skipped or hidden ones" if left_out else ""
    if count_wanted(source.header, wanted_names(options.mapped)):
        raise HeaderWithoutRows(message)
    raise NoRows(f"{source.name} has one line, and it names none of the columns that are needed")
