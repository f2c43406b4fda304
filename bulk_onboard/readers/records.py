r"""Where the records of a CSV begin: a quoted cell may hold line breaks, so only what comes before tells.

One pass over the bytes, by columns of bytes rather than one by one. In a file that is read without complaint
every other quote opens a cell and the next one closes it; where one stands in the midst of a cell, where it
means itself, the quotes of that piece are followed one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bulk_onboard.readers.decode import LONGEST_LINE, line_count
from bulk_onboard.readers.part import Size

_LF, _CR, _QUOTE = b'\n\r"'
# A line of so many bytes has more characters than a line may have.
_TOO_LONG = 4 * LONGEST_LINE


@dataclass(frozen=True, slots=True)
class Border:
    """A place between two records: how many bytes, records and lines come before it."""

    at: int
    rows: int
    lines: int


@dataclass(frozen=True, slots=True)
class Borders:
    """``begins``: where blocks begin, the first where the scan began; ``end``: behind the last record.

    ``sound``: False if the records cannot be told apart from some place in the last block on: the reader says
    why.
    """

    begins: tuple[Border, ...]
    end: Border
    sound: bool


def borders(content: Iterable[bytes], delimiter: str, first: Border, size: Size) -> Borders:
    """Find them in content that begins with a record, in UTF-8 or Windows-1252. ``delimiter``: ASCII."""
    walk, rest = _Walk(delimiter, first, size), b""
    for block in content:
        cut = block.rfind(b"\n") + 1
        # Pieces of whole lines: then no quote has its neighbour, and no \r its \n, in another piece.
        if cut and not walk.take(b"".join((rest, memoryview(block)[:cut]))):
            return walk.found(sound=False)
        rest = block[cut:] if cut else rest + block
        if len(rest) > _TOO_LONG:
            return walk.found(sound=False)
    sound = walk.take(rest) and not walk.inside
    return walk.found(sound=sound)


def neighbours_of(delimiter: str) -> np.ndarray:
    """By byte, whether it may stand outside beside a quote that opens a cell or closes it, or doubles it."""
    neighbours = np.zeros(256, bool)
    neighbours[[_LF, _CR, ord(delimiter), _QUOTE]] = True
    return neighbours


def quotes_in_turn(data: np.ndarray, neighbours: np.ndarray, *, inside: bool) -> np.ndarray | None:
    """Where the quotes of whole lines are, each of which opens a cell or closes it; None if one does not.

    ``inside``: whether a cell is open where the lines begin.
    """
    quotes = np.flatnonzero(data == _QUOTE)
    opening, closing = quotes[int(inside) :: 2], quotes[1 - int(inside) :: 2]
    before, after = opening[opening > 0] - 1, closing[closing + 1 < len(data)] + 1
    return quotes if neighbours[data[before]].all() and neighbours[data[after]].all() else None


class _Walk:
    """From the first border to the last."""

    def __init__(self, delimiter: str, first: Border, size: Size) -> None:
        self.inside = False
        self._begins, self._here, self._size = [first], first, size
        self._limits = frozenset((_LF, _CR, ord(delimiter)))
        self._neighbours = neighbours_of(delimiter)

    def found(self, *, sound: bool) -> Borders:
        """What has been found so far."""
        return Borders(tuple(self._begins), self._here, sound)

    def take(self, piece: bytes) -> bool:
        """Go on by some lines; False if the records cannot be told apart."""
        if b'"' not in piece and not _has_lone_return(piece) and self._passes(piece):
            return True
        data = np.frombuffer(piece, np.uint8)
        flips = self._flips(piece, data)
        if flips is None:
            return False
        self._mark(data, flips)
        self.inside ^= bool(len(flips) % 2)
        return True

    def _passes(self, piece: bytes) -> bool:
        """Go on by lines without quotes, unless a block may have to end among them."""
        begun, here = self._begins[-1], self._here
        lines = line_count(piece) if piece else 0
        at, rows = here.at + len(piece), here.rows + (0 if self.inside else lines)
        if at - begun.at >= self._size.bytes or rows - begun.rows >= self._size.rows:
            return False
        self._here = Border(at, rows, here.lines + lines)
        return True

    def _flips(self, piece: bytes, data: np.ndarray) -> np.ndarray | None:
        """The quotes that open a cell or close it, in turn; doubled ones, which do both, are among them."""
        quotes = quotes_in_turn(data, self._neighbours, inside=self.inside)
        return self._one_by_one(piece) if quotes is None else quotes

    def _one_by_one(self, piece: bytes) -> np.ndarray | None:
        """The same where a quote stands in the midst of a cell; None if one is closed there."""
        inside, flips, at = self.inside, [], piece.find(b'"')
        while at >= 0:
            after = at + 1
            if inside and piece[after : after + 1] == b'"':
                after += 1
            elif inside:
                if after < len(piece) and piece[after] not in self._limits:
                    return None
                inside = False
                flips.append(at)
            elif at == 0 or piece[at - 1] in self._limits:
                inside = True
                flips.append(at)
            at = piece.find(b'"', after)
        return np.array(flips, np.int64)

    def _mark(self, data: np.ndarray, flips: np.ndarray) -> None:
        """Count the records and lines of a piece, and note where blocks begin."""
        here, ends = self._here, _line_ends(data)
        outside = (np.searchsorted(flips, ends) + self.inside) % 2 == 0
        rows = here.rows + np.cumsum(outside)
        # A block begins behind a \n, so that a reader of lines may begin there too.
        may = outside & (data[ends] == _LF)
        self._cut(here.at + 1 + ends[may], rows[may], here.lines + 1 + np.flatnonzero(may))
        unended = bool(len(data)) and not (len(ends) and ends[-1] == len(data) - 1)
        count = int(outside.sum()) + (unended and (len(flips) + self.inside) % 2 == 0)
        self._here = Border(here.at + len(data), here.rows + int(count), here.lines + len(ends) + unended)

    def _cut(self, at: np.ndarray, rows: np.ndarray, lines: np.ndarray) -> None:
        while True:
            begun = self._begins[-1]
            i = min(
                np.searchsorted(at, begun.at + self._size.bytes),
                np.searchsorted(rows, begun.rows + self._size.rows),
            )
            if i >= len(at):
                return
            self._begins.append(Border(int(at[i]), int(rows[i]), int(lines[i])))


def _has_lone_return(piece: bytes) -> bool:
    return b"\r" in piece and piece.count(b"\r") != piece.count(b"\r\n")


def _line_ends(data: np.ndarray) -> np.ndarray:
    r"""Where lines end: \n, \r\n, or \r alone."""
    ends = np.flatnonzero(data == _LF)
    returns = np.flatnonzero(data == _CR)
    alone = returns[(returns + 1 == len(data)) | (data[np.minimum(returns + 1, len(data) - 1)] != _LF)]
    return np.sort(np.concatenate([ends, alone])) if len(alone) else ends
