"""A rollback's decisions: only what the run stored is deleted, and the end of a row is the truth."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bulk_onboard.model import (
    Absent,
    Ambiguous,
    Credential,
    Echo,
    Exists,
    Log,
    Refused,
    Throttled,
    Transient,
    Undone,
    Verdict,
)
from bulk_onboard.policy.progress import Action, Gone, Moment, Next, Policy, Progress, deleting
from bulk_onboard.policy.rollback import Ended, Removal, first, policy_to_undo, stopped, undo

POLICY = policy_to_undo(Policy())
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EARLY, SETTLED, LATE = Moment(0.5, 0.5), Moment(100.0, 0.5), Moment(700.0, 0.5)
OURS, STRANGE = (Credential(name, "OK", NOW, Echo.UNKNOWN) for name in ("ours", "strange"))
LOST = Ambiguous("connection-lost")
ASKING = first(POLICY, Removal(2, "raven", "g-1", "ours"))
KEEPING = ASKING._replace(action=Action.KEEP, old=OURS)
DELETING = deleting(KEEPING._replace(action=Action.DELETE, kept=True))
UNSURE = DELETING._replace(action=Action.ASK, gone=Gone.MAYBE, settles_at=30.0)
BEGUN = {"asking": ASKING, "keeping": KEEPING, "deleting": DELETING, "unsure": UNSURE}
A, U = Action, Undone
TABLE: list[tuple[str, Verdict | Log, Moment, tuple[Undone, str] | Action]] = [
    ("asking", Exists(OURS), EARLY, A.KEEP),
    ("asking", Exists(STRANGE), EARLY, (U.CHANGED, "credentials-changed")),
    ("asking", Absent(), EARLY, (U.GONE, "already-gone")),
    ("asking", Absent(bare=True, usual=False), EARLY, A.ASK),
    ("asking", Refused("login-forbidden"), EARLY, (U.FAILED, "login-forbidden")),
    ("asking", Throttled(3.0), EARLY, A.ASK),
    ("asking", Transient("dns-failure"), LATE, (U.FAILED, "dns-failure")),
    ("keeping", Log(()), EARLY, A.DELETE),
    ("keeping", LOST, EARLY, A.ASK),
    ("keeping", Absent(), EARLY, A.ASK),
    ("deleting", Absent(), EARLY, (U.DELETED, "")),
    ("deleting", Refused("leaf:no"), EARLY, (U.FAILED, "leaf:no")),
    ("deleting", Throttled(3.0), EARLY, A.ASK),
    ("deleting", LOST, LATE, A.ASK),
    ("unsure", Absent(), EARLY, A.ASK),
    ("unsure", Absent(), SETTLED, (U.DELETED, "settled-by-asking")),
    ("unsure", Exists(OURS), EARLY, A.ASK),
    ("unsure", Exists(OURS), SETTLED, A.DELETE),
    ("unsure", Exists(STRANGE), SETTLED, (U.CHANGED, "credentials-changed")),
    ("unsure", LOST, LATE, (U.UNRESOLVED, "connection-lost")),
    ("unsure", Refused("login-forbidden"), EARLY, (U.UNRESOLVED, "login-forbidden")),
]


def _next(step: Ended | Next) -> tuple[Undone, str] | Action:
    return (step.status, step.code) if isinstance(step, Ended) else step.progress.action


@pytest.mark.parametrize(("state", "verdict", "moment", "expected"), TABLE)
def test_every_verdict_in_every_state_of_a_rollback_has_one_next_step(
    state: str, verdict: Verdict | Log, moment: Moment, expected: tuple[Undone, str] | Action
) -> None:
    assert _next(undo(BEGUN[state], verdict, POLICY, moment)) == expected


@pytest.mark.parametrize("progress", [ASKING, KEEPING, UNSURE])
def test_a_dry_run_only_asks(progress: Progress) -> None:
    verdict = Log(()) if progress is KEEPING else Exists(OURS)
    assert undo(progress, verdict, POLICY, SETTLED, dry_run=True) == Ended(Undone.WOULD_DELETE)


def test_what_an_earlier_rollback_began_is_settled_by_asking() -> None:
    begun = first(POLICY, Removal(2, "raven", "g-1", "ours", begun=True))
    assert _next(undo(begun, Absent(), POLICY, EARLY)) is Action.ASK
    assert _next(undo(begun, Absent(), POLICY, SETTLED)) == (Undone.DELETED, "settled-by-asking")
    assert stopped(begun, "interrupted").status is Undone.UNRESOLVED
    assert stopped(ASKING, "interrupted").status is Undone.NOT_ATTEMPTED
