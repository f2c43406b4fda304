"""What the ledger knows of all growers of a Leaf and provider: columns, so that a million cost little. Pure.

Growers are told apart by the 128 bits of their UUID, secrets by the first 64 of their keyed fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.model import NOT_AS_ASKED, Health, Status
from bulk_onboard.texts import SHORT, UUIDS, hex_words, short_words, uuid_words

# Multiplying by an odd number loses nothing, so key and first word together are the whole UUID.
_ODD = np.uint64(0x9E3779B97F4A7C15)
_UUID = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NO_PRINT = "0" * 32
_PRINT = re.compile(r"[0-9a-f]{32}")
HEALTHS = ("", *(health.value for health in Health))


class State(IntEnum):
    """What the newest entry of a grower comes to. Everybody else has to be done (again)."""

    DONE = 0
    TOKEN_CHANGED = 1  # connected, but with another token than the file had
    OPEN = 2  # it is not known whether a POST was stored
    TO_DO = 3
    GONE = 4  # was connected, but the last check found that Leaf holds nothing any more


def _keys(ids: np.ndarray) -> np.ndarray:
    return ids[:, 0] ^ (ids[:, 1] * _ODD)


@dataclass(frozen=True, slots=True, eq=False)
class Growers:
    """A line for each grower, sorted by key.

    ``keys`` and ``words`` (uint64) are the UUID, ``prints`` (uint64) the fingerprint, ``apps`` (uint64) the
    mark of the application (0: not known), ``states`` a `State` and ``healths`` a position in `HEALTHS`
    (uint8), ``checked`` (int64) when the health was checked, in milliseconds since 1970 (0: never),
    ``credential_ids`` text, or 16 bytes each if all are UUIDs. ``longest``: how many
    growers share a key at most.
    """

    keys: np.ndarray
    words: np.ndarray
    prints: np.ndarray
    apps: np.ndarray
    states: np.ndarray
    healths: np.ndarray
    checked: np.ndarray
    credential_ids: pa.Array
    longest: int = 1

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, ids: np.ndarray) -> np.ndarray:
        """Where these growers (rows x 2) are, -1 for those that are not known."""
        found = np.full(len(ids), -1, np.int64)
        if not len(self):
            return found
        keys = _keys(ids)
        # Looking for them in their order, one is near the other, which is several times as fast.
        order = np.argsort(keys)
        first = np.empty(len(keys), np.int64)
        first[order] = np.searchsorted(self.keys, keys[order])
        for step in range(self.longest):
            at = np.minimum(first + step, len(self) - 1)
            hit = (self.keys[at] == keys) & (self.words[at] == ids[:, 0])
            found[hit] = at[hit]
        return found

    def credential_texts(self, at: pa.Array) -> pa.Array:
        """The ids of the credentials at these positions, as text; "" where there is none."""
        found = self.credential_ids.take(at)
        if found.type == SHORT:
            return UUIDS.long(found)
        return pc.fill_null(found.cast(pa.large_string()), "")

    def with_newer(self, newer: Growers) -> Growers:
        """These, but for whom ``newer`` knows of, what that says. Who is to do again is left out."""
        if not len(newer) or not (len(self) or (newer.states == State.TO_DO).any()):
            return newer if len(newer) else self
        at, added = self.find(_ids(newer)), np.flatnonzero(newer.states != State.TO_DO)
        still = np.ones(len(self), bool)
        still[at[at >= 0]] = False
        kept = np.flatnonzero(still)
        # Both are sorted, so the ones only have to be put between the others.
        places = np.searchsorted(self.keys[kept], newer.keys[added])
        order = np.insert(np.arange(len(kept)), places, len(kept) + np.arange(len(added)))
        columns = [
            np.concatenate([getattr(self, name)[kept], getattr(newer, name)[added]])[order]
            for name in _NUMBERS
        ]
        texts = [self.credential_ids.take(pa.array(kept)), newer.credential_ids.take(pa.array(added))]
        return _of(columns, _alike(texts).take(pa.array(order)))


_NUMBERS = ("keys", "words", "prints", "apps", "states", "healths", "checked")
_TYPES = (np.uint64, np.uint64, np.uint64, np.uint64, np.uint8, np.uint8, np.int64)


def nobody() -> Growers:
    """An empty ledger's."""
    return _of([np.empty(0, kind) for kind in _TYPES], pa.chunked_array([], pa.string()))


class GrowerColumns(NamedTuple):
    """Columns of entries; ``apps`` are signed numbers of 64 bits, ``checked`` times (none: never)."""

    ids: Sequence[str]
    prints: Sequence[str]
    apps: Sequence[int]
    states: Sequence[State]
    healths: Sequence[str]
    credential_ids: Sequence[str]
    checked: Sequence[str] = ()


def growers(found: GrowerColumns) -> Growers:
    """Columns of entries, the oldest first; of several entries of one grower the last one counts.

    An id that is no UUID is nobody's. What is no fingerprint is equal to none.
    """
    found = found._replace(checked=found.checked or [""] * len(found.ids))
    ids, prints, apps, states, healths, credential_ids, checked = found
    wide = uuid_words(pa.array(ids, pa.large_string()))
    if wide is None:  # one by one only where it must be
        good = [i for i, one in enumerate(ids) if _UUID.fullmatch(one)]
        return growers(GrowerColumns(*([column[i] for i in good] for column in found)))  # type: ignore[arg-type]
    told = hex_words(pa.array(prints, pa.large_string()))
    if told is None:
        told = hex_words(pa.array(map(_digits, prints), pa.large_string()))
    assert told is not None  # noqa: S101  (the pattern is what makes words)
    columns = [
        _keys(wide),
        wide[:, 0],
        told[:, 0],
        np.array(apps, np.int64).view(np.uint64),
        np.array(states, np.uint8),
        np.array([HEALTHS.index(health) for health in healths], np.uint8),
        milliseconds(checked),
    ]
    return _latest(columns, _alike([_short(pa.array(credential_ids, pa.string()))]))


def milliseconds(times: Sequence[str]) -> np.ndarray:
    """Times as the ledger writes them -> milliseconds since 1970 (int64), 0 for none."""
    texts = pa.array(times, pa.string())
    moments = pc.if_else(pc.equal(texts, ""), None, texts).cast(pa.timestamp("ms", "UTC"))
    return np.asarray(pc.fill_null(moments.cast(pa.int64()), 0).to_numpy(zero_copy_only=False), np.int64)


def time_texts(moments: np.ndarray) -> pa.Array:
    """Milliseconds since 1970 -> times as the ledger writes them, "" for 0."""
    texts = pa.array(moments, pa.int64()).cast(pa.timestamp("ms")).cast(pa.large_string())
    texts = pc.replace_substring(texts, " ", "T")
    z, nothing = (pa.scalar(text, pa.large_string()) for text in ("Z", ""))
    return pc.if_else(pa.array(moments != 0), pc.binary_join_element_wise(texts, z, nothing), nothing)


def _digits(text: str) -> str:
    return text if _PRINT.fullmatch(text) else _NO_PRINT


def together(parts: Sequence[Growers]) -> Growers:
    """One after the other, the oldest first; of several lines of one grower the last one counts."""
    if len(parts) < 2:
        return parts[0] if parts else nobody()
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in _NUMBERS]
    return _latest(columns, _alike([part.credential_ids for part in parts]))


_CONNECTED = pa.array([Status.CREATED.value, Status.EXISTING.value])
_NOT_CONNECTED = pa.array([Status.REJECTED.value, Status.FAILED.value, Status.NOT_ATTEMPTED.value])


def of_current(found: pa.Table) -> Growers:
    """What the current states of growers (see `Ledger.current`) come to; those to be done are left out."""
    status, code = pc.fill_null(found["status"], Status.UNRESOLVED.value), found["code"]
    changed = pc.fill_null(pc.equal(found["fingerprint"], bytes(16)), False)
    done = pc.and_not(pc.is_in(status, _CONNECTED), pc.is_in(code, pa.array(NOT_AS_ASKED)))
    is_left = pc.and_(pc.not_equal(found["deleting"], ""), pc.is_in(status, _NOT_CONNECTED))
    is_open = pc.or_(pc.equal(status, Status.UNRESOLVED.value), is_left)
    cases = {
        State.OPEN: is_open,
        State.TO_DO: pc.invert(done),
        State.TOKEN_CHANGED: changed,
        State.GONE: pc.equal(code, "credentials-gone"),
    }
    states = pc.case_when(pc.make_struct(*cases.values()), *(int(case) for case in cases), int(State.DONE))
    kept = pc.not_equal(states, State.TO_DO)
    found, states = found.filter(kept).combine_chunks(), states.filter(kept)
    if not len(found):
        return nobody()
    ids = short_words(found["id"].chunk(0))
    prints = short_words(pc.fill_null(found["fingerprint"], bytes(16)).combine_chunks())
    columns = [
        _keys(ids),
        ids[:, 0],
        prints[:, 0],
        found["app"].to_numpy().view(np.uint64),
        states.to_numpy(),
        pc.index_in(found["health"], pa.array(HEALTHS)).to_numpy().astype(np.uint8),
        milliseconds(found["health_checked_at"].chunk(0)),
    ]
    return _latest(columns, _alike([_short(found["credential_id"].chunk(0))]))


def _latest(columns: list[np.ndarray], credential_ids: pa.ChunkedArray) -> Growers:
    """Sorted, and the last line only of each grower."""
    keys, words = columns[:2]
    order = np.lexsort((words, keys))  # stable: lines of one grower stay as they were
    keys, words = keys[order], words[order]
    last = np.ones(len(order), bool)
    last[:-1] = (keys[1:] != keys[:-1]) | (words[1:] != words[:-1])
    order = order[last]
    return _of([column[order] for column in columns], credential_ids.take(pa.array(order)))


def _of(columns: list[np.ndarray], credential_ids: pa.ChunkedArray) -> Growers:
    texts = credential_ids.combine_chunks() if credential_ids.num_chunks != 1 else credential_ids.chunk(0)
    if isinstance(texts, pa.ChunkedArray):
        texts = pa.array([], texts.type)
    keys = columns[0]
    longest = 1
    if (keys[1:] == keys[:-1]).any():
        longest = int(np.unique(keys, return_counts=True)[1].max())
    numbers = dict(zip(_NUMBERS, columns, strict=True))
    return Growers(**numbers, credential_ids=texts, longest=longest)


def _short(texts: pa.Array) -> pa.Array:
    """16 bytes each if all of them are UUIDs in lower case, else as they are."""
    short = UUIDS.short(texts)
    return texts if short is None or short.null_count else short


def _alike(parts: list[pa.Array]) -> pa.ChunkedArray:
    """Parts of one kind: short if all are."""
    filled = [part for part in parts if len(part)]
    if filled and all(part.type == SHORT for part in filled):
        return pa.chunked_array(filled, SHORT)
    texts = [UUIDS.long(part).cast(pa.string()) if part.type == SHORT else part for part in filled]
    return pa.chunked_array(texts, pa.string())


def _ids(known: Growers) -> np.ndarray:
    """The UUIDs again: the second word is what the odd number made of it, undone."""
    return np.stack([known.words, (known.keys ^ known.words) * _UNDO], axis=1)


# The inverse of the odd number modulo 2^64.
_UNDO = np.uint64(pow(int(_ODD), -1, 1 << 64))
