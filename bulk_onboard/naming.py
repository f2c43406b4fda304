"""Rows that name their grower by an externalId or an email: filled in with the id that the ledger knows.

Who is not known yet gets a stand-in, a UUID made of the key. So rows are compared with each other as if they
all had ids, however far apart they are; a stand-in never leaves this program. Pure; in columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.domain.chunk import Chunk
from bulk_onboard.domain.users import UserKey
from bulk_onboard.listing import Ids, indexed
from bulk_onboard.texts import repeated, uuid_texts, uuid_words
from bulk_onboard.validation.cells import cleaned
from bulk_onboard.validation.check import Checked
from bulk_onboard.validation.cleaning import clean
from bulk_onboard.validation.columns import LEAF_USER_ID, Columns
from bulk_onboard.validation.findings import ChunkFindings
from bulk_onboard.validation.fingerprints import Fingerprints
from bulk_onboard.validation.user_columns import check_users

_UUID_LENGTH = 36
_NONE = np.empty((0, 2), np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class KnownUsers:
    """Whose user is whose: keys to be found, and at the same place the UUIDs (rows x 2)."""

    keys: Ids
    ids: np.ndarray


def known_users(parts: Iterable[tuple[Sequence[bytes], Sequence[str]]]) -> KnownUsers:
    """Columns of keys and ids, as the ledger has them."""
    keys, ids = [_NONE], [_NONE]
    for some, whose in parts:
        keys.append(np.frombuffer(b"".join(some), np.uint64).reshape(-1, 2))
        words = uuid_words(pa.array(whose, pa.large_string()))
        assert words is not None  # noqa: S101  (only UUIDs are ever written)
        ids.append(words)
    found, order = indexed(np.concatenate(keys))
    return KnownUsers(found, np.concatenate(ids)[order])


class Unnamed(NamedTuple):
    """The lines of a chunk whose grower has no id yet.

    ``stand_ins``: rows x 2; ``told``: the cells of the users' columns, cleaned.
    """

    lines: np.ndarray
    stand_ins: np.ndarray
    told: pd.DataFrame


class Named(NamedTuple):
    """A chunk whose rows have ids or stand-ins, as far as they tell whose they are.

    ``keys``: of all rows by externalId and by email, lines x 2, zeros for none. ``problems`` and
    ``warnings``: of the cells that unnamed rows go by, as in `Checked`.
    """

    chunk: Chunk
    unnamed: Unnamed
    keys: Mapping[UserKey, np.ndarray]
    problems: pd.DataFrame
    warnings: pd.DataFrame


class Naming:
    """Fills in the ids of one file's rows.

    ``columns`` are the file's; in a chunk the users' cells stand after all others, in their order.
    ``known`` is called once, when the first id is looked for.
    """

    def __init__(self, columns: Columns, fingerprints: Fingerprints, known: Callable[[], KnownUsers]) -> None:
        self._columns, self._fingerprints, self._load = columns, fingerprints, known
        self._known: KnownUsers | None = None

    @property
    def checked(self) -> Columns:
        """The columns of a chunk that has been named: a file without ids has a column for them by then."""
        columns = self._columns
        if LEAF_USER_ID in columns.fields:
            return columns
        by = next(by for by in UserKey if by in columns.users)
        return replace(
            columns,
            fields={LEAF_USER_ID: columns.users[by], **columns.fields},
            names={LEAF_USER_ID: columns.user_names[by], **columns.names},
        )

    def name(self, chunk: Chunk) -> Named:
        """Fill in the ids of one chunk."""
        has_ids = LEAF_USER_ID in self._columns.fields
        ids = chunk.cells[0] if has_ids else pd.Series(repeated("", len(chunk.numbers)), dtype="str")
        first = chunk.cells.shape[1] - len(self._columns.users)
        at = {name: first + i for i, name in enumerate(self._columns.users)}
        keys = {by: self._keys(by, chunk.cells[at[by]]) for by in UserKey if by in at}
        key, number = self._first_key(chunk, keys, at)
        lines = np.flatnonzero(_blank(ids) & key.any(axis=1))
        found = self._find(key[lines])
        found[number[lines]] = -1  # digits may be lost, so that it would be somebody else's
        unknown = found < 0
        words = key[lines]
        words[~unknown] = self._known_ids(found[~unknown])
        unnamed, problems, warnings = self._told(chunk, lines[unknown], words[unknown])
        filled = _with_ids(chunk, ids, lines, words, insert=not has_ids)
        return Named(filled, unnamed, keys, problems, warnings)

    def _keys(self, by: UserKey, cells: pd.Series) -> np.ndarray:
        """Zeros where there is nothing. An email is the same in any case of letters."""
        column = pa.array(cleaned(cells), pa.large_string())
        if by is UserKey.EMAIL:
            column = pc.utf8_lower(column)
        keys = self._fingerprints.of_columns([repeated(by.value, len(column)), column]).copy()
        keys[pc.equal(column, "").to_numpy(zero_copy_only=False)] = 0
        return keys

    def _first_key(
        self, chunk: Chunk, keys: Mapping[UserKey, np.ndarray], at: Mapping[str, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """What each row goes by, the externalId if there is one, and whether that was no text."""
        key, number = np.zeros((len(chunk.numbers), 2), np.uint64), np.zeros(len(chunk.numbers), bool)
        for by, of in keys.items():
            empty = ~key.any(axis=1)
            key[empty] = of[empty]
            number[empty] = chunk.kinds[empty, at[by]]
        return key, number

    def _find(self, keys: np.ndarray) -> np.ndarray:
        if not len(keys):
            return np.empty(0, np.int64)
        if self._known is None:
            self._known = self._load()
        return self._known.keys.find(keys).astype(np.int64)

    def _known_ids(self, at: np.ndarray) -> np.ndarray:
        return self._known.ids[at] if self._known is not None else _NONE

    def _told(
        self, chunk: Chunk, lines: np.ndarray, stand_ins: np.ndarray
    ) -> tuple[Unnamed, pd.DataFrame, pd.DataFrame]:
        """What the unnamed rows tell of their growers, and what is wrong with it."""
        findings = ChunkFindings(chunk.numbers)
        cells = check_users(findings, chunk, self._columns, lines)
        return Unnamed(lines, stand_ins, cells), findings.problems(), findings.warnings()


def named(checked: Checked, names: Named) -> Checked:
    """What was checked with stand-ins, without them; and without the rows whose users' cells are wrong."""
    frame, problems = checked.frame, names.problems
    shown = frame["leafUserId"].tolist()
    for line in names.unnamed.lines.tolist():
        shown[line] = ""
    frame = frame.assign(leafUserId=pd.Series(shown, dtype="str"))
    if not len(problems):
        return replace(checked, frame=frame, warnings=_by_row([checked.warnings, names.warnings]))
    valid = (frame["code"] == "").to_numpy(bool)
    first = problems.drop_duplicates("row")
    lines = np.searchsorted(frame["row"].to_numpy(np.int64), first["row"].to_numpy(np.int64))
    fresh = valid[lines]
    for name in ("code", "column", "message"):
        cells = frame[name].tolist()
        for line, text in zip(lines[fresh].tolist(), first.loc[fresh, name], strict=True):
            cells[line] = text
        frame = frame.assign(**{name: pd.Series(cells, dtype="str")})
    frame.loc[lines[fresh], "fingerprint"] = ""
    stays = (frame["code"] == "").to_numpy(bool)[valid]
    prints = checked.prints[stays]
    same = checked.digests is checked.prints
    return replace(
        checked,
        frame=frame,
        ids=checked.ids[stays],
        prints=prints,
        digests=prints if same else checked.digests[stays],
        warnings=_by_row([checked.warnings, names.warnings]),
        problems=_by_row([checked.problems, problems]),
    )


def _with_ids(chunk: Chunk, ids: pd.Series, lines: np.ndarray, words: np.ndarray, *, insert: bool) -> Chunk:
    """The chunk with these ids (rows x 2) in these lines, in a column of their own if there is none."""
    filled = uuid_texts(np.ascontiguousarray(words))
    if len(lines) == len(ids):
        column = pd.Series(filled.to_pandas(), dtype="str")
    else:
        which = np.full(len(ids), -1, np.int64)
        which[lines] = np.arange(len(lines))
        taken = filled.take(pa.array(which, mask=which < 0))
        column = pd.Series(pc.coalesce(taken, pa.array(ids, pa.large_string())).to_pandas(), dtype="str")
    if not insert:
        return replace(chunk, cells=pd.concat([column.rename(0), chunk.cells.iloc[:, 1:]], axis=1))
    cells = pd.concat([column, chunk.cells], axis=1).set_axis(range(chunk.cells.shape[1] + 1), axis=1)
    text = np.zeros((len(ids), 1), bool)
    return replace(chunk, cells=cells, kinds=np.hstack([text, chunk.kinds]))


def _blank(ids: pd.Series) -> np.ndarray:
    """Where there is nothing, or only what is taken off a value."""
    blank = np.array(ids == "", bool)
    short = np.flatnonzero(~blank & (ids.str.len() < _UUID_LENGTH).to_numpy(bool))
    for line in short.tolist():
        blank[line] = not clean(ids.iloc[line])[0]
    return blank


def _by_row(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    return pd.concat(filled or [tables[0]]).sort_values("row", kind="stable", ignore_index=True)
