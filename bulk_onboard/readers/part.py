"""A piece of an input that can be read by itself, by whoever: plain values, no secret, no open file.

It may travel: a cluster shows its tasks on pages, and keeps them on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.input_description import InputDescription, ReadOptions
from bulk_onboard.readers.input_file import Stamp
from bulk_onboard.where import steps

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Size:
    """How much a part holds: the first record or row group that reaches one of the two ends it."""

    rows: int = 100_000
    bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Whole:
    """All of a file: it cannot be taken apart."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Bytes of a CSV that hold whole records, in this encoding; ``line`` is the number of the first line."""

    start: int
    end: int
    line: int
    encoding: str


@dataclass(frozen=True, slots=True)
class RowGroups:
    """Row groups of a Parquet file, from ``first`` on, without ``end``."""

    first: int
    end: int


Range = Whole | Lines | RowGroups


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of one file.

    ``where``: its path or address; ``stamp``: what shows that it is still the same; ``before``: the number
    of the row before the first one, and ``rows`` how many numbers follow, None if not known; ``shift``:
    what is added to a row's number in its own file, when other files come first; ``options``: those given to
    `open_source`.
    """

    where: str
    stamp: Stamp
    range: Range
    before: int
    rows: int | None = None
    shift: int = 0
    options: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True, slots=True)
class Head:
    """The header of one file, to be matched before its rows are read. It may hold data: see `no_header`.

    ``before``: the number of the row before its first one; ``shift``: what is added to the numbers that its
    rows have in the file; ``last``: the number of its last row, None if not known.
    """

    where: str
    name: str
    header: tuple[str, ...]
    before: int
    shift: int
    last: int | None
    description: InputDescription


@runtime_checkable
class OfFiles(Protocol):
    """A source of one file or several: what their headers are, in their order."""

    heads: Sequence[Head]


def row_ranges(source: Source) -> str:
    """In words, which rows are of which file; "" where there is one file only."""
    return ranges_of(source.heads) if isinstance(source, OfFiles) else ""


def ranges_of(heads: Sequence[Head]) -> str:
    """The same of files that are read in parts."""
    if len(heads) == 1:
        return ""
    several = len({head.name for head in heads}) < len(heads)
    names = ["/".join(steps(head.where)[-2:]) if several else head.name for head in heads[:_SHOWN]]
    told = [f"{name} from row {head.before + 1:,}" for name, head in zip(names, heads, strict=False)]
    more = f", … and {len(heads) - _SHOWN} more files" if len(heads) > _SHOWN else ""
    return f"Rows are numbered across {len(heads)} files: {', '.join(told)}{more}"
