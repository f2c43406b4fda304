"""An index of a run's growers for its page: it answers what became of a grower whose id the reader enters.

It holds no ids: a grower is six bytes of the SHA-256 of its id, which the page computes from what is entered.
"""

from __future__ import annotations

import base64
import hashlib
from itertools import groupby
from typing import Any

import pandas as pd

from bulk_onboard.report import wording

# Growers that the index may hold; results.csv has all.
MOST = 50_000
# Characters that a grower takes in the index.
WIDTH = 10
_KEY_BYTES = 6
# Outcomes are numbered in 12 bits. Beyond this many they are told without their codes.
_MOST_OUTCOMES = 4_000


def key_of(leaf_user_id: str) -> bytes:
    """Return the key of a grower, which the page computes in the same way."""
    return hashlib.sha256(leaf_user_id.lower().encode()).digest()[:_KEY_BYTES]


class Lookup:
    """Collects the first growers of a run, page by page."""

    def __init__(self) -> None:
        self._outcomes: dict[str, int] = {}
        self._lines: list[tuple[int, str]] = []
        self.left_out = 0

    def add(self, page: pd.DataFrame) -> None:
        """Take a page of results."""
        known = page[page["leafUserId"] != ""]
        wanted = known.head(MOST - len(self._lines))
        self.left_out += len(known) - len(wanted)
        columns = (wanted[name].tolist() for name in ("row", "leafUserId", "status", "health", "code"))
        for row, grower, status, health, code in zip(*columns, strict=True):
            number = self._number(status, health, code)
            line = key_of(grower) + bytes([0, *divmod(number, 256)])
            text = base64.b64encode(line).decode()
            self._lines.append((int(row), text[:8] + text[10:]))

    def _number(self, status: str, health: str, code: str) -> int:
        told = ", ".join(filter(None, (wording.status(status), health)))
        if code and len(self._outcomes) < _MOST_OUTCOMES:
            told += f" ({code[:80]})"
        return self._outcomes.setdefault(told, len(self._outcomes))

    def shown(self, room: int) -> dict[str, Any]:
        """Return what the page holds, in no more than about ``room`` characters.

        ``lines``: of each grower 8 characters of its key and 2 of the number of its outcome, in base64.
        ``rows``: pairs of a row number and how many consecutive rows begin there.
        """
        kept = self._lines[: max(0, room) // WIDTH]
        runs = [list(found) for _, found in groupby(enumerate(kept), lambda pair: pair[1][0] - pair[0])]
        return {
            "outcomes": list(self._outcomes),
            "rows": [[found[0][1][0], len(found)] for found in runs],
            "lines": "".join(text for _, text in kept),
            "growers": len(kept),
            "leftOut": self.left_out + len(self._lines) - len(kept),
        }
