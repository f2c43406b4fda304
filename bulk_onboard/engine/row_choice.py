"""The rows that a run processes, and their order: rows that no run has attempted before come first."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bulk_onboard.policy.stop_rules import EarlierAttempt, earlier_attempt

if TYPE_CHECKING:
    from bulk_onboard.engine.first_pass import FirstPass, Memory

_NAMES = ("row", "leafUserId", "fingerprint", "app")


def both(rows: np.ndarray, some: Collection[int] | np.ndarray) -> np.ndarray:
    """Return the rows (ascending) that are among the others."""
    return rows[np.isin(rows, _array(some))]


def without(rows: np.ndarray, some: Collection[int] | np.ndarray) -> np.ndarray:
    """Return the rows (ascending) without the others."""
    return rows[~np.isin(rows, _array(some))]


def _array(rows: Collection[int] | np.ndarray) -> np.ndarray:
    return rows if isinstance(rows, np.ndarray) else np.fromiter(rows, np.int64, len(rows))


def attempted_before(memory: Memory, scope: int, lines: pd.DataFrame) -> Iterator[tuple[int, EarlierAttempt]]:
    """Yield which of these rows, which are to do, an earlier run attempted with the same content."""
    known = memory.known(scope, lines["leafUserId"].tolist()) if len(lines) else {}
    for number, grower, fingerprint, app in zip(*(lines[name] for name in _NAMES), strict=True):
        if (entry := known.get(grower)) is None:
            continue
        attempt = earlier_attempt(entry.status, (entry.fingerprint, entry.app), (fingerprint, int(app)))
        if attempt is not EarlierAttempt.NONE:
            yield int(number), attempt


def in_order(first_pass: FirstPass) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to do that did not fail before with the same content, and those that did."""
    failed = [row for row, how in first_pass.known.earlier.items() if how is EarlierAttempt.FAILED]
    return without(first_pass.wanted, failed), both(first_pass.wanted, failed)


def attempted(first_pass: FirstPass) -> np.ndarray:
    """Return the rows to do that an earlier run attempted with the same content, ascending."""
    return both(first_pass.wanted, first_pass.known.earlier.keys())


def canary_of(first_pass: FirstPass, rows: int) -> np.ndarray:
    """Return the first ``rows`` rows to do that no run has attempted before."""
    return without(first_pass.wanted, attempted(first_pass))[:rows]


def within_limit(first_pass: FirstPass, limit: int) -> np.ndarray:
    """Return the rows to do that a run with this limit takes, ascending.

    Growers that were left without credentials come first, and rows that failed before last.
    """
    urgent, (fresh, failed) = first_pass.left_without, in_order(first_pass)
    return np.sort(np.concatenate([urgent, without(fresh, urgent), without(failed, urgent)])[:limit])
