"""The columns by which rows without a leafUserId identify their Leaf user: externalId, email, name and more.

A row without a leafUserId gets a stand-in, a UUID that is a keyed fingerprint of its externalId or else its
email. So rows are compared as if all of them had ids. A stand-in is never shown and never sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.domain.chunk import CellKind, Chunk, text_column
from bulk_onboard.domain.users import USER_FIELDS, UserKey
from bulk_onboard.validation.cells import check_cells, clean_cells, read_column, uuid_texts
from bulk_onboard.validation.columns import LEAF_USER_ID, Columns
from bulk_onboard.validation.findings import ChunkFindings
from bulk_onboard.validation.fingerprints import Fingerprints
from bulk_onboard.validation.rules import Finding

_EMAIL = r"^[^@\s]+@[^@\s]+$"
_KEY = pa.binary(16)


@dataclass(frozen=True, slots=True)
class UserRows:
    """How the rows of a chunk identify their Leaf users.

    ``ids``: the cells for leafUserId, with a stand-in in unresolved rows. ``unresolved``: a mask of the rows
    that have no leafUserId but an externalId or an email. ``keys``: by column, keyed fingerprints (rows x 2,
    uint64; zeros for none) by which a user can be recognised; ``key``: the one that counts, of the externalId
    if there is one. ``numbers``: the row numbers.
    """

    numbers: np.ndarray
    ids: pd.Series
    unresolved: np.ndarray
    keys: Mapping[UserKey, np.ndarray]
    key: np.ndarray

    def unknown(self, known: np.ndarray) -> np.ndarray:
        """Return the lines of unresolved rows with an unknown user. ``known``: see `known_keys`."""
        first = self.key[:, 0]
        at = np.minimum(np.searchsorted(known, first), len(known) - 1)
        return np.flatnonzero(self.unresolved & (known[at] != first) if len(known) else self.unresolved)

    def table(self) -> pa.Table:
        """Return row, external and email of the rows with a key; the latter 16 bytes each, null for none."""
        columns = {"row": pa.array(self.numbers)}
        for name, by in (("external", UserKey.EXTERNAL_ID), ("email", UserKey.EMAIL)):
            blobs = pa.Array.from_buffers(_KEY, len(self.numbers), [None, pa.py_buffer(self.keys[by])])
            filled = pa.array(self.keys[by].any(axis=1))
            columns[name] = pc.if_else(filled, blobs, pa.scalar(None, _KEY)).cast(pa.binary())
        some = self.keys[UserKey.EXTERNAL_ID].any(axis=1) | self.keys[UserKey.EMAIL].any(axis=1)
        return pa.table(columns).filter(pa.array(some))


class UserCells(NamedTuple):
    """How a row identifies its user: its number, its keys (as in `UserRows`) and its filled cells."""

    row: int
    keys: tuple[bytes, ...]
    cells: Mapping[str, str]


def read_users(chunk: Chunk, columns: Columns, fingerprints: Fingerprints) -> UserRows:
    """Return how the rows of a chunk identify their users; the user columns are its last columns, in order.

    A key that is not text has no fingerprint in an unresolved row: digits may be lost, so that it could be
    another user's.
    """
    size, places = len(chunk.numbers), user_places(chunk, columns)
    keys = {by: np.zeros((size, 2), np.uint64) for by in UserKey}
    for by in UserKey:
        if by in places:
            keys[by] = _keys(by, chunk.cells[places[by]], fingerprints)
    fields = list(columns.fields)
    ids = chunk.cells[fields.index(LEAF_USER_ID)] if LEAF_USER_ID in fields else text_column([""] * size)
    key, is_text = np.zeros((size, 2), np.uint64), np.ones(size, bool)
    for by in UserKey:
        first = ~key.any(axis=1) & keys[by].any(axis=1)
        key[first] = keys[by][first]
        is_text[first] = by not in places or chunk.kinds[first, places[by]] == CellKind.TEXT
    unresolved = (clean_cells(ids) == "").to_numpy(bool) & key.any(axis=1)
    if unresolved.any():
        cells = ids.to_numpy(object, copy=True)
        cells[unresolved] = uuid_texts(key[unresolved]).to_numpy(zero_copy_only=False)
        ids = text_column(pa.array(cells, pa.large_string()))
    for of in (*keys.values(), key):
        of[unresolved & ~is_text] = 0
    return UserRows(chunk.numbers, ids, unresolved, keys, key)


def known_keys(keys: pa.ChunkedArray) -> np.ndarray:
    """Return the first halves of keys of 16 bytes (uint64), ascending, to recognise known users by."""
    blobs = [chunk.cast(_KEY) for chunk in keys.chunks if len(chunk)]
    words = [
        np.frombuffer(blob.buffers()[1], np.uint64)[2 * blob.offset :][: 2 * len(blob)] for blob in blobs
    ]
    return np.sort(np.concatenate([np.empty(0, np.uint64), *words])[::2])


def check_users(findings: ChunkFindings, chunk: Chunk, columns: Columns, lines: np.ndarray) -> pd.DataFrame:
    """Check the user cells at these lines, and return them as they are sent, a column per field."""
    cells: dict[str, pd.Series] = {}
    for name, place in user_places(chunk, columns).items():
        column = read_column(findings, chunk, place, lines, columns.user_names[name])
        cells[name] = check_cells(findings, column, "user")
        if name == UserKey.EMAIL:
            wrong = ~cells[name].str.contains(_EMAIL, regex=True) & (cells[name] != "")
            bad = Finding("bad-email", "is not an email address")
            findings.add(lines[wrong.to_numpy(bool)], bad, column.header)
    return pd.DataFrame(cells, index=range(len(lines)))


def user_cells(chunk: Chunk, columns: Columns, fingerprints: Fingerprints) -> Iterator[UserCells]:
    """Yield how each row of a chunk identifies its user."""
    users = read_users(chunk, columns, fingerprints)
    cells = check_users(ChunkFindings(chunk.numbers), chunk, columns, np.arange(len(chunk.numbers)))
    for i, line in enumerate(cells[[name for name in USER_FIELDS if name in cells]].to_dict("records")):
        keys = tuple(of[i].tobytes() for of in users.keys.values() if of[i].any())
        filled = {str(name): text for name, text in line.items() if text}
        yield UserCells(int(chunk.numbers[i]), keys, filled)


def user_places(chunk: Chunk, columns: Columns) -> dict[str, int]:
    """Return where the user columns are among the columns of a chunk: they are its last ones."""
    first = chunk.cells.shape[1] - len(columns.users)
    return {name: first + i for i, name in enumerate(columns.users)}


def _keys(by: UserKey, cells: pd.Series, fingerprints: Fingerprints) -> np.ndarray:
    """Return the fingerprints of a column; letter case does not matter in an email."""
    texts = clean_cells(cells)
    if by is UserKey.EMAIL:
        texts = texts.str.lower()
    keys = fingerprints.of_columns([pa.array(f"{by}=" + texts, pa.large_string())])
    keys[(texts == "").to_numpy(bool)] = 0
    return keys
