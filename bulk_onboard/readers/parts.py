"""An input in parts, each of which can be read by itself, anywhere: one file, a folder or a pattern of names.

    found = parts_of("exports/*.parquet")
    for part in found.parts:
        with open_part(part) as source: ...

Rows of several files are numbered as if the files stood below each other without their headers: the first
row below the header of a file has the number that follows the last row of the file before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Self

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, Source
from bulk_onboard.domain.input_description import InputDescription, ReadOptions, SheetStart
from bulk_onboard.errors import HeaderWithoutRows, InputError, NoRows, UsageError
from bulk_onboard.readers.delimited import Delimited
from bulk_onboard.readers.detect import unpacked
from bulk_onboard.readers.files import Files, files_at, path_columns, require_no_secret
from bulk_onboard.readers.header_row import require_alike, wanted_names
from bulk_onboard.readers.input_file import Held, hold_file, was_changed
from bulk_onboard.readers.parquet import Parquet
from bulk_onboard.readers.part import Head, Lines, Part, RowGroups, Size, Whole
from bulk_onboard.readers.path_columns import with_path_columns
from bulk_onboard.readers.split import last_number, pieces
from bulk_onboard.readers.whole import open_whole
from bulk_onboard.where import STANDARD_INPUT, scheme, shown

__all__ = ["Head", "Part", "Parts", "Size", "count", "open_part", "parts_of"]

_USUAL = Size()
_SHOWN = 5
_DEFAULT = ReadOptions()


@dataclass(frozen=True, slots=True)
class Parts:
    """An input, taken apart.

    ``name``: for people; ``parts``: in the order of their rows; ``heads``: the files, in the same order,
    without those that have a header and no rows, whose names are ``without_rows``.
    """

    name: str
    parts: tuple[Part, ...]
    heads: tuple[Head, ...]
    without_rows: tuple[str, ...] = ()

    @property
    def description(self) -> InputDescription:
        """The descriptions of all files as one. What differs between files is listed, or left out."""
        found = [head.description for head in self.heads]
        header_rows = {each.header_row for each in found}
        return replace(
            found[0],
            name=self.name,
            file_type=_listed(each.file_type for each in found),
            files=len(found),
            compression=_listed(each.compression for each in found),
            encoding=_listed(each.encoding for each in found),
            encoding_guessed=any(each.encoding_guessed for each in found),
            delimiter=_listed(each.delimiter for each in found),
            sheets=tuple(dict.fromkeys(sheet for each in found for sheet in each.sheets)),
            unread_sheets=tuple(dict.fromkeys(sheet for each in found for sheet in each.unread_sheets)),
            header_row=header_rows.pop() if len(header_rows) == 1 else None,
            skipped_lines=tuple(
                line._replace(row=line.row + head.shift)
                for head in self.heads
                for line in head.description.skipped_lines
            ),
            hidden_rows=tuple(
                row + head.shift for head in self.heads for row in head.description.hidden_rows
            ),
            struck_rows=tuple(
                row + head.shift for head in self.heads for row in head.description.struck_rows
            ),
            sheet_starts=tuple(
                SheetStart(start.row + head.shift, f"{head.name} {start.sheet}")
                for head in self.heads
                for start in head.description.sheet_starts
            ),
            path_columns=tuple(dict.fromkeys(name for each in found for name in each.path_columns)),
            notes=(*dict.fromkeys(note for each in found for note in each.notes), *self._empty()),
        )

    def _empty(self) -> Iterator[str]:
        if names := self.without_rows:
            more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
            yield f"{', '.join(names[:_SHOWN])}{more}: a header and no rows"

    def place(self, row: int) -> tuple[Head, int]:
        """The file that a row is in, and its number there, as a spreadsheet shows it."""
        starts = [head.before for head in self.heads]
        head = self.heads[max(0, bisect_left(starts, row) - 1)]
        return head, row - head.shift


def parts_of(where: str, options: ReadOptions = _DEFAULT, *, size: Size = _USUAL) -> Parts:
    """Take an input apart.

    Raises InputError if a file cannot be used, NoRows if all are empty, UsageError if ``where`` is nothing
    that several processes can read.
    """
    if where == "-":
        raise UsageError(f"{STANDARD_INPUT} can be read by one process only; save it as a file")
    require_no_secret(where)
    return taken_apart(files_at(where), options, size)


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(filter(None, dict.fromkeys(texts)))


def taken_apart(files: Files, options: ReadOptions, size: Size) -> Parts:
    """The parts of some files. Raises InputError, NoRows."""
    apart: list[tuple[Head, list[Part]]] = []
    without_rows: list[str] = []
    for i, path in enumerate(files.paths, 1):
        above = apart[-1][0].last if apart else None
        try:
            apart.append(_apart(path, options, size, above, is_last=i == len(files.paths)))
        except HeaderWithoutRows:
            if len(files.paths) == 1:
                raise
            # Programs that write many files at once leave some of them without rows.
            without_rows.append(shown(path))
        except NoRows as error:
            if len(files.paths) == 1:
                raise
            raise NoRows(f"{error}; delete it, or name the other files with a pattern") from None
    if not apart:
        raise NoRows(f"{files.name}: none of its files has rows")
    heads = tuple(head for head, _ in apart)
    require_alike([(head.name, head.header) for head in heads], wanted_names(options.mapped))
    parts = tuple(chain.from_iterable(parts for _, parts in apart))
    return Parts(files.name, parts, heads, tuple(without_rows))


def _apart(
    where: str, options: ReadOptions, size: Size, above: int | None, *, is_last: bool
) -> tuple[Head, list[Part]]:
    """One file, below another whose last row has the number ``above``."""
    held = _held(where)
    with open_whole(held, options) as opened:
        found = pieces(opened, held, size)
        if found[-1].rows is None and not is_last:
            found = [replace(found[0], rows=last_number(opened, found[0].before) - found[0].before)]
        source = with_path_columns(opened, path_columns(where))
        header, description = source.header, source.description
    before = found[0].before
    shift = 0 if above is None else above - before
    parts = [
        Part(where, held.stamp, one.range, one.before + shift, one.rows, shift, options) for one in found
    ]
    end = parts[-1]
    last = None if end.rows is None else end.before + end.rows
    return Head(where, held.name, header, before + shift, shift, last, description), parts


def open_part(part: Part) -> Source:
    """The rows of a part, with the numbers they have in the whole; nothing else of the file is read.

    Raises InputError if the file is no longer the one that was taken apart.
    """
    held = _held(part.where)
    try:
        if held.stamp != part.stamp:
            raise InputError(was_changed(held.name))
        source = with_path_columns(_opened(held, part), path_columns(part.where))
    except BaseException:
        held.close()
        raise
    return Shifted(source, part.shift) if part.shift else source


def _opened(held: Held, part: Part) -> Source:
    before = part.before - part.shift
    match part.range:
        case Lines():
            return Delimited(held, part.options, part.range, before)
        case RowGroups():
            return Parquet(held, part.options, part.range, before)
        case Whole():
            return open_whole(held, part.options)


def count(part: Part) -> int:
    """How many numbers the rows of a part take, the blank ones among them too. Raises InputError."""
    if part.rows is not None:
        return part.rows
    with open_part(part) as source:
        return last_number(source, part.before) - part.before


def _held(where: str) -> Held:
    return unpacked(_held_packed(where))


def _held_packed(where: str) -> Held:
    if scheme(where) is not None:
        from bulk_onboard.readers.ranged import hold_ranged  # noqa: PLC0415  (loaded when used)

        return hold_ranged(where)
    return hold_file(where)


class Shifted:
    """A source whose rows follow those of other files."""

    def __init__(self, source: Source, shift: int) -> None:
        self._source, self._shift = source, shift
        self.name, self.description, self.header = source.name, source.description, source.header

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The rows from the start, with the numbers that they have among all."""
        for chunk in self._source.chunks(columns, size):
            yield replace(chunk, numbers=chunk.numbers + self._shift)

    def require_text(self, columns: Sequence[int]) -> None:
        """Raises InputError if one of these columns can hold no text."""
        self._source.require_text(columns)

    def changed(self) -> bool:
        """Whether the file has been written to."""
        return self._source.changed()

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
