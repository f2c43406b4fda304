"""Carrying out a plan: the rows that it says are sent, and the rest is left out with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bulk_onboard import manifest
from bulk_onboard.ascending import lines_of
from bulk_onboard.engine.onboard_row import Guide
from bulk_onboard.engine.rows_to_check import rows_unknown
from bulk_onboard.engine.scan import Scan
from bulk_onboard.engine.survey import Memory, Survey
from bulk_onboard.entry import Entry
from bulk_onboard.listing import words
from bulk_onboard.model import IfExists, Log, Recorded, Row, Status, Verdict
from bulk_onboard.plan import OUTDATED, Plan, Planned, kept_to, outdated, print_words
from bulk_onboard.policy.checks import Check
from bulk_onboard.policy.progress import Progress, Step, first
from bulk_onboard.policy.retry import Next, Policy
from bulk_onboard.validation.columns import PROVIDER

_AGAIN = "when the plan was made, and not asked about again"
_LEFT_OUT = {
    Planned.NOTHING: (Status.NOT_ATTEMPTED, "not-in-plan", ""),
    Planned.EXISTING: (Status.EXISTING, "not-in-plan", f"existing {_AGAIN}"),
    Planned.REJECTED: (Status.REJECTED, "not-in-plan", f"rejected {_AGAIN}"),
    Planned.NO_SUCH_USER: (Status.REJECTED, "no-such-user", f"no such user {_AGAIN}"),
    Planned.CHANGED: (
        Status.NOT_ATTEMPTED,
        OUTDATED,
        "the row has another token than when the plan was made",
    ),
}


def restricted(
    found: Survey, plan: Plan, memory: Memory, run: tuple[int, int], provider: str, *, checked: bool
) -> tuple[Survey, dict[int, Recorded]]:
    """The survey without the rows that the plan leaves out, and by row the credentials that it replaces.

    ``run``: its number and its scope's; ``provider``: of a file that tells none. What is left out becomes an
    entry of no grower: the ledger learns nothing of it. ``checked``: events are, so who was connected when
    the plan was made is left to that check, which finds out whether it is still true.
    """
    (run_no, scope), kept, replaces = run, [np.empty(0, np.int64)], dict[int, Recorded]()
    connected = [np.empty(0, np.int64)]
    for _, _, data in memory.blocks(run_no):
        table = manifest.unpack(data)
        table = table.iloc[lines_of(table["row"].to_numpy(np.int64), found.wanted)]
        says = _says(table, plan, provider)
        rows = table["row"].to_numpy(np.int64)
        kept.append(rows[(says == Planned.CREATE) | (says == Planned.REPLACE)])
        replaces.update(_replaced(table[says == Planned.REPLACE], plan, provider))
        if checked:
            connected.append(rows[says == Planned.EXISTING])
            rows, says = rows[says != Planned.EXISTING], says[says != Planned.EXISTING]
        memory.write(run_no, scope, [], _left_out(rows, says))
    wanted, planned = np.concatenate(kept), np.concatenate(connected)
    return replace(found, wanted=wanted, connected=planned), replaces


def rows_planned(scan: Scan, found: Survey) -> Iterator[Check]:
    """The rows that a plan says are connected, to see whether they still are."""
    if len(found.connected):
        for check in rows_unknown(scan, replace(found, wanted=found.connected)):
            entry = check.entry._replace(code=OUTDATED, message=outdated(Status.EXISTING, "none"))
            yield check._replace(entry=entry)


def _replaced(table: pd.DataFrame, plan: Plan, provider: str) -> Iterator[tuple[int, Recorded]]:
    """The rows of these lines with the credentials that the plan replaces."""
    for name, lines in table.groupby(PROVIDER) if PROVIDER in table else [(provider, table)]:
        if len(lines):
            held = plan.replaced(str(name), words(lines["leafUserId"].tolist()))
            yield from zip(lines["row"].tolist(), held, strict=True)


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
            status, code, message = reason
            yield Entry(row=row, status=status.value, code=code, message=message)


@dataclass(frozen=True, slots=True)
class KeepingTo:
    """Guides rows as ``inner`` does, but no further than the plan goes.

    ``replaces``: by row, the credentials that the plan says are replaced.
    """

    inner: Guide
    replaces: Mapping[int, Recorded]
    mode: IfExists

    def begin(self, row: Row, policy: Policy) -> Step:
        """Where the row starts; its end, if the world is known to have changed."""
        start = first(policy, row.open_intent, row.stored_as)
        if row.number in self.replaces:
            return Next(start)  # what is replaced is looked at singly
        return self._kept_to(row, self.inner.begin(row, policy), start)

    def review(self, row: Row, progress: Progress, verdict: Verdict | Log, step: Step) -> Step:
        """The step, or the row's end if the plan did not foresee it."""
        return self._kept_to(row, self.inner.review(row, progress, verdict, step), progress)

    def _kept_to(self, row: Row, step: Step, before: Progress) -> Step:
        return kept_to(row, step, before, replaces=self.replaces.get(row.number), mode=self.mode)
