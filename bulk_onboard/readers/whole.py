"""One file as a source, whatever it is."""

from __future__ import annotations

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.errors import HeaderWithoutRows, InputError, NoRows
from bulk_onboard.readers.delimited import Delimited
from bulk_onboard.readers.detect import FileType, file_type
from bulk_onboard.readers.header_row import matches, wanted_names
from bulk_onboard.readers.input_file import Held
from bulk_onboard.validation.columns import holds_data, no_header


def open_whole(held: Held, options: ReadOptions) -> Source:
    """All rows of a file, which is closed with the source, or if it cannot be used. Raises InputError."""
    try:
        return with_rows(_opened(held, options), options)
    except BaseException:
        held.close()
        raise


def _opened(held: Held, options: ReadOptions) -> Source:
    kind = file_type(held)
    if options.sheets and kind is not FileType.WORKBOOK:
        raise InputError(f"{held.name} has no sheets; leave out --sheet {options.sheets[0]}")
    match kind:
        case FileType.WORKBOOK:
            from bulk_onboard.readers.workbook import Workbook  # noqa: PLC0415  (loaded when used)

            return Workbook(held, options)
        case FileType.PARQUET:
            from bulk_onboard.readers.parquet import Parquet  # noqa: PLC0415

            return Parquet(held, options)
        case FileType.DELIMITED:
            return Delimited(held, options)


def with_rows(source: Source, options: ReadOptions) -> Source:
    """The source, if there are rows in it. Raises InputError; HeaderWithoutRows if that is all it has."""
    if next(source.chunks([], 1), None) is None:
        if holds_data(source.header):
            raise InputError(no_header(source.name))
        found = source.description
        left_out = len(found.skipped_lines) + (len(found.hidden_rows) if found.hidden == "skip" else 0)
        message = f"{source.name} has a header but no rows below it"
        message += f", apart from {left_out:,} skipped or hidden ones" if left_out else ""
        if matches(source.header, wanted_names(options.mapped)):
            raise HeaderWithoutRows(message)
        raise NoRows(f"{source.name} has one line, and it names none of the columns that are needed")
    return source
