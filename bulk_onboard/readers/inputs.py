"""Opening an input: a file, a folder, a pattern, an address, standard input or a DataFrame.

    source = open_source("growers.xlsx", ReadOptions(sheets=("Growers",)))
    for chunk in source.chunks([0, 1]): ...

The content determines the type of a file, not its name. Every cell is text, as typed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, Source, text_column
from bulk_onboard.domain.input_description import (
    InputDescription,
    ReadOptions,
    SheetStart,
    display_name,
    path_parts,
    url_scheme,
)
from bulk_onboard.errors import HeaderWithoutRows, InputError, NoRows, UsageError
from bulk_onboard.readers.detect import format_of, unpack
from bulk_onboard.readers.files import Files, files_at, path_columns
from bulk_onboard.readers.header_row import (
    FirstRows,
    Places,
    aligned,
    count_wanted,
    require_alike,
    wanted_names,
)
from bulk_onboard.readers.in_memory import Frame
from bulk_onboard.readers.input_file import (
    FileSource,
    InputFile,
    Version,
    open_path,
    open_standard_input,
    was_changed,
)
from bulk_onboard.readers.remote import open_address
from bulk_onboard.validation.columns import holds_data, no_header, normalize

_DEFAULT = ReadOptions()
_LISTED, _FEW_LISTED = 20, 5


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
        return _source_of(where, options)
    _require_path(where)
    if str(where) == "-":
        return _source_of(open_standard_input(stdin), options)
    files = files_at(str(where))
    if files.is_one and not path_columns(files.paths[0]):
        return _open_file(files.paths[0], options)
    return MultiFile(files, options)


def first_rows(where: str | Path | InputFile, encoding: str | None = None) -> list[FirstRows]:
    """Return the first rows of a CSV file or of each sheet of a workbook, unchanged, to show to a person.

    Formats that cannot have rows above the column names return nothing. Raises InputError.
    """
    if isinstance(where, InputFile):
        file = unpack(where)
        read = format_of(file).first_rows
        return read(file, encoding) if read else []
    files = files_at(str(where))
    if not files.is_one or url_scheme(files.paths[0]) is not None:
        return []
    file = open_path(files.paths[0])
    try:
        return first_rows(file, encoding)
    finally:
        file.close()


def _require_path(where: object) -> None:
    """Raise UsageError unless it is the name of a file: callers of the library may pass anything."""
    if not isinstance(where, str | Path):
        raise UsageError(f"a file or a DataFrame is expected, not {type(where).__name__}")
    try:
        os.fsencode(where)
    except UnicodeEncodeError:
        raise UsageError(f"{str(where)!a} cannot be the name of a file") from None


def _open_file(where: str, options: ReadOptions) -> FileSource:
    return _source_of(open_path(where) if url_scheme(where) is None else open_address(where), options)


def _source_of(file: InputFile, options: ReadOptions) -> FileSource:
    """Return the rows of a file, or of the only table in an archive.

    The file is closed with the source, or if it cannot be used.
    """
    try:
        table = unpack(file)
        known = format_of(table)
        if options.sheets and not known.has_sheets:
            raise InputError(f"{file.name} has no sheets; leave out --sheet {options.sheets[0]}")
        source = known.reader(table, options)
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
    raise NoRows(f"{source.name} has one line, which contains none of the required column names")


# --- several files -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Member:
    """One of the files. It is opened when its turn comes: there may be more than can be open.

    ``header``: its own columns, then those of its path only, with the values ``added``; ``fixed``: position
    of its own column -> the value that the path gives; ``shift``: what is added to its row numbers; ``first``
    and ``last``: the numbers of its rows, with the shift. ``description``: with the shift.
    """

    path: str
    name: str
    version: Version
    header: tuple[str, ...]
    added: tuple[str, ...]
    fixed: dict[int, str]
    shift: int
    first: int
    last: int
    description: InputDescription

    def chunks(self, source: Source, places: Places, size: int) -> Iterator[Chunk]:
        """Yield the rows of the opened file, only the columns at these places of `header`."""
        width = len(self.header) - len(self.added)
        own = [at for at in places if at is not None and at < width]
        values = [
            "" if at is None else own.index(at) if at < width else self.added[at - width] for at in places
        ]
        for i, chunk in enumerate(source.chunks(own, size)):
            filled = self._filled(chunk, own, source.header) if self.fixed else chunk
            numbers = chunk.numbers + self.shift
            yield replace(filled.placed(values), numbers=numbers, top=chunk.top or i == 0)

    def _filled(self, chunk: Chunk, own: Sequence[int], header: Sequence[str]) -> Chunk:
        """Return the chunk with the path's values in blank cells. Raises InputError for another value."""
        cells = chunk.cells.copy(deep=False)
        for i, at in enumerate(own):
            if not (value := self.fixed.get(at, "")):
                continue
            for number, cell in zip(chunk.numbers, cells[i], strict=True):
                if cell.strip() and normalize(cell) != normalize(value):
                    raise InputError(
                        f"{self.name}, row {number}: the column {header[at]} contradicts the folder"
                        f" {header[at]}={value} that the file is in; move the file, or correct the column"
                    )
            cells[i] = text_column([cell if cell.strip() else value for cell in cells[i]])
        return replace(chunk, cells=cells)


class MultiFile(Source):
    """A source of several files: a folder, a pattern of names, or a file in folders named ``name=value``.

    Rows are numbered across the files: the first row of a file has the number after the last row of the
    previous file. Cells are matched to columns by name; folders named ``name=value`` are columns with that
    value.
    """

    def __init__(self, files: Files, options: ReadOptions) -> None:
        """Raises InputError if one cannot be used, NoRows if none has rows; UsageError."""
        self.name, self._options = files.name, options
        self._names = _names(files.paths)
        self._members: list[_Member] = []
        without_rows: list[str] = []
        for path in files.paths:
            try:
                self._members.append(self._member(path))
            except NoRows as error:
                if len(files.paths) == 1:
                    raise
                # Programs that write many files at once may write some without rows.
                if not isinstance(error, HeaderWithoutRows):
                    raise NoRows(f"{error}; delete it, or name the other files with a pattern") from None
                without_rows.append(self._names[path])
        if not self._members:
            raise NoRows(f"{files.name}: none of its files has rows")
        headers = [(member.name, member.header) for member in self._members]
        require_alike(headers, wanted_names(options.mapped))
        self.header, self._places = aligned([header for _, header in headers])
        self.description = _merged(self.name, [member.description for member in self._members], without_rows)

    def _member(self, path: str) -> _Member:
        with self._open(path) as source:
            columns = path_columns(path)
            own = {normalize(name): at for at, name in enumerate(source.header)}
            fixed = {own[normalize(name)]: value for name, value in columns.items() if normalize(name) in own}
            added = {name: value for name, value in columns.items() if normalize(name) not in own}
            before = source.description.header_row or 1
            shift = self._members[-1].last - before if self._members else 0
            last = shift + max(int(chunk.numbers[-1]) for chunk in source.chunks([0]))
            return _Member(
                path=path,
                name=self._names[path],
                version=source.version,
                header=(*source.header, *added),
                added=tuple(added.values()),
                fixed=fixed,
                shift=shift,
                first=before + shift + 1,
                last=last,
                description=_shifted(replace(source.description, path_columns=tuple(columns)), shift),
            )

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows of one file after the other. A column that a file does not have is blank there."""
        for member, places in zip(self._members, self._places, strict=True):
            with self._opened(member) as source:
                yield from member.chunks(source, [places[i] for i in columns], size)

    def require_text(self, columns: Sequence[int]) -> None:
        """Raise InputError if one of these columns cannot hold text in one of the files."""
        for member, places in zip(self._members, self._places, strict=True):
            with self._opened(member) as source:
                there = [places[i] for i in columns]
                source.require_text([at for at in there if at is not None and at < len(source.header)])

    def changed(self) -> bool:
        """Return whether one of the files has been written to, or replaced."""
        try:
            for member in self._members:
                self._opened(member).close()
        except InputError:
            return True
        return False

    def row_ranges(self) -> str:
        """Return a sentence that says which rows belong to which file; "" for a single file."""
        if len(members := self._members) == 1:
            return ""
        ranges = [f"{member.name} from row {member.first:,}" for member in members[:_LISTED]]
        more = f", … and {len(members) - _LISTED} more files" if len(members) > _LISTED else ""
        return f"Rows are numbered across {len(members)} files: {', '.join(ranges)}{more}"

    def _open(self, path: str) -> FileSource:
        try:
            return _open_file(path, self._options)
        except InputError as error:
            raise type(error)(str(error).replace(display_name(path), self._names[path], 1)) from None

    def _opened(self, member: _Member) -> FileSource:
        source = self._open(member.path)
        if source.version != member.version:
            source.close()
            raise InputError(was_changed(member.name))
        return source


def _names(paths: Sequence[str]) -> dict[str, str]:
    """Return the names of files for people: with the folders that tell them apart where that is needed."""
    names = {path: display_name(path) for path in paths}
    if len({*names.values()}) == len(paths):
        return names
    steps = [path_parts(path) for path in paths]
    shared = next(at for at, step in enumerate(zip(*steps, strict=False)) if len({*step}) > 1)
    return {path: "/".join(own[shared:]) for path, own in zip(paths, steps, strict=True)}


# --- descriptions -----------------------------------------------------------------------------------


def _shifted(description: InputDescription, shift: int) -> InputDescription:
    """Return a description in which all numbers of rows are shifted."""
    return replace(
        description,
        skipped_lines=tuple(line._replace(row=line.row + shift) for line in description.skipped_lines),
        hidden_rows=tuple(row + shift for row in description.hidden_rows),
        struck_rows=tuple(row + shift for row in description.struck_rows),
        sheet_starts=tuple(
            SheetStart(start.row + shift, f"{description.name} {start.sheet}")
            for start in description.sheet_starts
        ),
    )


def _merged(name: str, parts: Sequence[InputDescription], without_rows: Sequence[str]) -> InputDescription:
    """Return the descriptions of all files as one. What differs between files is listed, or left out."""

    def together(field: str) -> Iterable[str]:
        return dict.fromkeys(chain.from_iterable(getattr(part, field) for part in parts))

    def listed(field: str) -> str:
        return ", ".join(filter(None, dict.fromkeys(getattr(part, field) for part in parts)))

    notes = list(together("notes"))
    if without_rows:
        more = len(without_rows) - _FEW_LISTED
        names = ", ".join(without_rows[:_FEW_LISTED]) + (f" and {more:,} more" if more > 0 else "")
        notes.append(f"{names}: a header and no rows")
    header_rows = {part.header_row for part in parts}
    others: dict[str, Any] = {
        **{field: listed(field) for field in ("file_type", "compression", "encoding", "delimiter")},
        **{field: tuple(together(field)) for field in ("sheets", "unread_sheets", "path_columns")},
        **{
            field: tuple(chain.from_iterable(getattr(part, field) for part in parts))
            for field in ("skipped_lines", "hidden_rows", "struck_rows", "sheet_starts")
        },
    }
    return replace(
        parts[0],
        name=name,
        files=len(parts),
        encoding_guessed=any(part.encoding_guessed for part in parts),
        header_row=header_rows.pop() if len(header_rows) == 1 else None,
        notes=tuple(notes),
        **others,
    )
