"""Whose credentials are shown: the tables of the module, line by line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.model import Absent, Credential, Echo, Exists, Intent, Payload, Recorded, Row
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.policy.ownership import Owner, as_recorded, is_old, is_same, owner_of_reply, owner_of_shown
from bulk_onboard.policy.progress import Action, Progress, first
from bulk_onboard.policy.retry import Policy

NOW = datetime(2026, 11, 23, 12, 0, 0, 400_000, tzinfo=UTC)
OLD = Credential("old", "OK", NOW - timedelta(days=9), Echo.UNKNOWN, "2026-11-14T12:00:00.400000Z")
LOST = Progress(Action.ASK, suspect=True, posted=NOW, unanswered=NOW, old=OLD, absent_before=True)
POSTED = Progress(Action.POST, posted=NOW, absent_before=True, old=OLD)
SAME, DIFFERENT, HIDDEN = Echo.SAME, Echo.DIFFERENT, Echo.UNKNOWN
DAYS = -9 * 86_400.0


def shown(
    app: Echo, token: Echo, seconds: float | None, name: str = "new", *, cut: bool = False
) -> Credential:
    created = None if seconds is None else NOW + timedelta(seconds=seconds)
    if created and cut:
        created = created.replace(microsecond=0)
    text = f"{created:%Y-%m-%dT%H:%M:%S.%fZ}" if created else ""
    return Credential(name, "OK", created, token, text, app)


@pytest.mark.parametrize(
    ("credential", "owner"),
    [
        (shown(DIFFERENT, SAME, 1), Owner.NOT_OURS),
        (shown(DIFFERENT, HIDDEN, None), Owner.NOT_OURS),
        (shown(SAME, SAME, 1), Owner.OURS),
        (shown(HIDDEN, SAME, None), Owner.OURS),
        (shown(HIDDEN, SAME, -99), Owner.OURS),
        (shown(SAME, DIFFERENT, 1), Owner.PROBABLY_OURS),
        (shown(HIDDEN, HIDDEN, 1), Owner.PROBABLY_OURS),
        (shown(SAME, DIFFERENT, -2), Owner.PROBABLY_OURS),  # clocks differ by a second or two
        (shown(SAME, DIFFERENT, -3), Owner.NOT_OURS),
        (shown(HIDDEN, HIDDEN, -3), Owner.NOT_OURS),
        (shown(SAME, DIFFERENT, None), Owner.UNCLEAR),
        (shown(SAME, HIDDEN, None), Owner.UNCLEAR),
        (shown(HIDDEN, DIFFERENT, DAYS, "old"), Owner.NOT_OURS),
        (shown(HIDDEN, HIDDEN, None, "old"), Owner.NOT_OURS),
    ],
)
def test_ownership_of_credentials_found_after_a_lost_post(credential: Credential, owner: Owner) -> None:
    assert owner_of_shown(credential, LOST) is owner


@pytest.mark.parametrize(
    ("credential", "owner"),
    [
        (shown(DIFFERENT, SAME, 1), Owner.NOT_OURS),
        (shown(DIFFERENT, DIFFERENT, None), Owner.NOT_OURS),
        (shown(SAME, SAME, 1), Owner.OURS),
        (shown(HIDDEN, SAME, -99), Owner.OURS),  # updated in place
        (shown(HIDDEN, HIDDEN, None), Owner.OURS),
        (shown(HIDDEN, HIDDEN, 1), Owner.OURS),
        (shown(HIDDEN, HIDDEN, -1), Owner.OURS),
        (shown(HIDDEN, HIDDEN, -99), Owner.NOT_OURS),
        (shown(SAME, DIFFERENT, 0), Owner.OURS),  # Leaf refreshes tokens itself
        (shown(SAME, DIFFERENT, 0, cut=True), Owner.OURS),
        (shown(SAME, DIFFERENT, -1), Owner.PROBABLY_OURS),
        (shown(SAME, DIFFERENT, -3), Owner.NOT_OURS),
        (shown(SAME, DIFFERENT, None), Owner.PROBABLY_OURS),
        (shown(HIDDEN, DIFFERENT, DAYS, "old"), Owner.NOT_OURS),
        (shown(HIDDEN, HIDDEN, None, "old"), Owner.NOT_OURS),
    ],
)
def test_ownership_of_credentials_in_a_reply(credential: Credential, owner: Owner) -> None:
    assert owner_of_reply(credential, POSTED) is owner


def test_another_user_name_is_never_ours() -> None:
    for seconds in (-1, 1, None):
        foreign = replace(shown(SAME, DIFFERENT, seconds), other_account=True)
        assert owner_of_shown(foreign, LOST) is Owner.NOT_OURS
        assert owner_of_reply(foreign, POSTED) is Owner.NOT_OURS


def test_a_reply_without_a_time_and_a_look_before_is_unclear() -> None:
    overwriting = POSTED._replace(absent_before=False, old=None)
    assert owner_of_reply(shown(SAME, DIFFERENT, None), overwriting) is Owner.UNCLEAR


def test_a_reply_counts_from_the_first_post_that_got_no_answer() -> None:
    second = POSTED._replace(unanswered=NOW - timedelta(seconds=60))
    assert owner_of_reply(shown(SAME, DIFFERENT, -50), second) is Owner.OURS


@given(st.sampled_from(Echo), st.sampled_from(Echo), st.none() | st.floats(-1e6, 1e6), st.sampled_from("ab"))
def test_without_a_post_of_ours_nothing_is_ours(
    app: Echo, token: Echo, seconds: float | None, name: str
) -> None:
    asked = Progress(Action.ASK, absent_before=True)
    assert owner_of_shown(shown(app, token, seconds, name), asked) is Owner.NOT_OURS
    other_secrets = first(Policy(), Intent(NOW, same=False))
    assert owner_of_shown(shown(app, token, seconds, name), other_secrets) is Owner.NOT_OURS


@pytest.mark.parametrize(
    ("recorded", "seen", "same"),
    [
        ("2026-11-14T12:00:00.400000Z", OLD.created_time, True),
        ("2026-11-14T12:00:00.000Z", OLD.created_time, True),  # cut
        ("2026-11-14T12:00:02.000Z", OLD.created_time, False),
        ("", OLD.created_time, False),
        ("2026-11-14T12:00:00.400000Z", "", False),
        ("", "", False),
    ],
)
def test_credentials_are_recognised_across_runs_by_id_and_time_only(
    recorded: str, seen: str, same: bool
) -> None:
    found = replace(OLD, created_time=seen)
    assert is_same(found, "old", recorded) is same
    assert not is_same(found, "other", recorded)
    assert is_old(found, first(Policy(), Intent(None, True, "old", recorded))) is same


def test_within_a_run_the_id_is_enough_where_leaf_shows_no_time() -> None:
    assert is_old(replace(OLD, created_time=""), POSTED)
    assert not is_old(replace(OLD, created_time=to_text(NOW)), POSTED)


def row(recorded: Recorded | None) -> Row:
    return Row(2, "raven", "a-grower", Payload({}), "fp", stored_as=recorded)


@pytest.mark.parametrize(
    ("recorded", "app", "expected"),
    [
        (Recorded("old", OLD.created_time, other_app=True), HIDDEN, DIFFERENT),
        (Recorded("old", OLD.created_time, other_app=True), SAME, SAME),
        (Recorded("old", OLD.created_time), HIDDEN, HIDDEN),
        (Recorded("new", OLD.created_time, other_app=True), HIDDEN, HIDDEN),
        (Recorded("old", "", other_app=True), HIDDEN, HIDDEN),
        (None, HIDDEN, HIDDEN),
    ],
)
def test_a_hidden_application_is_the_recorded_one(
    recorded: Recorded | None, app: Echo, expected: Echo
) -> None:
    verdict = as_recorded(Exists(replace(OLD, app=app)), row(recorded))
    assert isinstance(verdict, Exists)
    assert verdict.credential == replace(OLD, app=expected)
    assert as_recorded(Absent(), row(recorded)) == Absent()
