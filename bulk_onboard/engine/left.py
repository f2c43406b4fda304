"""What is left to do of rows that were read through before, perhaps by a process that has died.

All of it is in the ledger: what the input held, what repeats or contradicts other rows, what has been done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from bulk_onboard import manifest
from bulk_onboard.engine.survey import Memory, Survey, by_scope, open_intents, stored_before
from bulk_onboard.model import IfExists, Intent, Recorded, Status


def left_to_do(
    memory: Memory,
    run_no: int,
    scope: int,
    *,
    if_exists: IfExists,
    scopes: Mapping[str, int],
) -> Survey:
    """The rows that have no outcome yet; of an intent without one, Leaf is asked first.

    ``statuses`` counts the rows that nothing is to be done about, and those that are done.
    """
    statuses: Counter[Status] = Counter()
    rows, wanted = 0, [np.empty(0, np.int64)]
    intents: dict[int, Intent] = {}
    stored: dict[int, Recorded] = {}
    for table, ended in _tables(memory, run_no):
        rows += len(table)
        settled = table["row"].map(ended).fillna(table["status"])
        statuses.update({Status(str(name)): int(n) for name, n in settled.value_counts().items() if name})
        lines = table[(settled == "").to_numpy(bool)]
        wanted.append(lines["row"].to_numpy(np.int64))
        for each, mine in by_scope(lines, scope, scopes):
            intents.update(open_intents(memory, each, mine))
            if if_exists is IfExists.REPLACE:
                stored.update(stored_before(memory, each, mine))
    return Survey(rows, np.concatenate(wanted), intents, dict(statuses), {}, stored=stored)


def _tables(memory: Memory, run_no: int) -> Iterator[tuple[pd.DataFrame, dict[int, str]]]:
    """What the input held, a block at a time, and the outcomes of its rows so far."""
    for first, last, data in memory.blocks(run_no):
        entries = memory.entries(run_no, first, last)
        yield manifest.unpack(data), {entry.row: entry.status for entry in entries if entry.status}
