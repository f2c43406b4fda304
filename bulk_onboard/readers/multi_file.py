"""Several files as one: their rows below each other, each cell under the column of its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Self

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk
from bulk_onboard.domain.input_description import InputDescription, ReadOptions
from bulk_onboard.errors import InputError
from bulk_onboard.readers.files import files_at
from bulk_onboard.readers.line_up import Places, lined_up, spread
from bulk_onboard.readers.part import Size
from bulk_onboard.readers.parts import Parts, open_part, taken_apart

_NO_END = Size(rows=1 << 62, bytes=1 << 62)


def join(where: str, options: ReadOptions) -> Joined:
    """All files of a folder, or those that a pattern matches. Raises InputError, UsageError."""
    return Joined(taken_apart(files_at(where), options, _NO_END))


class Joined:
    """A source of several files. Each is opened when its turn comes: there may be more than can be open."""

    def __init__(self, found: Parts) -> None:
        """``found``: one part for each file."""
        self.name, self.heads, self._parts = found.name, found.heads, found.parts
        self._found = found
        self.header, self._places = lined_up([head.header for head in found.heads])

    @property
    def description(self) -> InputDescription:
        """The descriptions of all files as one."""
        return self._found.description

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The rows of one file after the other. A column that a file does not have is blank there."""
        for part, at in zip(self._parts, self._places, strict=True):
            places = [at[i] for i in columns]
            with open_part(part) as source:
                for i, chunk in enumerate(source.chunks(_there(places), size)):
                    full = spread(chunk, places) if None in places else chunk
                    yield replace(full, top=full.top or i == 0)

    def require_text(self, columns: Sequence[int]) -> None:
        """Raises InputError if one of these columns can hold no text in one of the files."""
        for part, at in zip(self._parts, self._places, strict=True):
            with open_part(part) as source:
                source.require_text(_there([at[i] for i in columns]))

    def changed(self) -> bool:
        """Whether one of the files has been written to, or replaced."""
        try:
            for part in self._parts:
                open_part(part).close()
        except InputError:
            return True
        return False

    def close(self) -> None:
        """Nothing is open between two readings."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _there(places: Places) -> list[int]:
    return [at for at in places if at is not None]
