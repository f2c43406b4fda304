"""A chunk of text cells -> good rows, problems and warnings. Vectorised.

No message ever holds the value of a field but ``leafUserId``, and that one only as far as it cannot be
somebody's token in the wrong column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard.chunk import Chunk
from bulk_onboard.domain.providers import Field, Provider, Scope
from bulk_onboard.manifest import KEPT_PREFIX
from bulk_onboard.texts import bytes_of, has_capitals, hex_texts, repeated, uuid_words
from bulk_onboard.validation.columns import LEAF_USER_ID, Columns, normal
from bulk_onboard.validation.fingerprints import Fingerprints

_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f"
_SPACES = " \t\r\n\v\f\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"
# To find the few cells that need cleaning; the cleaning itself is done one by one.
_DIRTY = rf"^[{_SPACES}{_QUOTES}]|[{_SPACES}{_QUOTES}]$|[{_ZERO_WIDTH}]"
_CONTROL = "[\x00-\x1f\x7f-\x9f]"
_PLACEHOLDER = (
    r"^(?i:your[-_ ].*|to-?do|x{3,}|null|<.*>|change-?me|placeholder|grower-refresh-token"
    r"|\.{3,}|…|-+|\?+)$"
)
_FORMULA_ERROR = (
    r"^(?i:#(?:REF|VALUE|DIV/0|NULL|NUM|SPILL|CALC|FIELD|BLOCKED|CONNECT)!|#NAME\?|#N/A|#GETTING_DATA"
    r"|#(?:BEZUG|WERT|ZAHL)!|Err:[0-9]{3})$"
)
# Hardly any cell is one of these: one look at all of them, and only these few are looked at closely.
_SUSPECT = f"^$|{_DIRTY}|{_CONTROL}|{_PLACEHOLDER}|{_FORMULA_ERROR}"
# Most tokens have nothing but these. Then only what is short, or begins like some placeholders, is a suspect.
_HARMLESS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="
_BEGINNINGS = np.frombuffer(b"yYxX-.", np.uint8)
_LONGEST_WORD = len("grower-refresh-token")
_UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

_NUMBER_LIKE = re.compile(r"[0-9.,+\-eE ]{1,40}\Z")
_DAMAGED_UUID = re.compile(r"[0-9A-Fa-f]{6,10}(?:-[0-9A-Fa-f]{2,14}){2,5}\Z")


@dataclass(frozen=True, slots=True)
class Checked:
    """One chunk after checking; all frames have a line per row and the same index.

    ``frame``: row, leafUserId (canonical, or what may be shown of it), fingerprint (32 hex; "" if invalid),
    code ("" if fine), column, message, and the kept columns with their prefix. ``payload``: the cleaned
    provider fields that the file has. ``ids``, ``prints`` and ``digests`` (rows x 2): of the valid
    rows the grower, the fingerprint, and one over all of the payload, to tell exact repeats. ``warnings``:
    row, code, column, message of what was cleaned. ``problems``: the same of all that is wrong, cell by
    cell, where ``frame`` has the first problem of each row.
    """

    frame: pd.DataFrame
    payload: pd.DataFrame
    ids: np.ndarray
    prints: np.ndarray
    digests: np.ndarray
    warnings: pd.DataFrame
    problems: pd.DataFrame


def check(
    chunk: Chunk,
    columns: Columns,
    provider: Provider,
    app_names: Collection[str],
    fingerprints: Fingerprints,
) -> Checked:
    """Check the rows of one chunk, whose cells are the columns' fields and then the kept columns, in order.

    ``app_names``: app fields that the settings have, so that a blank cell is none of the file's fault.
    """
    fields = list(columns.fields)
    words = _words(chunk.cells[fields.index(LEAF_USER_ID)])
    suspects = _all_suspects(chunk, columns, words)
    cells, warnings = _cleaned(chunk, columns, suspects)
    verdict = _Verdict(len(chunk.numbers))
    verdict.mark(chunk.ragged, "ragged-row", "", "the row has more cells than the header has columns")
    known = {f.name: f for f in provider.fields}
    for i, name in enumerate(fields):
        few = _Few(cells[name], suspects[name])
        if not (name in known and _may_be_blank(known[name], app_names)):
            blank = few.where("^$")
            verdict.mark(blank, f"missing-{name}", columns.names[name], f"{columns.names[name]} is empty")
        _check_text(verdict, few, chunk.not_text[:, i], columns.names[name])
    _check_id(verdict, cells[LEAF_USER_ID], suspects[LEAF_USER_ID], columns.names[LEAF_USER_ID])
    for name in fields:
        if name in known and known[name].allowed:
            _check_allowed(verdict, cells[name], known[name], columns.names[name])
    valid = verdict.fine
    payload = cells[[name for name in fields if name != LEAF_USER_ID]]
    prints, digests = _fingerprints(payload if valid.all() else payload[valid], provider, fingerprints)
    ids = _shown_ids(cells[LEAF_USER_ID], valid)
    frame = _frame(chunk, ids, valid, prints, verdict)
    for i, (name, _) in enumerate(columns.keep, start=len(fields)):
        frame[KEPT_PREFIX + name] = chunk.cells[i]
    if words is None:
        words = _words(ids[valid])
        assert words is not None  # noqa: S101  (the ids of valid rows are UUIDs)
    elif not valid.all():
        words = words[valid]
    return Checked(frame, payload, words, prints, digests, warnings, verdict.problems(chunk.numbers))


def texts(chunk: Chunk, columns: Columns) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The fields' cells by name, cleaned; what was taken off; and what is wrong with them as texts.

    The last two are as in `Checked`.
    """
    suspects = _all_suspects(chunk, columns)
    cells, warnings = _cleaned(chunk, columns, suspects)
    verdict = _Verdict(len(chunk.numbers))
    for i, name in enumerate(columns.fields):
        _check_text(verdict, _Few(cells[name], suspects[name]), chunk.not_text[:, i], columns.names[name])
    return cells, warnings, verdict.problems(chunk.numbers)


def cleaned(cells: pd.Series) -> pd.Series:
    """A column without what surrounds its values."""
    dirty = np.flatnonzero(_matches(cells, _DIRTY))
    if not len(dirty):
        return cells
    found = cells.tolist()
    for i in dirty:
        found[i] = clean(found[i])[0]
    return pd.Series(found, dtype="str")


_TOLD = ("code", "column", "message")
_NO_PROBLEMS = pd.DataFrame({"row": np.empty(0, np.int64)} | {name: np.empty(0, object) for name in _TOLD})


class _Verdict:
    """The first problem of each row, which later ones do not overwrite; and all of them."""

    def __init__(self, rows: int) -> None:
        self.fine = np.ones(rows, bool)
        self._all: list[tuple[int, str, str, str]] = []
        self._texts: tuple[np.ndarray, ...] = ()  # made when the first of them is needed

    def mark(self, wrong: np.ndarray, code: str, column: str, message: str | Callable[[int], str]) -> None:
        where = np.flatnonzero(wrong)
        if not len(where):
            return
        told = [message] * len(where) if isinstance(message, str) else [message(int(i)) for i in where]
        self._all += zip(where.tolist(), repeat(code), repeat(column), told)
        first = self.fine[where]
        self.fine[where] = False
        if not self._texts:
            self._texts = tuple(np.full(len(self.fine), "", dtype=object) for _ in _TOLD)
        codes, columns, messages = self._texts
        codes[where[first]], columns[where[first]] = code, column
        messages[where[first]] = np.array(told, dtype=object)[first]

    def texts(self) -> dict[str, pd.Series]:
        """Code, column and message of each row, "" where nothing is wrong."""
        if self._texts:
            columns = [pd.Series(values, dtype="str") for values in self._texts]
        else:
            columns = [pd.Series(pd.array(repeated("", len(self.fine)), dtype="str"))] * len(_TOLD)
        return dict(zip(_TOLD, columns, strict=True))

    def problems(self, numbers: np.ndarray) -> pd.DataFrame:
        """Row, code, column, message: the first problem of each cell, by row."""
        if not self._all:
            return _NO_PROBLEMS.copy(deep=False)
        found = pd.DataFrame(self._all, columns=["at", *_TOLD])
        found = found.drop_duplicates(["at", "column"]).sort_values("at", kind="stable", ignore_index=True)
        found.insert(0, "row", numbers[found.pop("at").to_numpy(np.int64)])
        return found


def _words(ids: pd.Series) -> np.ndarray | None:
    return uuid_words(pa.array(ids, pa.large_string()))


def _all_suspects(chunk: Chunk, columns: Columns, words: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """By field, where cells may be wrong or need cleaning: all such, and as few others as can be told fast.

    ``words``: of the growers' ids, if all of them are UUIDs.
    """
    none = np.empty(0, np.int64)
    return {
        name: none if name == LEAF_USER_ID and words is not None else _suspects(chunk.cells[i], name)
        for i, name in enumerate(columns.fields)
    }


def _suspects(cells: pd.Series, field: str) -> np.ndarray:
    if field == LEAF_USER_ID:
        return np.flatnonzero(~_matches(cells, _UUID))
    data, starts, lengths = bytes_of(pa.array(cells, pa.large_string()))
    if not lengths.all() or data.tobytes().translate(None, _HARMLESS):
        return np.flatnonzero(_matches(cells, _SUSPECT))
    return np.flatnonzero((lengths <= _LONGEST_WORD) | np.isin(data[starts], _BEGINNINGS))


class _Few:
    """The few cells of a column that may be wrong; no pattern but that of a UUID is met by any other."""

    def __init__(self, cells: pd.Series, suspects: np.ndarray) -> None:
        self._rows, self._suspects = len(cells), suspects
        self._cells = cells.iloc[suspects]

    def where(self, pattern: str) -> np.ndarray:
        """Which cells of the whole column match."""
        found = np.zeros(self._rows, bool)
        if len(self._suspects):
            found[self._suspects] = _matches(self._cells, pattern)
        return found


def _may_be_blank(field: Field, app_names: Collection[str]) -> bool:
    return not field.required or (field.scope is Scope.APP and field.name in app_names)


def _check_text(verdict: _Verdict, few: _Few, not_text: np.ndarray, column: str) -> None:
    """Everything that is wrong with a cell whatever field it is of."""
    number = not_text & ~few.where("^$")
    verdict.mark(
        number, "numeric-cell", column, f"{column} is a number or a date, not text: digits may be lost"
    )
    verdict.mark(few.where(_FORMULA_ERROR), "formula-error", column, f"{column} is a formula's error")
    verdict.mark(few.where(_PLACEHOLDER), "placeholder-value", column, f"{column} is a placeholder")
    inside = f"{column} has a control character or a line break inside"
    verdict.mark(few.where(_CONTROL), "control-character", column, inside)


def _check_id(verdict: _Verdict, ids: pd.Series, suspects: np.ndarray, column: str) -> None:
    def message(i: int) -> str:
        if normal(ids.iloc[i]) == normal(column):
            return f"{column} is no UUID: this row is the header again"
        return f"{column} is no UUID: {shown(ids.iloc[i])}"

    wrong = np.zeros(len(ids), bool)
    if len(suspects):
        wrong[suspects] = ~_matches(ids.iloc[suspects], _UUID)
    verdict.mark(wrong, "bad-leaf-user-id", column, message)


def _check_allowed(verdict: _Verdict, cells: pd.Series, field: Field, column: str) -> None:
    wrong = ~cells.isin(["", *field.allowed]).to_numpy(bool)
    verdict.mark(wrong, "bad-environment", column, f"{column} is not {' or '.join(field.allowed)}")


def _matches(cells: pd.Series, pattern: str) -> np.ndarray:
    return cells.str.contains(pattern, regex=True).to_numpy(bool)


# --- cleaning ---------------------------------------------------------------------------------------


def _cleaned(
    chunk: Chunk, columns: Columns, suspects: Mapping[str, np.ndarray]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The fields' cells by name, and a warning for each that was cleaned."""
    cells, warnings = {}, []
    for i, name in enumerate(columns.fields):
        column = chunk.cells[i]
        dirty = np.flatnonzero(_Few(column, suspects[name]).where(_DIRTY))
        if len(dirty):
            texts = column.tolist()
            for j in dirty:
                texts[j], found = clean(texts[j])
                for code in found if texts[j] else ():
                    warnings.append((int(chunk.numbers[j]), code, columns.names[name], REMOVED[code]))
            column = pd.Series(texts, dtype="str")
        cells[name] = column
    if not warnings:
        return pd.DataFrame(cells), _NO_PROBLEMS.copy(deep=False)
    return pd.DataFrame(cells), pd.DataFrame(warnings, columns=["row", *_TOLD])


REMOVED = {
    "zero-width-removed": "invisible characters were taken off",
    "spaces-removed": "spaces around the value were taken off",
    "quotes-removed": "quotes around the value were taken off",
}
_STRIP_SPACES = re.compile(rf"^[{_SPACES}]+|[{_SPACES}]+$")
_STRIP_QUOTES = re.compile(rf"^[{_QUOTES}]+|[{_QUOTES}]+$")
_STRIP_ZERO_WIDTH = re.compile(f"[{_ZERO_WIDTH}]+")


def clean(text: str) -> tuple[str, tuple[str, ...]]:
    """The value without spaces and quotes around it and invisible characters in it, and what was removed."""
    steps = {
        "zero-width-removed": _STRIP_ZERO_WIDTH,
        "spaces-removed": _STRIP_SPACES,
        "quotes-removed": _STRIP_QUOTES,
    }
    found: list[str] = []
    while True:
        before = text
        for code, pattern in steps.items():
            stripped = pattern.sub("", text)
            if stripped != text and code not in found:
                found.append(code)
            text = stripped
        if text == before:
            return text, tuple(found)


def shown(text: str) -> str:
    """What may be shown of something that should have been a UUID: it may be a token in the wrong column."""
    line = re.sub(_CONTROL, " ", text)
    if len(line) <= 12 or _NUMBER_LIKE.match(line) or (len(line) <= 40 and _DAMAGED_UUID.match(line)):
        return line
    return line[:6] + "…"


# --- what is kept of a row --------------------------------------------------------------------------


def _fingerprints(
    payload: pd.DataFrame, provider: Provider, fingerprints: Fingerprints
) -> tuple[np.ndarray, np.ndarray]:
    """Of the grower's fields, which the ledger knows a row by; and of all that the file says of it."""
    columns = {str(name): pa.array(payload[name], pa.large_string()) for name in payload}
    names = [f.name for f in provider.grower_fields]
    # An optional field without a column is as one that is left empty.
    blank = pa.repeat(pa.scalar("", pa.large_string()), len(payload))
    prints = fingerprints.of_columns([columns.get(name, blank) for name in names])
    if not columns.keys() - set(names):
        return prints, prints
    return prints, fingerprints.of_columns(list(columns.values()))


def _shown_ids(ids: pd.Series, valid: np.ndarray) -> pd.Series:
    """In lower case, and of what is no UUID only what may be shown."""
    lower = ids.str.lower() if has_capitals(pa.array(ids, pa.large_string())) else ids
    wrong = np.flatnonzero(~valid)
    if not len(wrong):
        return lower
    texts = lower.tolist()
    for i in wrong:
        if not re.match(_UUID, texts[i]):
            texts[i] = shown(ids.iloc[int(i)])
    return pd.Series(texts, dtype="str")


def _hexed(prints: np.ndarray, valid: np.ndarray) -> pd.Series:
    """32 hex digits for each valid row, "" for the others."""
    digits = hex_texts(prints)
    if not valid.all():
        digits = digits.take(pa.array(np.cumsum(valid) - 1, mask=~valid)).fill_null("")
    return pd.Series(pd.array(digits, dtype="str"))


def _frame(
    chunk: Chunk, ids: pd.Series, valid: np.ndarray, prints: np.ndarray, verdict: _Verdict
) -> pd.DataFrame:
    columns = {"row": pd.Series(chunk.numbers), "leafUserId": ids, "fingerprint": _hexed(prints, valid)}
    return pd.DataFrame(columns | verdict.texts())
