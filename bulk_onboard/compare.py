"""What the ledger knows against what the file says: which rows are done, which are to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard import manifest
from bulk_onboard.growers import HEALTHS, Growers, State
from bulk_onboard.model import APP_CHANGED, ENVIRONMENT_CHANGED, IfExists, Status
from bulk_onboard.texts import repeated
from bulk_onboard.validation.fingerprints import ENVIRONMENT_HALF


class NewTokens(NamedTuple):
    """Rows with another token than the ledger knows of their grower; its fingerprint (uint64)."""

    rows: np.ndarray
    prints: np.ndarray


class Compared(NamedTuple):
    """``table`` is the manifest's frame. ``open_lines``: its lines whose grower has an open intent.

    ``new_tokens``: by provider, "" in a file that names none.
    """

    table: pd.DataFrame
    open_lines: np.ndarray
    new_tokens: Mapping[str, NewTokens]


class Keys(NamedTuple):
    """What rows are compared by: ``ids`` and ``prints`` (rows x 2) of the valid rows, ``apps`` of all rows.

    ``apps`` (uint64) are the marks of the applications.
    """

    ids: np.ndarray
    prints: np.ndarray
    apps: np.ndarray


def compare(frame: pd.DataFrame, keys: Keys, known: Growers, if_exists: IfExists) -> Compared:
    """Judge one checked chunk.

    ``frame`` has a line per row with ``row, leafUserId, fingerprint, code, message`` and kept columns. Rows
    with a code are invalid; rows whose grower is done get ``existing``; rows to do an empty status. Growers
    that are connected with other secrets or another application than the row's, or with unknown secrets, are
    existing or to do, as ``if_exists`` says.
    """
    valid = np.flatnonzero((frame["code"] == "").to_numpy(bool))
    at = known.find(keys.ids)
    met = at >= 0
    lines, at, prints = valid[met], at[met], keys.prints[met, 0]
    states = known.states[at]
    done = states != State.OPEN
    unseen = done & (known.prints[at] == 0) & (states == State.DONE)
    moved, in_environment = _moved(known.apps[at], keys.apps[lines])
    moved &= done
    changed = done & ~unseen & ~moved & ((known.prints[at] != prints) | (states == State.TOKEN_CHANGED))
    if if_exists in {IfExists.OVERWRITE, IfExists.REPLACE}:
        done &= ~(changed | unseen | moved | (states == State.GONE))
    elif if_exists is IfExists.FAIL:
        done &= ~(changed | moved)
    kept = [name for name in frame.columns if name.startswith(manifest.KEPT_PREFIX)]
    told = _told(keys.apps, lines[done & ~moved], at[done & ~moved], known)
    status = _text(len(frame), (_but(valid, len(frame)), Status.INVALID), (lines[done], Status.EXISTING))
    code = _over(
        frame["code"],
        (lines[done & ~changed & ~unseen & ~moved], "already-onboarded"),
        (lines[done & unseen & ~moved], "already-connected"),
        (lines[done & changed], "token-changed"),
        (lines[done & moved & in_environment], ENVIRONMENT_CHANGED),
        (lines[done & moved & ~in_environment], APP_CHANGED),
    )
    columns = {name: frame[name] for name in ("row", "leafUserId", "fingerprint")}
    columns |= {"status": status, "code": code, "message": frame["message"]}
    columns |= told | {name: frame[name] for name in kept}
    new = np.ones(len(valid), bool)
    new[np.flatnonzero(met)[known.prints[at] == prints]] = False
    new_tokens = NewTokens(frame["row"].to_numpy(np.int64)[valid[new]], keys.prints[new, 0])
    return Compared(pd.DataFrame(columns, copy=False), lines[states == State.OPEN], {"": new_tokens})


def rows_with_tokens_of_others(found: Sequence[NewTokens], known: Growers) -> np.ndarray:
    """Return the rows whose token the ledger knows of another grower."""
    if not (found and len(known)):
        return np.empty(0, np.int64)
    rows, prints = (np.concatenate(parts) for parts in zip(*found, strict=True))
    others: np.ndarray = rows[(prints != 0) & np.isin(prints, known.prints)]
    return others


def _moved(known: np.ndarray, apps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where credentials were stored with another application, as far as that is known; and environment."""
    differing = known ^ apps
    return (known != 0) & (differing != 0), (differing & np.uint64(ENVIRONMENT_HALF)) != 0


def _but(lines: np.ndarray, rows: int) -> np.ndarray:
    """All lines but these."""
    left = np.ones(rows, bool)
    left[lines] = False
    return np.flatnonzero(left)


def _text(rows: int, *parts: tuple[np.ndarray, str]) -> pd.Series:
    """One text for these lines, another for those, "" for the rest."""
    for lines, text in parts:
        if len(lines) == rows:  # as in most chunks of most nights
            return _series(repeated(str(text), rows))
    words = pa.array(["", *(str(text) for _, text in parts)], pa.large_string())
    which = np.zeros(rows, np.int64)
    for number, (lines, _) in enumerate(parts, 1):
        which[lines] = number
    return _series(words.take(pa.array(which)))


def _over(column: pd.Series, *parts: tuple[np.ndarray, str]) -> pd.Series:
    """A column with other texts in these lines."""
    count = sum(len(lines) for lines, _ in parts)
    if not count:
        return column
    texts = _text(len(column), *parts)
    if count == len(column):
        return texts
    return texts.where(texts != "", column)


def _told(apps: np.ndarray, lines: np.ndarray, at: np.ndarray, known: Growers) -> dict[str, pd.Series]:
    """What the ledger says of the rows that are done: health and its time, credential's id, application."""
    rows, apps = len(apps), apps.copy()
    apps[lines] = known.apps[at]
    healths, where = np.zeros(rows, np.uint8), np.full(rows, -1, np.int64)
    checked = np.zeros(rows, np.int64)
    checked[lines] = known.checked[at]
    healths[lines], where[lines] = known.healths[at], at
    names = pa.array(HEALTHS, pa.large_string()).take(pa.array(healths))
    held = known.credential_texts(pa.array(where, mask=where < 0))
    if rows and (apps == apps[0]).all():  # as in most files
        texts = repeated(str(int(apps[0].view(np.int64))), rows)
    else:
        marks, which = np.unique(apps.view(np.int64), return_inverse=True)
        texts = pa.array([str(mark) for mark in marks.tolist()], pa.large_string()).take(pa.array(which))
    told = {"health": _series(names), "credentialId": _series(held), "app": _series(texts)}
    return told | {manifest.CHECKED: pd.Series(checked)}


def _series(texts: pa.Array) -> pd.Series:
    return pd.Series(pd.array(texts, dtype="str"), copy=False)
