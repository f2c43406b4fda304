"""What the ledger knows against what the file says: which rows are done, which are to do. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard import manifest
from bulk_onboard.growers import HEALTHS, Growers, State
from bulk_onboard.model import IfExists, Status
from bulk_onboard.texts import repeated


class Compared(NamedTuple):
    """``table`` is the manifest's frame. ``open_lines``: its lines whose grower has an open intent."""

    table: pd.DataFrame
    open_lines: np.ndarray


def compare(
    frame: pd.DataFrame, ids: np.ndarray, prints: np.ndarray, known: Growers, if_exists: IfExists
) -> Compared:
    """Judge one checked chunk.

    ``frame`` has a line per row with ``row, leafUserId, fingerprint, code, message`` and kept columns;
    ``ids`` and ``prints`` (rows x 2) are those of its valid rows. Rows with a code are invalid; rows whose
    grower is done get ``existing``; rows to do an empty status. Of growers that are connected, but with other
    secrets than the file's, or with nobody knows which, it is up to ``if_exists`` whether they are done.
    """
    valid = np.flatnonzero((frame["code"] == "").to_numpy(bool))
    at = known.find(ids)
    met = at >= 0
    lines, at, prints = valid[met], at[met], prints[met, 0]
    states = known.states[at]
    done = states != State.OPEN
    unseen = done & (known.prints[at] == 0) & (states == State.DONE)
    changed = done & ~unseen & ((known.prints[at] != prints) | (states == State.TOKEN_CHANGED))
    if if_exists in {IfExists.OVERWRITE, IfExists.REPLACE}:
        done &= ~(changed | unseen | (states == State.GONE))
    elif if_exists is IfExists.FAIL:
        done &= ~changed
    kept = [name for name in frame.columns if name.startswith(manifest.KEPT_PREFIX)]
    told = _told(len(frame), lines[done], at[done], known)
    status = _text(len(frame), (_but(valid, len(frame)), Status.INVALID), (lines[done], Status.EXISTING))
    code = _over(
        frame["code"],
        (lines[done & ~changed & ~unseen], "already-onboarded"),
        (lines[done & unseen], "already-connected"),
        (lines[done & changed], "token-changed"),
    )
    columns = {name: frame[name] for name in ("row", "leafUserId", "fingerprint")}
    columns |= {"status": status, "code": code, "message": frame["message"]}
    columns |= told | {name: frame[name] for name in kept}
    return Compared(pd.DataFrame(columns, copy=False), lines[states == State.OPEN])


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


def _told(rows: int, lines: np.ndarray, at: np.ndarray, known: Growers) -> dict[str, pd.Series]:
    """What the ledger says of the rows that are done: their health and their credential's id."""
    healths, where = np.zeros(rows, np.uint8), np.full(rows, -1, np.int64)
    healths[lines], where[lines] = known.healths[at], at
    names = pa.array(HEALTHS, pa.large_string()).take(pa.array(healths))
    held = known.credential_texts(pa.array(where, mask=where < 0))
    return {"health": _series(names), "credentialId": _series(held)}


def _series(texts: pa.Array) -> pd.Series:
    return pd.Series(pd.array(texts, dtype="str"), copy=False)
