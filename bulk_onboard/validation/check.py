"""Check a chunk of text cells: good rows, problems and warnings.

No message contains the value of a field, except of leafUserId if it is a number or similar to a UUID.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard.domain.chunk import Chunk
from bulk_onboard.domain.providers import Field, Kind, Provider, Scope
from bulk_onboard.manifest import KEPT_PREFIX
from bulk_onboard.texts import has_capitals, hex_texts, uuid_words
from bulk_onboard.validation.chunk_findings import NO_FINDINGS, SAID, ChunkFindings
from bulk_onboard.validation.cleaning import clean
from bulk_onboard.validation.columns import LEAF_USER_ID, Columns, normal
from bulk_onboard.validation.fingerprints import Fingerprints
from bulk_onboard.validation.ids import UUID_LENGTH, UUID_PATTERN, check_id, shown, uuids_of
from bulk_onboard.validation.rules import (
    Cell,
    Finding,
    check_name,
    check_text,
    check_token,
    looks_like_a_name,
)
from bulk_onboard.validation.stand_ins import stand_in
from bulk_onboard.validation.suspects import not_ascii, suspicious_texts, suspicious_tokens
from bulk_onboard.validation.words import EXAMPLE_IDS

_HEX_DIGITS = 32  # of a UUID without hyphens
_SWAPPED = Finding("id-as-token", f"is a UUID and the {LEAF_USER_ID} is not: the two may be swapped")
# So many tokens of a chunk are examined to recognise a column of names.
_SAMPLE = 200
_EXAMPLES = uuid_words(pa.array(map(str, EXAMPLE_IDS), pa.large_string()))


@dataclass(frozen=True, slots=True)
class Checked:
    """One chunk after checking; all frames have a line per row and the same index.

    ``frame``: row, leafUserId (canonical, or what may be shown of it), fingerprint (32 hex; "" if invalid),
    code ("" if valid), column, message, and the kept columns with their prefix. ``payload``: the provider
    fields that the file has, as they are sent. ``ids``, ``prints`` and ``digests`` (rows x 2): of the valid
    rows the grower, the fingerprint, and one over all of the payload, to recognise exact repeats.
    ``warnings``: row, code, column, message. ``problems``: the same of all that is wrong, cell by cell, where
    ``frame`` has the first problem of each row. ``names``: column -> how many of some tokens look like
    names, and how many were examined. ``uuid_tokens``: row -> the UUID that a valid row has as a token.
    """

    frame: pd.DataFrame
    payload: pd.DataFrame
    ids: np.ndarray
    prints: np.ndarray
    digests: np.ndarray
    warnings: pd.DataFrame
    problems: pd.DataFrame
    names: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    uuid_tokens: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the cells of a file depend on besides the provider.

    ``set_fields``: app fields that the settings have, so that a cell may be blank; ``assumed``: those that
    an offline check assumes to be set; ``guessed_encoding``: the file's encoding if it was guessed, else "".
    """

    set_fields: Collection[str] = ()
    assumed: Collection[str] = ()
    guessed_encoding: str = ""


def check(
    chunk: Chunk, columns: Columns, provider: Provider, around: Surroundings, fingerprints: Fingerprints
) -> Checked:
    """Check the rows of one chunk; its cells are the columns' fields and then the kept columns, in order."""
    book = ChunkFindings(chunk)
    fields = list(columns.fields)
    book.mark(chunk.ragged, Finding("ragged-row", "the row has more cells than the header has columns"), "")
    cells, words = {}, id_words(chunk.cells[fields.index(LEAF_USER_ID)])
    known = {each.name: each for each in provider.fields}
    for i, name in enumerate(fields):
        column = columns.names[name]
        if name == LEAF_USER_ID:
            cells[name] = _check_ids(book, i, column, words)
        else:
            cells[name] = _check_field(book, i, column, known[name], provider, around)
    for name in fields:
        if name != LEAF_USER_ID and known[name].kind is Kind.TOKEN:
            same = _same_as_id(cells[name], cells[LEAF_USER_ID])
            book.mark(same, Finding("id-as-token", f"is the {LEAF_USER_ID} of the row"), columns.names[name])
            if words is None:
                book.mark(_swapped(cells[name], cells[LEAF_USER_ID]), _SWAPPED, columns.names[name])
    tokens = (f for f in provider.grower_fields if f.kind is Kind.TOKEN and f.name in cells)
    names: dict[str, tuple[int, int]] = {}
    uuids: dict[int, bytes] = {}
    for name in [f.name for f in tokens]:
        names[columns.names[name]] = _sample_names(cells[name])
        few = np.flatnonzero((cells[name].str.len() == UUID_LENGTH).to_numpy(bool) & book.fine)
        uuids |= uuids_of(chunk.numbers[few].tolist(), cells[name].iloc[few].tolist())
    checked = _checked(chunk, columns, provider, fingerprints, book, pd.DataFrame(cells), words)
    return replace(checked, names=names, uuid_tokens=uuids)


def check_users(chunk: Chunk, columns: Columns) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The cells that identify Leaf users, cleaned; warnings; and problems, as in `Checked`."""
    book = ChunkFindings(chunk)
    cells = {}
    for i, name in enumerate(columns.fields):
        book.mark_kinds(i, columns.names[name])
        everything = np.arange(len(chunk.numbers))
        cells[name] = book.judge(chunk.cells[i], everything, check_name, columns.names[name])
    return pd.DataFrame(cells), book.warnings(), book.problems()


def cleaned(cells: pd.Series) -> pd.Series:
    """A column without what surrounds its values."""
    dirty = suspicious_texts(cells)
    if not len(dirty):
        return cells
    values = cells.tolist()
    for i in dirty.tolist():
        values[i] = clean(values[i])[0]
    return pd.Series(values, dtype="str")


# --- one column -------------------------------------------------------------------------------------


def _check_ids(book: ChunkFindings, i: int, column: str, words: np.ndarray | None) -> pd.Series:
    """``words``: the ids as numbers if all of them are UUIDs in the usual spelling."""
    cells = book.chunk.cells[i]
    book.mark_kinds(i, column)
    if words is not None:
        assert _EXAMPLES is not None  # noqa: S101  (a list of UUIDs)
        few = np.flatnonzero(np.isin(words[:, 0], _EXAMPLES[:, 0]))
        return book.judge(cells, few, check_id, column)
    suspects = np.flatnonzero(~_is_uuid(cells) | cells.str.lower().isin(map(str, EXAMPLE_IDS)).to_numpy(bool))
    values = book.judge(cells, suspects, partial(_check_id, column=column), column)
    book.mark((values == "").to_numpy(bool), Finding(f"missing-{LEAF_USER_ID}", "is empty"), column)
    return values


def _check_id(text: str, column: str) -> Cell:
    cell = check_id(text)
    if cell.problem and normal(cell.value) == normal(column):
        said = "is not a UUID (this looks like a repeated header row)"
        return Cell(cell.value, Finding("bad-leaf-user-id", said))
    return cell


def _check_field(  # noqa: PLR0917
    book: ChunkFindings, i: int, column: str, each: Field, provider: Provider, around: Surroundings
) -> pd.Series:
    cells = book.chunk.cells[i]
    book.mark_kinds(i, column)
    if each.kind is Kind.TEXT:
        values = book.judge(cells, suspicious_texts(cells), check_text, column)
        _check_encoding(book, cells, each, column, around.guessed_encoding)
    else:
        secret = each.secret and each.scope is Scope.GROWER
        rule = partial(check_token, formats=each.format, secret=secret)
        values = book.judge(cells, suspicious_tokens(cells, each.format), rule, column)
    blank = (values == "").to_numpy(bool)
    if blank.any():
        if each.required and not (each.scope is Scope.APP and each.name in around.set_fields):
            book.mark(blank, Finding(f"missing-{each.name}", "is empty"), column)
        if each.name in around.assumed:
            said = f"is blank, and {provider.setting(each)} is not set"
            book.warn(np.flatnonzero(blank).tolist(), [Finding("blank-setting", said)], column)
    if each.allowed:
        wrong = ~values.isin(["", *each.allowed]).to_numpy(bool)
        book.mark(wrong, Finding("bad-environment", f"is not {' or '.join(each.allowed)}"), column)
    return values


def _check_encoding(book: ChunkFindings, cells: pd.Series, each: Field, column: str, guessed: str) -> None:
    """Whether a text depends on an encoding that was only guessed."""
    if not guessed:
        return
    odd = not_ascii(cells)
    said = f"has letters that depend on the encoding, and {guessed} was only guessed"
    if each.secret:
        book.mark(odd, Finding("guessed-encoding", said), column)
    else:
        book.warn(np.flatnonzero(odd).tolist(), [Finding("guessed-encoding", said)], column)


def _same_as_id(tokens: pd.Series, ids: pd.Series) -> np.ndarray:
    """Where a token is the id of its row."""
    same: np.ndarray = (tokens.str.len() == ids.str.len()).to_numpy(bool) & (ids != "").to_numpy(bool)
    few = np.flatnonzero(same)
    if len(few):
        same[few] = (tokens.iloc[few].str.lower() == ids.iloc[few].str.lower()).to_numpy(bool)
    short = (tokens.str.len() == _HEX_DIGITS) & (ids.str.len() == UUID_LENGTH)
    few = np.flatnonzero(short.to_numpy(bool))
    if len(few):
        same[few] = (tokens.iloc[few].str.lower() == ids.iloc[few].str.lower().str.replace("-", "")).to_numpy(
            bool
        )
    return same


def _swapped(tokens: pd.Series, ids: pd.Series) -> np.ndarray:
    """Where the token is a UUID and the id is something else."""
    swapped: np.ndarray = _is_uuid(tokens) & ~_is_uuid(ids) & (ids != "").to_numpy(bool)
    return swapped


def _sample_names(cells: pd.Series) -> tuple[int, int]:
    sample = [text for text in cells.iloc[:_SAMPLE].tolist() if text and not stand_in(text)]
    return sum(map(looks_like_a_name, sample)), len(sample)


def merge_names(parts: Iterable[Mapping[str, tuple[int, int]]]) -> dict[str, tuple[int, int]]:
    """The counts of `Checked.names`, added up."""
    found: dict[str, tuple[int, int]] = {}
    for part in parts:
        for column, (like, examined) in part.items():
            before = found.get(column, (0, 0))
            found[column] = (before[0] + like, before[1] + examined)
    return found


def columns_of_names(names: Mapping[str, tuple[int, int]], row: int) -> pd.DataFrame:
    """A warning, as in `Checked`, for each column with mostly names instead of tokens; ``row``: its place."""
    said = "holds mostly names or plain words, not tokens; check that it is the right column"
    found = [
        (row, "looks-like-a-name", column, f"{column} {said}")
        for column, (like, examined) in names.items()
        if examined > 2 and like > examined / 2
    ]
    return pd.DataFrame(found, columns=["row", *SAID]) if found else NO_FINDINGS.copy(deep=False)


def id_words(ids: pd.Series) -> np.ndarray | None:
    """The ids as two numbers each, None if some are not UUIDs in the usual spelling."""
    return uuid_words(pa.array(ids, pa.large_string()))


def _is_uuid(cells: pd.Series) -> np.ndarray:
    return cells.str.contains(UUID_PATTERN, regex=True).to_numpy(bool)


# --- what is kept of a row --------------------------------------------------------------------------


def _checked(  # noqa: PLR0917
    chunk: Chunk,
    columns: Columns,
    provider: Provider,
    fingerprints: Fingerprints,
    book: ChunkFindings,
    cells: pd.DataFrame,
    words: np.ndarray | None,
) -> Checked:
    valid = book.fine
    payload = cells.drop(columns=LEAF_USER_ID)
    prints, digests = _fingerprints(payload if valid.all() else payload[valid], provider, fingerprints)
    ids = _shown_ids(cells[LEAF_USER_ID], valid)
    frame = {"row": pd.Series(chunk.numbers), "leafUserId": ids, "fingerprint": _hexed(prints, valid)}
    frame |= book.texts()
    for i, (name, _) in enumerate(columns.keep, start=len(columns.fields)):
        frame[KEPT_PREFIX + name] = chunk.cells[i]
    if words is None:
        words = id_words(ids[valid])
        assert words is not None  # noqa: S101  (the ids of valid rows are UUIDs)
    elif not valid.all():
        words = words[valid]
    table = pd.DataFrame(frame)
    return Checked(table, payload, words, prints, digests, book.warnings(), book.problems())


def _fingerprints(
    payload: pd.DataFrame, provider: Provider, fingerprints: Fingerprints
) -> tuple[np.ndarray, np.ndarray]:
    """Of the grower's fields, which the ledger knows a row by; and of all that the file says about it."""
    columns = {str(name): pa.array(payload[name], pa.large_string()) for name in payload}
    names = [f.name for f in provider.grower_fields]
    # An optional field without a column is the same as one that is left empty.
    blank = pa.repeat(pa.scalar("", pa.large_string()), len(payload))
    prints = fingerprints.of_columns([columns.get(name, blank) for name in names])
    if not columns.keys() - set(names):
        return prints, prints
    return prints, fingerprints.of_columns(list(columns.values()))


def _shown_ids(ids: pd.Series, valid: np.ndarray) -> pd.Series:
    """In lower case, and of what is not a UUID only what may be shown."""
    lower = ids.str.lower() if has_capitals(pa.array(ids, pa.large_string())) else ids
    wrong = np.flatnonzero(~valid)
    if not len(wrong):
        return lower
    texts = lower.tolist()
    for i in wrong:
        texts[i] = shown(texts[i])
    return pd.Series(texts, dtype="str")


def _hexed(prints: np.ndarray, valid: np.ndarray) -> pd.Series:
    """32 hex digits for each valid row, "" for the others."""
    digits = hex_texts(prints)
    if not valid.all():
        digits = digits.take(pa.array(np.cumsum(valid) - 1, mask=~valid)).fill_null("")
    return pd.Series(pd.array(digits, dtype="str"))
