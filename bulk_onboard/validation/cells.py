"""Check the cells of one column by the rules for their kind of field.

Most cells are plain: one regular expression over the whole column shows that no rule applies to them. Only
the others are checked one by one.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from string import ascii_letters, digits
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.domain.chunk import CellKind, Chunk, text_column
from bulk_onboard.validation.findings import ChunkFindings
from bulk_onboard.validation.rules import Finding, check_cell, find_problem, plain
from bulk_onboard.validation.spelling import UUID_LENGTH, clean

_NOT_TEXT = {
    CellKind.VALUE: Finding(
        "numeric-cell", "is a number, a date or a logical value, not text: digits may be lost"
    ),
    CellKind.ERROR: Finding("formula-error", "shows a spreadsheet error"),
    CellKind.FORMULA: Finding("formula-without-value", "is a formula without a stored result"),
}
_CONTINUED = Finding("control-character", "seems to continue in the next line: a line break has split it")


class Column(NamedTuple):
    """Cells of one column, of the rows at ``lines`` of the chunk. ``header``: as the file spells it."""

    cells: pd.Series
    lines: np.ndarray
    header: str


def read_column(findings: ChunkFindings, chunk: Chunk, place: int, lines: np.ndarray, header: str) -> Column:
    """Return the cells of the column at this place; cells that are not text become problems."""
    column, kinds = Column(take_cells(chunk.cells[place], lines), lines, header), chunk.kinds[lines, place]
    if kinds.any():
        filled = (column.cells != "").to_numpy(bool)
        for kind, finding in _NOT_TEXT.items():
            wrong = (kinds == kind) & (filled | (kind is CellKind.FORMULA))
            findings.add(lines[wrong], finding, header)
    return column


def check_cells(
    findings: ChunkFindings, column: Column, kind: str, format_: str = "", *, secret: bool = True
) -> pd.Series:
    """Return the cells as they are sent. The parameters are those of `check_cell`."""
    at = np.flatnonzero(find_suspects(column.cells, kind, format_))
    if not len(at):
        return column.cells
    texts = column.cells.iloc[at].tolist()
    results = {text: check_cell(text, kind, format_, secret=secret) for text in set(texts)}
    problems: dict[Finding, list[int]] = {}
    for line, text in zip(column.lines[at].tolist(), texts, strict=True):
        _, problem, warnings = results[text]
        if problem:
            problems.setdefault(problem, []).append(line)
        for warning in warnings:
            findings.warn([line], warning, column.header)
    for problem, lines in problems.items():
        findings.add(lines, problem, column.header)
    if all(text == cell.value for text, cell in results.items()):
        return column.cells
    values = column.cells.to_numpy(object, copy=True)
    values[at] = [results[text].value for text in texts]
    return text_column(values)


def find_continued(
    findings: ChunkFindings, chunk: Chunk, secrets: Sequence[Column], lines: np.ndarray
) -> None:
    """Find secrets at the end of a line that continue in the next one, because of an unquoted line break.

    ``lines``: lines without a grower, which may be the rest of the previous line.
    """
    for i in lines.tolist():
        is_next = i > 0 and chunk.numbers[i] == chunk.numbers[i - 1] + 1 and findings.valid[i - 1]
        if not (is_next and _is_rest(chunk.line(i))):
            continue
        last = chunk.line(i - 1)[-1]
        for secret in secrets:
            own = secret.cells[secret.lines == i - 1]
            if own.isin([last, clean(last)[0]]).any():
                findings.add([i - 1], _CONTINUED, secret.header)


def _is_rest(line: Sequence[str]) -> bool:
    """Return whether a line has only a first cell, which may be a piece of a secret."""
    first, others = clean(line[0])[0], line[1:]
    is_one_word = bool(first) and not any(map(str.isspace, first)) and not any(map(str.strip, others))
    return is_one_word and find_problem(first, "token") is None


def find_suspects(cells: pd.Series, kind: str, format_: str = "") -> np.ndarray:
    """Return a mask of the cells that a rule may apply to: those that are not plain."""
    known, texts = plain(kind, format_), to_arrow(cells)
    is_suspect = _matches(texts, known.exceptions) | np.isin(pc.binary_length(texts), known.lengths)
    others = np.flatnonzero(~are_simple(texts)) if kind != "id" else np.arange(len(texts))
    if len(others):
        rest = texts.take(pa.array(others))
        is_suspect[others] |= ~_matches(rest, known.texts) | _matches(rest, known.short_exceptions)
    return is_suspect


def _matches(texts: pa.Array, pattern: str) -> np.ndarray:
    matches: np.ndarray = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return matches


_SHORT = 30
_DIGIT, _LETTER, _SIGN, _OTHER = 1, 2, 4, 8
# The letter e is not enough for a text to be simple: 1e5 is a number.
_BY_CHARACTER = {**dict.fromkeys(digits, _DIGIT), **dict.fromkeys(ascii_letters, _LETTER)}
_BY_CHARACTER |= dict.fromkeys("eE-_", _SIGN)
_CLASSES = bytes(_BY_CHARACTER.get(chr(byte), _OTHER) for byte in range(256))


def are_simple(texts: pa.Array) -> np.ndarray:
    """Return a mask of long texts of digits, letters, - and _ that have a digit and a letter: most tokens."""
    data, starts, lengths = bytes_of(texts)
    simple, filled = lengths > _SHORT, np.flatnonzero(lengths)
    if simple.any():
        classes = np.frombuffer(data.tobytes().translate(_CLASSES), np.uint8)
        union = np.bitwise_or.reduceat(classes, starts[filled])
        simple[filled] &= ((union | _SIGN) == (_DIGIT | _LETTER | _SIGN)) & (classes[starts[filled]] < _SIGN)
    return simple


def clean_cells(cells: pd.Series) -> pd.Series:
    """Return a column without spaces, quotes and invisible characters around its values."""
    at = np.flatnonzero(find_suspects(cells, "text") & (cells != "").to_numpy(bool))
    if not len(at):
        return cells
    values = cells.to_numpy(object, copy=True)
    values[at] = [clean(text)[0] for text in values[at]]
    return text_column(values)


def take_cells(cells: pd.Series, lines: np.ndarray) -> pd.Series:
    """Return the cells at these lines."""
    return cells if len(lines) == len(cells) else cells.iloc[lines].reset_index(drop=True)


def to_arrow(cells: pd.Series) -> pa.Array:
    """Return the cells for functions of Arrow."""
    return pa.array(cells, pa.large_string())


# --- columns as bytes, and UUIDs as numbers ---------------------------------------------------------------


Texts: TypeAlias = pa.Array | pa.ChunkedArray

_DASHES = (8, 13, 18, 23)
# The groups of digits, the last one in two parts: copied as numbers, which is faster than byte by byte.
_NAMES, _KINDS = list("abcdef"), ["u8", "u4", "u4", "u4", "u8", "u4"]
_IN_UUID = np.dtype({"names": _NAMES, "formats": _KINDS, "offsets": [0, 9, 14, 19, 24, 32], "itemsize": 36})
_IN_DIGITS = np.dtype({"names": _NAMES, "formats": _KINDS, "offsets": [0, 8, 12, 16, 20, 28], "itemsize": 32})


def bytes_of(texts: Texts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the UTF-8 of all values, one after the other; where each begins, and its length in bytes.

    The column must not have nulls.
    """
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    column = whole if whole.type == pa.large_string() else whole.cast(pa.large_string())
    _, offsets, data = column.buffers()
    if not len(column) or data is None:
        nothing = np.zeros(len(column), np.int64)
        return np.empty(0, np.uint8), nothing, nothing
    ends = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]], ends[:-1] - ends[0], np.diff(ends)


def uuid_words(texts: Texts) -> np.ndarray | None:
    """Return UUIDs as two unsigned numbers of 64 bits each (rows x 2); None if not all of them are UUIDs."""
    data, _, lengths = bytes_of(texts)
    if not (lengths == UUID_LENGTH).all():
        return None
    lines = data.reshape(-1, UUID_LENGTH)
    if not all((lines[:, at] == ord("-")).all() for at in _DASHES):
        return None
    digits = np.empty(len(lengths), _IN_DIGITS)
    _copy_groups(data.view(_IN_UUID), digits)
    return _words(digits.tobytes(), len(lengths))


def _words(digits: bytes, rows: int) -> np.ndarray | None:
    try:
        data = binascii.unhexlify(digits)
    except binascii.Error:
        return None
    return np.frombuffer(data, np.uint64).reshape(-1, 2) if len(data) == 16 * rows else None


def uuid_texts(words: np.ndarray) -> pa.LargeStringArray:
    """Return such numbers as UUIDs in lower case."""
    texts = np.full((len(words), UUID_LENGTH), ord("-"), np.uint8)
    digits = np.frombuffer(binascii.hexlify(words.data), _IN_DIGITS)
    _copy_groups(digits, texts.reshape(-1).view(_IN_UUID))
    ends = np.arange(len(words) + 1, dtype=np.int64) * UUID_LENGTH
    return pa.LargeStringArray.from_buffers(len(words), pa.py_buffer(ends), pa.py_buffer(texts))


def _copy_groups(here: np.ndarray, there: np.ndarray) -> None:
    for group in _NAMES:
        there[group] = here[group]
