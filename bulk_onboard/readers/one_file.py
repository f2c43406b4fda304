"""One file as a source: its content decides which reader reads it."""

from __future__ import annotations

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.domain.input_name import scheme
from bulk_onboard.errors import HeaderWithoutRows, InputError, NoRows
from bulk_onboard.readers.archive import unpacked
from bulk_onboard.readers.detect import reader_of
from bulk_onboard.readers.header_row import matches, wanted_names
from bulk_onboard.readers.input_file import InputFile, open_path
from bulk_onboard.validation.columns import holds_data, no_header


def open_bytes(where: str) -> InputFile:
    """Open a path or address; of a ZIP archive, the only table in it. Raises InputError, UsageError."""
    if scheme(where) is None:
        return unpacked(open_path(where))
    from bulk_onboard.readers.remote import open_address  # noqa: PLC0415  (loaded when used)

    return unpacked(open_address(where))


def source_of(file: InputFile, options: ReadOptions) -> Source:
    """Return the rows of a file, which is closed with the source, or if it cannot be used.

    Raises InputError; NoRows or HeaderWithoutRows if there are none.
    """
    try:
        return with_rows(reader_of(file, options), options)
    except BaseException:
        file.close()
        raise


def with_rows(source: Source, options: ReadOptions) -> Source:
    """Return the source if there are rows in it. Raises InputError; HeaderWithoutRows if it has a header."""
    if next(source.chunks([], 1), None) is not None:
        return source
    if holds_data(source.header):
        raise InputError(no_header(source.name))
    description = source.description
    left_out = len(description.skipped_lines)
    left_out += len(description.hidden_rows) if description.hidden == "skip" else 0
    message = f"{source.name} has a header but no rows below it"
    message += f", apart from {left_out:,} skipped or hidden ones" if left_out else ""
    if matches(source.header, wanted_names(options.mapped)):
        raise HeaderWithoutRows(message)
    raise NoRows(f"{source.name} has one line, and it names none of the columns that are needed")
