"""A rollback's decisions: only what the run stored is deleted, and the end of a row is the truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import (
    Absent,
    Ambiguous,
    Credential,
    Echo,
    Exists,
    IfExists,
    Log,
    Payload,
    Refused,
    RollbackStatus,
    Throttled,
    Transient,
    Verdict,
)
from bulk_onboard.policy.progress import Action, Gone, Progress, deleting
from bulk_onboard.policy.retry import Moment, Next, Policy
from bulk_onboard.policy.rollback import Ended, Removal, first, known_outcome, rollback_policy, stopped, undo

POLICY = rollback_policy(Policy())
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EARLY, SETTLED, LATE = Moment(0.5, 0.5), Moment(100.0, 0.5), Moment(700.0, 0.5)
OURS, STRANGE = (Credential(name, "OK", NOW, Echo.UNKNOWN) for name in ("ours", "strange"))
LOST = Ambiguous("connection-lost")
# The reply before showed other credentials, too.
ASKING = first(POLICY, Removal(2, "raven", "g-1", "ours"))._replace(seen="strange")
KEEPING = ASKING._replace(action=Action.SAVE_LOG, old=OURS)
DELETING = deleting(KEEPING._replace(action=Action.DELETE, log_saved=True))
UNSURE = DELETING._replace(action=Action.ASK, gone=Gone.MAYBE, settles_at=30.0)
BEGUN = {"asking": ASKING, "keeping": KEEPING, "deleting": DELETING, "unsure": UNSURE}
A, U = Action, RollbackStatus
TABLE: list[tuple[str, Verdict | Log, Moment, tuple[RollbackStatus, str] | Action]] = [
    ("asking", Exists(OURS), EARLY, A.SAVE_LOG),
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


def _next(step: Ended | Next) -> tuple[RollbackStatus, str] | Action:
    return (step.status, step.code) if isinstance(step, Ended) else step.progress.action


@pytest.mark.parametrize(("state", "verdict", "moment", "expected"), TABLE)
def test_every_verdict_in_every_state_of_a_rollback_has_one_next_step(
    state: str, verdict: Verdict | Log, moment: Moment, expected: tuple[RollbackStatus, str] | Action
) -> None:
    assert _next(undo(BEGUN[state], verdict, POLICY, moment)) == expected


@pytest.mark.parametrize("progress", [ASKING, KEEPING, UNSURE])
def test_a_dry_run_only_asks(progress: Progress) -> None:
    verdict = Log(()) if progress is KEEPING else Exists(OURS)
    assert undo(progress, verdict, POLICY, SETTLED, dry_run=True) == Ended(RollbackStatus.WOULD_DELETE)


def test_an_interrupted_rollback_is_verified() -> None:
    begun = first(POLICY, Removal(2, "raven", "g-1", "ours", maybe_deleted=True))
    assert _next(undo(begun, Absent(), POLICY, EARLY)) is Action.ASK
    assert _next(undo(begun, Absent(), POLICY, SETTLED)) == (RollbackStatus.DELETED, "settled-by-asking")
    assert stopped(begun, "interrupted").status is RollbackStatus.UNRESOLVED
    assert stopped(ASKING, "interrupted").status is RollbackStatus.NOT_ATTEMPTED


RECORDED = "2026-11-23T12:00:00.000000Z"
STORED = Entry(2, "created", credential_id="c-1", credential_created=RECORDED)


@pytest.mark.parametrize(
    ("entry", "earlier", "code"),
    [
        (STORED, None, ""),
        (STORED, STORED._replace(status="unresolved"), ""),
        (STORED, STORED._replace(status="deleted"), "already-rolled-back"),
        (STORED._replace(credential_id=""), None, "no-credential-id"),
        (STORED._replace(credential_created=""), None, "unproven"),
        (STORED._replace(unproven=1), None, "unproven"),
    ],
)
def test_unproven_credentials_stay_unless_included(entry: Entry, earlier: Entry | None, code: str) -> None:
    known = known_outcome(entry, earlier, include_unproven=False)
    included = known_outcome(entry, earlier, include_unproven=True)
    assert (known.code if known else "") == code
    assert (included.code if included else "") == ("" if code == "unproven" else code)
    statuses = {
        "already-rolled-back": RollbackStatus.DELETED,
        "no-credential-id": RollbackStatus.FAILED,
        "unproven": RollbackStatus.NOT_ATTEMPTED,
    }
    assert (known.status if known else None) == statuses.get(code)


def test_a_rollback_deletes_healthy_credentials() -> None:
    assert (POLICY.if_exists, POLICY.replace_healthy) == (IfExists.REPLACE, True)


@pytest.mark.parametrize(
    ("shown", "deletes"),
    [
        (Credential("ours", "OK", NOW, Echo.UNKNOWN, RECORDED), True),
        (Credential("ours", "OK", NOW, Echo.UNKNOWN, "2026-11-23T12:00:05.000000Z"), False),
        (Credential("ours", "OK", None, Echo.UNKNOWN), False),
        (Credential("other", "OK", NOW, Echo.UNKNOWN, RECORDED), False),
    ],
)
def test_a_rollback_deletes_only_what_has_the_id_and_the_time_that_were_recorded(
    shown: Credential, deletes: bool
) -> None:
    begun = first(POLICY, Removal(2, "raven", "g-1", "ours", credential_created=RECORDED))
    step = undo(begun._replace(seen=shown.id), Exists(shown), POLICY, EARLY)
    assert isinstance(step, Next) is deletes
    if not deletes:
        assert step == Ended(
            RollbackStatus.CHANGED, "credentials-changed", "Leaf now holds other credentials; they stay"
        )


def test_credentials_of_others_are_recognised_by_app_fields() -> None:
    for app in (Payload({"clientId": "app"}), None):
        begun = first(POLICY, Removal(2, "raven", "g-1", "ours", credential_created=RECORDED, app=app))
        shown = replace(OURS, created_time=RECORDED, app=Echo.DIFFERENT if app else Echo.UNKNOWN)
        assert isinstance(undo(begun, Exists(shown), POLICY, EARLY), Ended if app else Next)
        same = replace(shown, app=Echo.SAME)
        assert isinstance(undo(begun, Exists(same), POLICY, EARLY), Next)
