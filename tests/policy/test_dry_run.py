"""A dry run goes the way of a run, and stops at the brink of every change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.model import (
    Absent,
    Credential,
    Echo,
    Exists,
    IfExists,
    Intent,
    Log,
    Refused,
    Status,
    Verdict,
)
from bulk_onboard.domain.run_events import Estimate
from bulk_onboard.policy.credentials import decide
from bulk_onboard.policy.dry_run import asking, before_change, forecast
from bulk_onboard.policy.progress import Action, Finish, Progress, Step, first
from bulk_onboard.policy.retry import Moment, Next, Policy
from bulk_onboard.policy.user_list import begin
from tests.support.fakes import row
from tests.support.virtual_time import BEGINNING

MODES = st.sampled_from(IfExists)
INTENTS = st.sampled_from([None, Intent(BEGINNING), Intent(BEGINNING, same=False)])
CREDENTIALS = [Credential("c-1", "OK", None, echo) for echo in Echo]
ANSWERS = st.sampled_from([Absent(), *map(Exists, CREDENTIALS), Refused("no-such-user"), Refused("leaf:no")])


def ends(mode: IfExists, intent: Intent | None, answers: list[Verdict]) -> Step:
    """What a dry run comes to for a row, given these answers to its questions."""
    policy, given_row = asking(Policy(if_exists=mode)), row(intent=intent)
    step = before_change(
        given_row,
        begin(given_row, first(policy, given_row.open_intent, given_row.stored_as), None, policy),
        mode,
    )
    for answer in answers:
        if not isinstance(step, Next):
            break
        asks = step.progress.action is Action.ASK
        assert asks or step.progress.action is Action.SAVE_LOG, "a dry run only asks"
        verdict: Verdict | Log = answer if asks else Log(())
        step = before_change(given_row, decide(step.progress, verdict, policy, Moment(1e6, 0.5)), mode)
    return step


@given(MODES, INTENTS, st.lists(ANSWERS, min_size=1, max_size=4))
def test_a_dry_run_only_reads(mode: IfExists, intent: Intent | None, answers: list[Verdict]) -> None:
    match ends(mode, intent, answers):
        case Finish(status):
            assert status is not Status.CREATED
        case Next(progress):
            assert progress.action in {Action.ASK, Action.SAVE_LOG}


@pytest.mark.parametrize(
    ("mode", "answer", "status"),
    [
        (IfExists.SKIP, Absent(), Status.WOULD_CREATE),
        (IfExists.SKIP, Exists(CREDENTIALS[0]), Status.EXISTING),
        (IfExists.SKIP, Refused("no-such-user"), Status.NO_SUCH_USER),
        (IfExists.SKIP, Refused("leaf:no"), Status.REJECTED),
        (IfExists.OVERWRITE, Absent(), Status.WOULD_CREATE),
        (IfExists.OVERWRITE, Exists(CREDENTIALS[1]), Status.WOULD_REPLACE),
    ],
)
def test_each_response_has_its_outcome(mode: IfExists, answer: Verdict, status: Status) -> None:
    step = ends(mode, None, [answer, answer])  # credentials have to be seen twice
    assert isinstance(step, Finish)
    assert step.status is status


def test_credentials_of_an_earlier_run_are_existing() -> None:
    (same,) = [each for each in CREDENTIALS if each.echo is Echo.SAME]
    step = ends(IfExists.OVERWRITE, Intent(BEGINNING), [Exists(same)])
    assert isinstance(step, Finish)
    assert (step.status, step.code) == (Status.EXISTING, "settled-by-asking")


def test_a_post_after_a_delete_is_a_replacement() -> None:
    class Other:
        """An action that is neither a question nor a POST."""

    step = Next(Progress(Other()))  # type: ignore[arg-type]
    assert before_change(row(), step, IfExists.SKIP) == Finish(Status.WOULD_REPLACE)


def test_a_dry_run_of_overwrite_asks_first() -> None:
    policy = Policy(if_exists=IfExists.OVERWRITE)
    assert first(policy, None).action is Action.POST
    assert first(asking(policy), None).action is Action.ASK
    assert asking(Policy()) == Policy()


def test_the_estimate_counts_checks_posts_and_events() -> None:
    counts = {Status.WOULD_CREATE: 100, Status.EXISTING: 50}
    known = forecast(counts, 150, mode=IfExists.SKIP, listed=False, unchecked=7, events=True, rate=10.0)
    assert known == Estimate(get=150 + 2 * (100 + 50 + 7), post=100, delete=0, seconds=56.4)
    quick = forecast(counts, 30, mode=IfExists.SKIP, listed=True, unchecked=0, events=False, rate=0.0)
    assert quick == Estimate(30, 100, 0, None)
    blind = forecast(
        {Status.WOULD_REPLACE: 5},
        30,
        mode=IfExists.OVERWRITE,
        listed=True,
        unchecked=0,
        events=False,
        rate=0.0,
    )
    assert blind == Estimate(0, 5, 0, None)
