"""Lines of a file that are not rows: comments, totals, footers, lines of dashes and the like. Pure.

A line is skipped only if it is recognised as one of these and none of its cells could be an id or token. A
row that is skipped by mistake is a lost grower; a line that is not skipped by mistake is an invalid row,
which a person will see. So a line in doubt is a row. Only a comment may contain any cells.

Nearly all lines have an id in its usual form and are recognised together. The others are checked one by one,
by all of their cells.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby, pairwise

import numpy as np
import pyarrow.compute as pc

from bulk_onboard.domain.chunk import Chunk
from bulk_onboard.domain.input_description import SkippedLine
from bulk_onboard.validation.cells import are_simple, to_arrow
from bulk_onboard.validation.columns import normalize
from bulk_onboard.validation.rules import find_problem
from bulk_onboard.validation.spelling import UUID_LENGTH

_FIRST_HYPHEN = 8  # its index in a UUID
_LONGEST_WORD = 30
_MOST_DIGITS = 15  # a spreadsheet stores no more digits of a number
_BLANKS = " \t\r\n\u00a0\u200b\ufeff"
_EDGES = (
    _BLANKS
    + ".,;:!?()[]{}<>\"'`*/&|"
    + "\u00a9\u00ab\u00bb\u2018\u2019\u201c\u201d\u201e\u2013\u2014\u2026\u3001\u3002\uff0c\uff1a"
)
_DASHES = r"\-=_+*~\u2010-\u2015\u2500-\u257f"
_RULER = re.compile(rf"[{_DASHES}|:.\s]*[{_DASHES}]{{2}}[{_DASHES}|:.\s]*")
# "2 rows", "Rows: 2", "rows 1-2 of 2"; but "row 2" is rather a name
_COUNT = re.compile(r"^\W*\d|[:=\uff1a]\s*\d|\d\s*(?:[-\u2013]|[^\W\d_]+)\s*\d")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[a-z]{2,})+", re.IGNORECASE)
_JOINED = re.compile(r"[-./'_\u2019]")
_WITHOUT_SPACES = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # Thai, Chinese, …
_PARTICLES = re.compile(r"al|bin|d[aeiou]|das|del|della|de[nr]|dos|el?|et|i|l[ae]|v[ao]n|und|y")  # of names


class LineFilter:
    """Removes the lines that are not rows from the chunks of one file, in their order.

    ``positions``: the columns that have to be read for that; ``skipped``: the lines removed so far.
    """

    def __init__(self, header: Sequence[str], id_column: int | None, wanted: Sequence[int]) -> None:
        """Prepare for a file with this header.

        ``id_column``: position of the leafUserId, None if the file has none; ``wanted``: positions of the
        columns that the chunks are to have in the end.
        """
        needed = (column for column in (id_column, 0) if column is not None and column not in wanted)
        self.positions = [*wanted, *dict.fromkeys(needed)]
        self.skipped: list[SkippedLine] = []
        self._width = len(wanted)
        self._names = frozenset(normalize(name) for name in header if name)
        self._id_place = None if id_column is None else self.positions.index(id_column)
        self._first_place = self.positions.index(0)
        self._below_header, self._last = True, 0
        self._rows = self._hashes = 0

    def rows(self, chunk: Chunk) -> Chunk:
        """Return the wanted columns of the rows in a chunk, which has the columns at `positions`."""
        if chunk.top:
            self._below_header, self._last = True, 0
        suspects, size = self._suspects(chunk), len(chunk.numbers)
        reasons = self._reasons(chunk, suspects) if len(suspects) else {}
        self._below_header = self._below_header and len(reasons) == size
        self._last = int(chunk.numbers[-1])
        self.skipped += [SkippedLine(int(chunk.numbers[i]), reason) for i, reason in sorted(reasons.items())]
        if reasons:
            chunk = chunk.taken(np.delete(np.arange(size), list(reasons)))
        return chunk.placed(range(self._width))

    def _suspects(self, chunk: Chunk) -> np.ndarray:
        """The lines without an id or a token in its usual form, and those that begin with ``#``.

        Where most rows begin with ``#`` in another column than the id's, it is part of a number.
        """
        first = pc.starts_with(to_arrow(chunk.cells[self._first_place]), "#")
        hashes: np.ndarray = first.to_numpy(zero_copy_only=False)
        suspect = np.ones(len(hashes), bool)
        if self._id_place is not None:
            ids = to_arrow(chunk.cells[self._id_place])
            first_hyphens, lengths = (
                np.asarray(pc.find_substring(ids, "-")),
                np.asarray(pc.binary_length(ids)),
            )
            suspect = (first_hyphens != _FIRST_HYPHEN) | (lengths != UUID_LENGTH)
        if self._id_place != self._first_place:
            counted = hashes if self._id_place is None else hashes[~suspect]
            self._rows, self._hashes = self._rows + len(counted), self._hashes + int(counted.sum())
        for place in range(self._width):
            # In a file without ids every line has to be checked, and nearly all of them have a token.
            lines = np.flatnonzero(suspect)
            suspect[lines] = ~are_simple(to_arrow(chunk.cells[place].iloc[lines]))
        return np.flatnonzero(suspect | hashes)

    def _reasons(self, chunk: Chunk, suspects: np.ndarray) -> dict[int, str]:
        """Index in the chunk -> why the line is not a row."""
        reasons: dict[int, str] = {}
        prose: dict[int, str] = {}
        for i in suspects.tolist():
            cells = [cell.strip(_BLANKS) for cell in chunk.line(i)]
            below_header = self._below_header and len(reasons) == i
            if reason := self._reason(cells, below_header=below_header):
                reasons[i] = reason
            elif cells[0] and not any(cells[1:]) and _is_prose(cells[0], words=1):
                prose[i] = cells[0]
        lines = sorted({*prose, *reasons}) if prose else []
        for _, neighbours in groupby(enumerate(lines), key=lambda pair: pair[1] - pair[0]):
            block = [i for _, i in neighbours]
            if self._is_footer(block, chunk, reasons, prose):
                reasons |= {i: "footer" for i in block if i in prose}
        return reasons

    def _reason(self, cells: Sequence[str], *, below_header: bool) -> str | None:
        filled = [cell for cell in cells if cell]
        if not filled:
            return None
        first, several = filled[0], len(filled) > 1
        if not several and _is_end(first):
            return "end marker"
        if several and set(filled) == {"0"}:
            return "only zeros, as formulas show for empty cells"
        if cells[0].startswith("#") and 2 * self._hashes <= self._rows:
            # An error value of a spreadsheet begins like a comment.
            problem = find_problem(cells[0], "id")
            return None if problem and problem.code == "formula-error" else "comment"
        if all(map(_RULER.fullmatch, filled)):
            return "line of dashes"
        if several and all(normalize(cell) in self._names for cell in filled):
            return "repeated header"
        if _is_total(first) and all(map(_is_of_total, filled)):
            return "total or number of rows"
        if (
            not several
            and cells[0]
            and _pattern("{}", "footers").search(first.casefold())
            and _is_prose(first, words=1)
        ):
            return "footer"
        if several and below_header and all(map(_is_help, filled)):
            return "types or help below the header"
        return None

    def _is_footer(
        self, block: Sequence[int], chunk: Chunk, reasons: Mapping[int, str], prose: Mapping[int, str]
    ) -> bool:
        """Whether neighbouring lines with only a first cell are the footer of a report, below a blank line.

        One of them is known as part of a footer, or they are the last lines and one is a sentence.
        """
        before = int(chunk.numbers[block[0] - 1]) if block[0] else self._last
        if not before or chunk.numbers[block[0]] - before == 1:
            return False
        is_last = block[-1] == len(chunk.numbers) - 1
        return any(reasons.get(i) == "footer" for i in block) or (
            is_last and any(_is_sentence(prose[i]) for i in block if i in prose)
        )


# --- words ------------------------------------------------------------------------------------------


@cache
def _texts(name: str) -> list[str]:
    """One list of ``line_words.toml``."""
    lists = tomllib.loads(files(__package__).joinpath("line_words.toml").read_text("utf-8"))
    texts: list[str] = lists[name]
    return texts


@cache
def _words(*names: str) -> frozenset[str]:
    """The words of some lists."""
    return frozenset(word for name in names for word in _split(" ".join(_texts(name))))


@cache
def _pattern(form: str, name: str) -> re.Pattern[str]:
    """A form with one of the texts of a list in it."""
    return re.compile(form.format("|".join(map(re.escape, _texts(name)))))


@cache
def _unspaced() -> str:
    """The words of languages without spaces between words, as an alternation."""
    words = _words("totals", "counted", "between")
    return "|".join(sorted(filter(_WITHOUT_SPACES.search, words), key=len, reverse=True))


def _split(text: str) -> list[str]:
    """The words of a text: runs of letters, in lower case."""
    letters = (c if unicodedata.category(c)[0] in "LM" else " " for c in unicodedata.normalize("NFC", text))
    return "".join(letters).casefold().split()


def _is_total(text: str) -> bool:
    """Whether a cell says total, or how many rows there are, and nothing else."""
    if len(text) > 2 * _LONGEST_WORD:
        return False
    words = [part for word in _split(text.replace("\u2211", "\u03c3")) for part in _parts(word)]
    if not words or not _words("totals", "counted", "between").issuperset(words):
        return False
    counts = not _words("counted").isdisjoint(words) and _COUNT.search(text) is not None
    return counts or not _words("totals").isdisjoint(words)


def _is_end(text: str) -> bool:
    # Ctrl-Z of DOS, and what PostgreSQL's COPY writes.
    if text in {"\x1a", "\\."}:
        return True
    ends = (_split(end) for end in _texts("ends"))
    return not any(map(str.isdigit, text)) and _split(text) in ends


def _is_of_total(text: str) -> bool:
    return _is_total(text) or _is_number(text) or not any(map(str.isalnum, text))


def _parts(word: str) -> list[str]:
    """The known words that a word consists of, in languages without spaces between words."""
    known = _unspaced()
    return re.findall(known, word) if re.fullmatch(f"(?:{known})+", word) else [word]


def _is_number(text: str) -> bool:
    """Whether a cell is a number, an amount or a date: without letters, and short enough."""
    digits = sum(c.isdigit() for c in text)
    return 0 < digits <= _MOST_DIGITS and not any(c.isalpha() for c in text)


def _is_help(text: str) -> bool:
    words = _split(text)
    if words and _words("types").issuperset(words) and len(text) <= 2 * _LONGEST_WORD:
        return True
    says_help = _pattern(r"(?<!\w)(?:{})(?!\w)", "help").search(text.casefold())
    return says_help is not None and _is_prose(text, words=2)


def _is_sentence(text: str) -> bool:
    """Whether it is more than a name: names begin with capitals, but for particles."""
    words = [word for word in text.split() if word.strip(_EDGES)]
    small = (word for word in words if word[0].islower() and not _PARTICLES.fullmatch(word.casefold()))
    return len(words) > 1 and (next(small, None) is not None or text.endswith((".", ":")) or len(words) > 4)


def _is_prose(text: str, *, words: int) -> bool:
    """Return whether a text has at least this many words, and nothing in it could be an id or a token."""
    pieces = [piece for piece in (word.strip(_EDGES) for word in text.split()) if piece]
    return len(pieces) >= words and all(map(_is_word, pieces))


def _is_word(piece: str) -> bool:
    """Whether it is a word of a language, a number, a date or an email address, rather than a token."""
    if len(piece) > _LONGEST_WORD:
        return False
    if _is_number(piece) or len(piece) <= 3 or _EMAIL.fullmatch(piece):
        return True
    parts = [part for part in _JOINED.split(piece) if part]
    return all(part.isdigit() or (len(part) != 2 and _is_plain(part)) for part in parts)


def _is_plain(part: str) -> bool:
    """Whether it consists of letters, without capitals inside as in tokens."""
    capitals_inside = sum(a.islower() and b.isupper() for a, b in pairwise(part))
    return capitals_inside <= 2 and all(unicodedata.category(c)[0] in "LM" for c in part)
