"""Several files as one source: a folder, a pattern of names, or a file in folders named ``name=value``.

Rows are numbered as if the files stood below each other without their headers: the first row below the header
of a file has the number that follows the last row of the file before it. Each cell is under the column of its
name; folders named ``name=value`` are columns with that value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, Source, text_column
from bulk_onboard.domain.input_description import (
    InputDescription,
    ReadOptions,
    SheetStart,
    display_name,
    path_parts,
)
from bulk_onboard.errors import HeaderWithoutRows, InputError, NoRows
from bulk_onboard.readers.files import Files, path_columns
from bulk_onboard.readers.header_row import Places, aligned, require_alike, wanted_names
from bulk_onboard.readers.input_file import FileSource, Version, was_changed
from bulk_onboard.validation.columns import normalize

_LISTED, _FEW_LISTED = 20, 5


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
    """A source of several files."""

    def __init__(self, files: Files, options: ReadOptions, open_file: Callable[[str], FileSource]) -> None:
        """Look at all files, which ``open_file`` opens.

        Raises InputError if one cannot be used, NoRows if none has rows; UsageError.
        """
        self.name, self._open_file = files.name, open_file
        self._members: list[_Member] = []
        without_rows: list[str] = []
        for path in files.paths:
            try:
                self._members.append(self._member(path))
            except NoRows as error:
                if len(files.paths) == 1:
                    raise
                # Programs that write many files at once leave some of them without rows.
                if not isinstance(error, HeaderWithoutRows):
                    raise NoRows(f"{error}; delete it, or name the other files with a pattern") from None
                without_rows.append(display_name(path))
        if not self._members:
            raise NoRows(f"{files.name}: none of its files has rows")
        headers = [(member.name, member.header) for member in self._members]
        require_alike(headers, wanted_names(options.mapped))
        self.header, self._places = aligned([header for _, header in headers])
        self.description = _merged(
            self.name, [input_file.description for input_file in self._members], without_rows
        )

    def _member(self, path: str) -> _Member:
        with self._open_file(path) as source:
            columns = path_columns(path)
            own = {normalize(name): at for at, name in enumerate(source.header)}
            fixed = {own[normalize(name)]: value for name, value in columns.items() if normalize(name) in own}
            added = {name: value for name, value in columns.items() if normalize(name) not in own}
            before = source.description.header_row or 1
            shift = self._members[-1].last - before if self._members else 0
            last = shift + max(int(chunk.numbers[-1]) for chunk in source.chunks([0]))
            return _Member(
                path=path,
                name=source.name,
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
        """Return in words which rows are of which file; "" if there is only one."""
        if len(members := self._members) == 1:
            return ""
        same = len({member.name for member in members}) < len(members)
        names = [
            "/".join(path_parts(member.path)[-2:]) if same else member.name for member in members[:_LISTED]
        ]
        ranges = [f"{name} from row {member.first:,}" for name, member in zip(names, members, strict=False)]
        more = f", … and {len(members) - _LISTED} more files" if len(members) > _LISTED else ""
        return f"Rows are numbered across {len(members)} files: {', '.join(ranges)}{more}"

    def _opened(self, member: _Member) -> FileSource:
        source = self._open_file(member.path)
        if source.version != member.version:
            source.close()
            raise InputError(was_changed(member.name))
        return source


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
