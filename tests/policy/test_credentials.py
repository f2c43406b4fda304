"""The retry policy: what may follow on what. Above all, no POST after one whose fate is unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.model import (
    Absent,
    Ambiguous,
    Created,
    Credential,
    Echo,
    Exists,
    IfExists,
    Intent,
    NotSent,
    Recorded,
    Refused,
    Status,
    Throttled,
    Transient,
    Unauthorised,
    Verdict,
)
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.policy.credentials import BARE_LOOKS, OWNERSHIP_UNCLEAR, STRAY, UNUSUAL_LOOKS, decide
from bulk_onboard.policy.progress import Action, Finish, Progress, first, give_up, posting
from bulk_onboard.policy.retry import Moment, Next, Policy
from tests.support.properties import scaled

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = Policy()
EARLY = Moment(0.5, 0.5)
SETTLED = Moment(100.0, 0.5)
LATE = Moment(700.0, 0.5)


def credential(
    echo: Echo = Echo.UNKNOWN, created: datetime | None = None, app: Echo = Echo.UNKNOWN
) -> Credential:
    return Credential("c-1", "OK", created, echo, to_text(created), app)


# The reply before showed the same credentials, so they are this grower's.
ASKING = Progress(Action.ASK, seen="c-1")
POSTING = posting(Progress(Action.POST, absent_before=True, seen="c-1"), NOW)
SUSPECT = ASKING._replace(
    suspect=True, settles_at=30.0, posted=NOW, unanswered=NOW, absent_before=True, posts=1
)
BEGUN = {"asking": ASKING, "posting": POSTING, "suspect": SUSPECT}

LOST = Ambiguous("connection-lost")
# state, verdict, moment -> the status and code of the end, or the action that is next
TABLE: list[tuple[str, Verdict, Moment, tuple[Status, str] | Action]] = [
    ("asking", Exists(credential(Echo.SAME)), EARLY, (Status.EXISTING, "already-connected")),
    ("asking", Exists(credential(Echo.DIFFERENT)), EARLY, (Status.EXISTING, "token-changed")),
    ("asking", Exists(credential()), EARLY, (Status.EXISTING, "already-connected")),
    ("asking", Absent(), EARLY, Action.POST),
    ("asking", Absent(bare=True), EARLY, Action.POST),
    ("asking", Absent(bare=True, usual=False), EARLY, Action.ASK),
    ("asking", Refused("leaf:x"), EARLY, (Status.REJECTED, "leaf:x")),
    ("asking", Throttled(3.0), EARLY, Action.ASK),
    ("asking", Throttled(3.0), LATE, (Status.FAILED, "throttled-too-long")),
    ("asking", Transient("dns-failure"), EARLY, Action.ASK),
    ("asking", Transient("dns-failure"), LATE, (Status.FAILED, "dns-failure")),
    ("asking", Ambiguous("server-error"), EARLY, Action.ASK),
    ("asking", Ambiguous("server-error"), LATE, (Status.FAILED, "server-error")),
    ("posting", Created(credential(Echo.SAME)), EARLY, (Status.CREATED, "")),
    ("posting", Created(credential(Echo.DIFFERENT, NOW)), EARLY, (Status.CREATED, "token-changed")),
    ("posting", Created(credential(Echo.DIFFERENT)), EARLY, (Status.CREATED, "settled-by-time")),
    ("posting", Created(credential(app=Echo.DIFFERENT)), EARLY, (Status.EXISTING, "app-changed")),
    ("asking", Exists(credential(app=Echo.DIFFERENT)), EARLY, (Status.EXISTING, "app-changed")),
    ("posting", Exists(credential(Echo.DIFFERENT)), EARLY, (Status.EXISTING, "token-changed")),
    ("posting", Exists(None, "leaf:exists"), EARLY, Action.ASK),
    ("posting", Refused("leaf:x"), EARLY, (Status.REJECTED, "leaf:x")),
    ("posting", Throttled(), EARLY, Action.POST),
    ("posting", Throttled(), LATE, (Status.FAILED, "throttled-too-long")),
    ("posting", Transient("connection-refused"), EARLY, Action.POST),
    ("posting", Transient("connection-refused"), LATE, (Status.FAILED, "connection-refused")),
    ("posting", LOST, EARLY, Action.ASK),
    ("posting", LOST, LATE, Action.ASK),
    ("suspect", Exists(credential(Echo.SAME)), EARLY, (Status.CREATED, "settled-by-asking")),
    ("suspect", Exists(credential(Echo.DIFFERENT, NOW)), EARLY, (Status.CREATED, "settled-by-time")),
    ("suspect", Exists(credential()), EARLY, (Status.EXISTING, "ownership-unclear")),
    ("suspect", Absent(), EARLY, Action.ASK),
    ("suspect", Absent(), SETTLED, Action.POST),
    ("suspect", Absent(), LATE, (Status.FAILED, "no-answer")),
    ("suspect", Absent(bare=True), SETTLED, Action.ASK),
    ("suspect", Absent(bare=True, usual=False), SETTLED, Action.ASK),
    ("suspect", Refused("login-forbidden"), EARLY, (Status.UNRESOLVED, "login-forbidden")),
    ("suspect", Throttled(3.0), EARLY, Action.ASK),
    ("suspect", Throttled(3.0), LATE, (Status.UNRESOLVED, "throttled-too-long")),
    ("suspect", Transient("dns-failure"), EARLY, Action.ASK),
    ("suspect", Transient("dns-failure"), LATE, (Status.UNRESOLVED, "dns-failure")),
    ("suspect", Ambiguous("server-error"), EARLY, Action.ASK),
    ("suspect", Ambiguous("server-error"), LATE, (Status.UNRESOLVED, "server-error")),
]


@pytest.mark.parametrize(("state", "verdict", "moment", "expected"), TABLE)
def test_every_verdict_in_every_state_has_one_next_step(
    state: str, verdict: Verdict, moment: Moment, expected: tuple[Status, str] | Action
) -> None:
    step = decide(BEGUN[state], verdict, POLICY, moment)
    found = (step.status, step.code) if isinstance(step, Finish) else step.progress.action
    assert found == expected


@pytest.mark.parametrize(
    ("progress", "before"), [(ASKING, True), (SUSPECT._replace(absent_before=False), False)]
)
def test_only_a_look_before_any_post_without_an_answer_shows_that_there_was_nothing(
    progress: Progress, before: bool
) -> None:
    step = decide(progress, Absent(), POLICY, SETTLED)
    assert isinstance(step, Next)
    assert step.progress.action is Action.POST
    assert (step.progress.absent_before, step.progress.claimed, step.progress.looks) == (before, None, 0)
    sent = posting(step.progress, NOW)
    assert (sent.posted, sent.posts) == (NOW, progress.posts + 1)


def test_a_post_that_was_held_back_is_verified_again() -> None:
    step = decide(POSTING, NotSent(), POLICY, EARLY)
    assert isinstance(step, Next)
    assert (step.progress.action, step.progress.in_vain) == (Action.ASK, POSTING.in_vain + 1)


@pytest.mark.parametrize("echo", [Echo.SAME, Echo.DIFFERENT, Echo.UNKNOWN])
def test_an_outcome_names_its_credentials(echo: Echo) -> None:
    shown = credential(echo, NOW)
    step = decide(SUSPECT, Exists(shown), POLICY, EARLY)
    assert isinstance(step, Finish)
    assert (step.status, step.credential) == (Status.CREATED, shown)
    assert ("does not show the token" in step.message) is (echo is Echo.UNKNOWN)


@pytest.mark.parametrize("progress", BEGUN.values(), ids=BEGUN)
def test_a_refused_login_is_not_an_outcome_of_a_row(progress: Progress) -> None:
    with pytest.raises(ValueError, match="login"):
        decide(progress, Unauthorised(), POLICY, EARLY)


def test_only_overwrite_posts_first_unless_an_intent_is_open() -> None:
    overwrite = Policy(if_exists=IfExists.OVERWRITE)
    assert first(POLICY, None).action is Action.ASK
    assert first(overwrite, None).action is Action.POST
    open_one = first(overwrite, Intent(NOW))
    assert (open_one.action, open_one.suspect) == (Action.ASK, True)


@pytest.mark.parametrize("age", [0, 12, 30, 86_400, -3600])
def test_an_open_intent_settles_like_a_post_of_now_for_its_last_post_may_be_younger_than_it(age: int) -> None:
    began = first(POLICY, Intent(NOW - timedelta(seconds=age)))
    assert began.settles_at == POLICY.settle


def test_absence_is_accepted_only_after_the_post_could_arrive() -> None:
    step = decide(POSTING, LOST, POLICY, Moment(5.0, 0.5))
    assert isinstance(step, Next)
    assert step.progress.settles_at == 5.0 + POLICY.settle
    slow = decide(POSTING, Ambiguous("no-answer"), POLICY, Moment(5.0, 0.5))
    assert isinstance(slow, Next)
    assert slow.progress.settles_at == 5.0 + POLICY.settle
    progress, at = slow.progress, 5.0
    looks = [at]
    while (step := decide(progress, Absent(), POLICY, Moment(at, 0.5))) and isinstance(step, Next):
        if step.progress.action is Action.POST:
            break
        progress, at = step.progress, at + step.after
        looks.append(at)
    assert looks == [5.0, 7.0, 11.0, 23.0, 35.0]


def test_an_empty_reply_must_be_seen_several_times() -> None:
    progress = SUSPECT
    for _ in range(BARE_LOOKS - 1):
        step = decide(progress, Absent(bare=True), POLICY, SETTLED)
        assert isinstance(step, Next)
        assert step.progress.action is Action.ASK
        assert step.after > 0
        progress = step.progress
    last = decide(progress, Absent(bare=True), POLICY, SETTLED)
    assert isinstance(last, Next)
    assert (last.progress.action, last.progress.suspect) == (Action.POST, False)


@pytest.mark.parametrize("begun", ["asking", "suspect"])
def test_an_unusual_empty_reply_must_be_seen_many_times(begun: str) -> None:
    progress = BEGUN[begun]
    for _ in range(UNUSUAL_LOOKS - 1):
        step = decide(progress, Absent(bare=True, usual=False), POLICY, SETTLED)
        assert isinstance(step, Next)
        assert (step.progress.action, step.after) == (Action.ASK, POLICY.pause)
        progress = step.progress
    last = decide(progress, Absent(bare=True, usual=False), POLICY, SETTLED)
    assert isinstance(last, Next)
    assert (last.progress.action, last.progress.looks) == (Action.POST, 0)


@pytest.mark.parametrize("usual", [True, False])
def test_an_early_check_does_not_count(usual: bool) -> None:
    early = Moment(BEGUN["suspect"].settles_at - 0.01, 0.5)
    step = decide(BEGUN["suspect"], Absent(bare=True, usual=usual), POLICY, early)
    assert isinstance(step, Next)
    assert (step.progress.action, step.progress.looks) == (Action.ASK, 0)


# --- created or existing ----------------------------------------------------------------------------


def test_without_a_lost_post_found_credentials_are_not_ours() -> None:
    claimed = decide(POSTING, Exists(None, "leaf:exists"), POLICY, EARLY)
    assert isinstance(claimed, Next)
    step = decide(claimed.progress, Exists(credential(Echo.SAME, NOW)), POLICY, EARLY)
    assert isinstance(step, Finish)
    assert step.status is Status.EXISTING


def test_a_claim_that_something_exists_which_is_not_shown_is_a_no() -> None:
    claimed = decide(POSTING, Exists(None, "leaf:exists"), POLICY, EARLY)
    assert isinstance(claimed, Next)
    early = decide(claimed.progress, Absent(), POLICY, EARLY)
    assert isinstance(early, Next), "a GET may lag"
    step = decide(claimed.progress, Absent(), POLICY, SETTLED)
    assert isinstance(step, Finish)
    assert (step.status, step.code) == (Status.REJECTED, "leaf:exists")


@pytest.mark.parametrize("verdict", [Ambiguous("server-error"), Transient("dns-failure"), Refused("no")])
def test_a_claim_after_a_lost_post_may_be_the_lost_one_and_is_not_failed(verdict: Verdict) -> None:
    lost = decide(POSTING, LOST, POLICY, EARLY)
    assert isinstance(lost, Next)
    absent = decide(lost.progress, Absent(), POLICY, SETTLED)
    assert isinstance(absent, Next)
    claimed = decide(posting(absent.progress, NOW), Exists(None, "leaf:exists"), POLICY, SETTLED)
    assert isinstance(claimed, Next)
    step = decide(claimed.progress, verdict, POLICY, Moment(599.9, 0.99))
    assert isinstance(step, Finish)
    assert step.status is Status.UNRESOLVED


@pytest.mark.parametrize(("suspect", "status"), [(True, Status.UNRESOLVED), (False, Status.FAILED)])
def test_giving_up_is_failed_only_if_nothing_can_have_been_stored(suspect: bool, status: Status) -> None:
    assert give_up(ASKING._replace(suspect=suspect), "interrupted").status is status


@pytest.mark.parametrize("progress", [ASKING, POSTING, SUSPECT])
def test_a_retry_after_of_zero_still_waits(progress: Progress) -> None:
    step = decide(progress, Throttled(0.0), POLICY, EARLY)
    assert isinstance(step, Next)
    assert step.after > 0


# --- a stray reply ----------------------------------------------------------------------------------

NOT_PROVED = [credential(), credential(Echo.DIFFERENT, NOW), credential(app=Echo.DIFFERENT)]


@pytest.mark.parametrize("shown", NOT_PROVED)
@pytest.mark.parametrize("begun", [ASKING, SUSPECT])
def test_credentials_with_another_token_or_a_hidden_one_have_to_be_seen_twice(
    begun: Progress, shown: Credential
) -> None:
    first_look = decide(begun._replace(seen=""), Exists(shown), POLICY, EARLY)
    assert first_look == Next(begun._replace(seen="c-1"))
    assert isinstance(decide(first_look.progress, Exists(shown), POLICY, EARLY), Finish)


@pytest.mark.parametrize("shown", NOT_PROVED)
def test_credentials_on_record_as_the_growers_are_believed_at_once(shown: Credential) -> None:
    recorded = first(POLICY, None, stored_as=Recorded("c-1", to_text(NOW)))
    assert isinstance(decide(recorded, Exists(shown), POLICY, EARLY), Finish)


def test_a_post_is_not_answered_by_a_reply_that_shows_what_another_client_stored() -> None:
    shown = credential(app=Echo.DIFFERENT)
    step = decide(POSTING._replace(seen=""), Created(shown), POLICY, EARLY)
    assert isinstance(step, Next)
    assert (step.progress.action, step.progress.suspect, step.progress.unanswered) == (Action.ASK, True, NOW)
    ours = decide(step.progress, Exists(credential(Echo.SAME)), POLICY, EARLY)
    assert isinstance(ours, Finish)
    assert (ours.status, ours.code) == (Status.CREATED, "settled-by-asking")


@pytest.mark.parametrize(("begun", "status"), [(ASKING, Status.FAILED), (SUSPECT, Status.UNRESOLVED)])
def test_a_leaf_that_shows_other_credentials_each_time_is_given_up(begun: Progress, status: Status) -> None:
    progress = begun._replace(seen="")
    for number in range(POLICY.attempts):
        step = decide(progress, Exists(replace(credential(), id=f"c-{number}")), POLICY, EARLY)
        assert isinstance(step, Next)
        progress = step.progress
    step = decide(progress, Exists(replace(credential(), id="c-last")), POLICY, EARLY)
    assert isinstance(step, Finish)
    assert (step.status, step.code) == (status, STRAY)


@settings(max_examples=scaled(250))
@given(
    st.lists(st.sampled_from(["c-1", "c-2", "c-3"]), max_size=20),
    st.sampled_from([Echo.DIFFERENT, Echo.UNKNOWN]),
    st.sampled_from(IfExists),
    st.booleans(),
)
def test_nothing_follows_from_credentials_that_one_reply_alone_has_shown(
    strays: list[str], echo: Echo, mode: IfExists, lost: bool
) -> None:
    """What Leaf really holds comes in the end, and costs one more GET than with a token that is ours."""
    policy = Policy(if_exists=mode)
    progress = (SUSPECT if lost else ASKING)._replace(seen="")
    shown = [*strays, "own", "own"]
    asked = 0
    while progress.action is Action.ASK:
        answer = Exists(replace(credential(echo, NOW), id=shown[asked]))
        step = decide(progress, answer, policy, Moment(1000.0 * lost, 0.5))
        asked += 1
        if isinstance(step, Finish):
            break
        progress = step.progress
    if not (isinstance(step, Finish) and step.code == STRAY):
        assert asked >= 2, "believed at first sight"
        assert shown[asked - 2] == shown[asked - 1], "another id than before"


# --- any sequence of verdicts -----------------------------------------------------------------------

credentials = st.builds(
    credential,
    st.sampled_from(Echo),
    st.none() | st.integers(-100, 100).map(lambda s: NOW + timedelta(seconds=s)),
    st.sampled_from(Echo),
)
afters = st.none() | st.floats(0, 900)
troubles = st.one_of(
    st.builds(Throttled, afters),
    st.builds(Transient, st.just("dns-failure")),
    st.builds(Ambiguous, st.just("server-error"), after=afters),
)
answers_to_ask = st.one_of(
    troubles,
    troubles,
    st.builds(Absent, st.booleans(), st.booleans()),
    st.builds(Absent),
    st.builds(Exists, credentials),
    st.builds(Refused, st.just("leaf:no")),
)
answers_to_post = st.one_of(
    troubles,
    troubles,
    st.builds(Created, credentials),
    st.builds(Exists, st.none() | credentials, st.just("leaf:exists")),
    st.builds(Refused, st.just("leaf:no")),
)
# What is deleted and why is in test_replacing.py.
modes = st.sampled_from([IfExists.SKIP, IfExists.OVERWRITE, IfExists.FAIL])
policies = st.builds(Policy, modes, attempts=st.integers(1, 8))
intents = st.none() | st.builds(
    Intent, st.integers(-100, 100).map(lambda s: NOW + timedelta(seconds=s)), st.booleans()
)


# What happens next: seconds that pass, the answer should it ask, the answer should it post, the draw.
moves = st.tuples(st.floats(0.01, 30.0), answers_to_ask, answers_to_post, st.floats(0.01, 0.99))
END = (1.0, Refused("leaf:no"), Refused("leaf:no"), 0.5)


@settings(max_examples=scaled(250))
@given(st.lists(moves, max_size=40), policies, intents)
def test_no_post_follows_a_post_without_proof_that_nothing_was_stored(
    played: list[tuple[float, Verdict, Verdict, float]], policy: Policy, intent: Intent | None
) -> None:
    progress = first(policy, intent)
    unknown = intent is not None  # whether a POST is out there whose fate nobody knows
    settled_at = policy.settle if intent else 0.0
    asked_at = -1.0
    elapsed = 0.0
    for seconds, to_ask, to_post, draw in [*played, END]:
        elapsed += seconds
        asking = progress.action is Action.ASK
        if not asking:
            assert not unknown, "a POST while the fate of another is unknown"
            assert not settled_at or asked_at >= settled_at, "a POST without a look after the settle time"
            progress = posting(progress, NOW + timedelta(seconds=elapsed))
        verdict = to_ask if asking else to_post
        if asking and isinstance(verdict, Absent) and elapsed >= progress.settles_at:
            unknown = unknown and not (verdict.usual or progress.looks + 1 >= UNUSUAL_LOOKS)
        elif not asking and isinstance(verdict, Ambiguous):
            unknown, settled_at = True, elapsed + policy.settle
        asked_at = elapsed if asking else asked_at
        step = decide(progress, verdict, policy, Moment(elapsed, draw))
        if isinstance(step, Finish):
            break
        assert step.after >= 0
        elapsed += step.after
        progress = step.progress
    assert isinstance(step, Finish)
    if unknown:
        assert step.status is Status.UNRESOLVED or step.credential is not None
    if step.status is Status.UNRESOLVED and step.code != OWNERSHIP_UNCLEAR:
        assert progress.suspect
    if step.status is Status.CREATED:
        shown = step.credential
        assert shown is not None
        assert shown.app is not Echo.DIFFERENT, "different app fields prove that it is not ours"
        assert progress.unanswered or progress.posted, "created, and nothing was ever posted"
        if shown.echo is not Echo.SAME and not isinstance(verdict, Created):
            assert step.unproven, "nothing but a time says that it is ours"


@settings(max_examples=scaled(200))
@given(st.randoms(use_true_random=False), policies, intents)
def test_a_row_ends_within_its_patience(random: Random, policy: Policy, intent: Intent | None) -> None:
    progress, elapsed = first(policy, intent), 0.0
    lost = Ambiguous("no-answer")
    for _ in range(400):
        if progress.action is Action.POST:
            progress = posting(progress, NOW)
            verdict = random.choice([Throttled(5.0), lost, LOST, Transient("dns-failure")])
        else:
            verdict = random.choice([Throttled(5.0), lost, LOST, Absent(), Absent(bare=True)])
        step = decide(progress, verdict, policy, Moment(elapsed, 0.5))
        if isinstance(step, Finish):
            break
        elapsed += step.after + 0.05
        progress = step.progress
    assert isinstance(step, Finish)
    # One last look may begin at the end of the patience, and has to wait for a POST to settle.
    assert elapsed < policy.patience + policy.settle + 10


def test_a_not_found_in_nobodys_words_begins_a_row_but_sends_no_token_again() -> None:
    plain = Absent(bare=True, plain=True, usual=False)
    fresh = decide(Progress(Action.ASK), plain, Policy(), Moment(0.0, 0.5))
    assert isinstance(fresh, Next)
    assert fresh.progress.action is Action.POST
    lost = decide(Progress(Action.ASK, suspect=True), plain, Policy(), Moment(60.0, 0.5))
    assert isinstance(lost, Next)
    assert lost.progress.action is Action.ASK
