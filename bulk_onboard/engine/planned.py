"""Carrying out a plan: the rows that it says are sent, and the rest is left out with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bulk_onboard import manifest
from bulk_onboard.decide import Policy, Progress, Step, first
from bulk_onboard.engine.onboard import Guide
from bulk_onboard.engine.survey import Memory, Survey
from bulk_onboard.entry import Entry
from bulk_onboard.header import PROVIDER
from bulk_onboard.listing import words
from bulk_onboard.model import IfExists, Row, Status, Verdict
from bulk_onboard.plan import Plan, Planned, kept_to, print_words

_LEFT_OUT = {
    Planned.NOTHING: ("not-in-plan", ""),
    Planned.EXISTING: ("not-in-plan", "existing when the plan was made, and not asked about again"),
    Planned.CHANGED: ("plan-outdated", "the row has another token than when the plan was made"),
}


def restricted(
    found: Survey, plan: Plan, memory: Memory, run: tuple[int, int], provider: str
) -> tuple[Survey, frozenset[int]]:
    """The survey without the rows that the plan leaves out, and the numbers of those that it replaces.

    ``run``: its number and its scope's; ``provider``: of a file that tells none. What is left out becomes an
    entry of no grower: the ledger learns nothing of it.
    """
    (run_no, scope), kept, replaces = run, [np.empty(0, np.int64)], set[int]()
    for _, _, data in memory.blocks(run_no):
        table = manifest.unpack(data)
        table = table[np.isin(table["row"].to_numpy(np.int64), found.wanted, assume_unique=True)]
        says = _says(table, plan, provider)
        rows = table["row"].to_numpy(np.int64)
        kept.append(rows[(says == Planned.CREATE) | (says == Planned.REPLACE)])
        replaces.update(rows[says == Planned.REPLACE].tolist())
        memory.write(run_no, scope, [], _left_out(rows, says))
    return replace(found, wanted=np.concatenate(kept)), frozenset(replaces)


def _says(table: pd.DataFrame, plan: Plan, provider: str) -> np.ndarray:
    """A `Planned` for each line."""
    says = np.zeros(len(table), np.uint8)
    names = table[PROVIDER].to_numpy() if PROVIDER in table else np.full(len(table), provider)
    for name in np.unique(names.astype(str)):
        at = np.flatnonzero(names == name)
        lines = table.iloc[at]
        says[at] = plan.of(
            name, words(lines["leafUserId"].tolist()), print_words(lines["fingerprint"].tolist())
        )
    return says


def _left_out(rows: np.ndarray, says: np.ndarray) -> Iterator[Entry]:
    for row, said in zip(rows.tolist(), says.tolist(), strict=True):
        if (reason := _LEFT_OUT.get(Planned(said))) is not None:
            status = Status.EXISTING if said == Planned.EXISTING else Status.NOT_ATTEMPTED
            yield Entry(row=row, status=status.value, code=reason[0], message=reason[1])


@dataclass(frozen=True, slots=True)
class KeepingTo:
    """Guides rows as ``inner`` does, but no further than the plan goes. ``replaces``: numbers of rows."""

    inner: Guide
    replaces: frozenset[int]
    mode: IfExists

    def begin(self, row: Row, policy: Policy) -> Step:
        """Where the row starts; its end, if the world is known to have changed."""
        start = first(policy, row.open_intent, row.stored_as)
        return self._kept_to(row, self.inner.begin(row, policy), start)

    def review(self, row: Row, progress: Progress, verdict: Verdict, step: Step) -> Step:
        """The step, or the row's end if the plan did not foresee it."""
        return self._kept_to(row, self.inner.review(row, progress, verdict, step), progress)

    def _kept_to(self, row: Row, step: Step, before: Progress) -> Step:
        return kept_to(row, step, before, replaces=row.number in self.replaces, mode=self.mode)
