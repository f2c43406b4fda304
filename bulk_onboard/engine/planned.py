"""Carrying out a plan: the rows that it says are sent, and the rest is left out with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bulk_onboard.engine.onboard_row import Guide
from bulk_onboard.engine.row_choice import both
from bulk_onboard.engine.rows_to_check import rows_unknown
from bulk_onboard.engine.scan import Scan
from bulk_onboard.engine.survey import Survey
from bulk_onboard.model import IfExists, Log, Recorded, Row, Status, Verdict
from bulk_onboard.plan import OUTDATED, Plan, kept_to, outdated
from bulk_onboard.policy.checks import Check
from bulk_onboard.policy.progress import Progress, Step, first
from bulk_onboard.policy.retry import Next, Policy

NOT_IN_PLAN = "not-in-plan"
_AGAIN = "when the plan was made, and not asked about again"
# What becomes of rows that a plan says something of, but not that they are sent: status, code, message.
_LEFT_OUT = {
    NOT_IN_PLAN: (Status.NOT_ATTEMPTED, NOT_IN_PLAN, ""),
    Status.EXISTING.value: (Status.EXISTING, NOT_IN_PLAN, f"existing {_AGAIN}"),
    Status.REJECTED.value: (Status.REJECTED, NOT_IN_PLAN, f"rejected {_AGAIN}"),
    Status.NO_SUCH_USER.value: (Status.REJECTED, "no-such-user", f"no such user {_AGAIN}"),
    "changed": (Status.NOT_ATTEMPTED, OUTDATED, "the row has another token than when the plan was made"),
}


def restricted(found: Survey, plan: Plan, *, checked: bool) -> tuple[Survey, dict[int, Recorded]]:
    """The survey without the rows that the plan leaves out, and by row the credentials that it replaces.

    ``checked``: events are, so rows whose grower was connected when the plan was made are left to that check,
    which finds out whether it is still true.
    """
    said = found.workspace.planned(plan.lines).to_pandas()
    rows = {str(name): lines["row"].to_numpy(np.int64) for name, lines in said.groupby("says")}
    replaced = said[said["says"] == Status.WOULD_REPLACE.value]
    held = map(Recorded, replaced["credential_id"], replaced["credential_created"])
    none = np.empty(0, np.int64)
    sent = [rows.get(status.value, none) for status in (Status.WOULD_CREATE, Status.WOULD_REPLACE)]
    connected = rows.pop(Status.EXISTING.value, none) if checked else none
    for says, outcome in _LEFT_OUT.items():
        found.workspace.mark(rows.get(says, none), outcome)
    wanted = both(found.wanted, np.concatenate(sent))
    found = replace(found, wanted=wanted, connected=both(found.wanted, connected))
    return found, dict(zip(replaced["row"].tolist(), held, strict=True))


def rows_planned(scan: Scan, found: Survey) -> Iterator[Check]:
    """The rows that a plan says are connected, to see whether they still are."""
    if len(found.connected):
        for check in rows_unknown(scan, replace(found, wanted=found.connected)):
            entry = check.entry._replace(code=OUTDATED, message=outdated(Status.EXISTING, "none"))
            yield check._replace(entry=entry)


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
