"""Replacing and refusing what is there: what is deleted and when, and what may follow on a DELETE."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.model import (
    Absent,
    Ambiguous,
    Created,
    Credential,
    Echo,
    Event,
    Exists,
    IfExists,
    Intent,
    Log,
    Recorded,
    Refused,
    Status,
    Throttled,
    Transient,
    Verdict,
)
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.policy.credentials import UNUSUAL_LOOKS, decide
from bulk_onboard.policy.progress import (
    LEFT_WITHOUT,
    Action,
    Finish,
    Gone,
    Progress,
    Step,
    deleting,
    first,
    give_up,
    posting,
)
from bulk_onboard.policy.retry import Moment, Next, Policy
from tests.support.properties import scaled

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=9)
REPLACE = Policy(if_exists=IfExists.REPLACE)
EARLY, SETTLED, LATE = Moment(0.5, 0.5), Moment(100.0, 0.5), Moment(700.0, 0.5)
LOST, TAKEN = Ambiguous("connection-lost"), Ambiguous("not-confirmed", accepted=True)


def credential(
    name: str = "old",
    echo: Echo = Echo.DIFFERENT,
    created: datetime | None = LONG_AGO,
    app: Echo = Echo.UNKNOWN,
) -> Credential:
    return Credential(name, "OK", created, echo, to_text(created), app)


def log(*events: Event) -> Log:
    """A log whose first event decides."""
    return Log(events, events[0])


OLD = credential()
ASKING = first(REPLACE, None)
KEEPING = ASKING._replace(action=Action.SAVE_LOG, old=OLD)
DELETING = deleting(KEEPING._replace(action=Action.DELETE, log_saved=True))
LOST_DELETE = DELETING._replace(action=Action.ASK, gone=Gone.MAYBE, settles_at=30.0)
TAKEN_DELETE = LOST_DELETE._replace(accepted=True)
DELETED = DELETING._replace(action=Action.POST, gone=Gone.YES, absent_before=True)
POSTING = posting(DELETED, NOW)
LOST_POST = POSTING._replace(action=Action.ASK, suspect=True, settles_at=30.0, unanswered=NOW)
BEGUN = {
    "asking": ASKING,
    "keeping": KEEPING,
    "keeping other app": KEEPING._replace(old=credential(app=Echo.DIFFERENT)),
    "asked, no log": KEEPING._replace(action=Action.ASK, log_saved=True, no_log=True),
    "deleting": DELETING,
    "delete lost": LOST_DELETE,
    "delete taken": TAKEN_DELETE,
    "posting": POSTING,
    "post lost": LOST_POST,
}
A, S = Action, Status
# state, verdict, moment -> the status and code of the end, or the action that is next
TABLE: list[tuple[str, Verdict | Log, Moment, tuple[Status, str] | Action]] = [
    ("asking", Exists(OLD), EARLY, A.SAVE_LOG),
    ("asking", Exists(credential(echo=Echo.UNKNOWN)), EARLY, A.SAVE_LOG),
    ("asking", Exists(credential(echo=Echo.SAME)), EARLY, (S.EXISTING, "already-connected")),
    ("asking", Absent(), EARLY, A.POST),
    ("keeping", Log(()), EARLY, A.DELETE),
    ("keeping", log(Event(401, NOW)), EARLY, A.DELETE),
    ("keeping", log(Event(401, NOW), Event(200, LONG_AGO)), EARLY, A.DELETE),
    ("keeping", log(Event(200, NOW)), EARLY, (S.EXISTING, "token-changed")),
    ("keeping other app", log(Event(200, NOW)), EARLY, A.DELETE),
    ("asking", Exists(credential(echo=Echo.SAME, app=Echo.DIFFERENT)), EARLY, A.SAVE_LOG),
    ("asked, no log", Exists(OLD), EARLY, (S.EXISTING, "token-changed")),
    ("asked, no log", Exists(replace(OLD, status="UNAUTHENTICATED")), EARLY, A.DELETE),
    ("keeping", Absent(), EARLY, A.ASK),
    ("keeping", Refused("login-forbidden"), EARLY, (S.REJECTED, "login-forbidden")),
    ("keeping", Throttled(3.0), EARLY, A.ASK),
    ("keeping", LOST, EARLY, A.ASK),
    ("keeping", LOST, LATE, (S.FAILED, "connection-lost")),
    ("deleting", Absent(), EARLY, A.POST),
    ("deleting", Absent(usual=False), EARLY, A.ASK),
    ("deleting", Refused("leaf:no"), EARLY, (S.REJECTED, "leaf:no")),
    ("deleting", Throttled(3.0), EARLY, A.ASK),
    ("deleting", Throttled(3.0), LATE, (S.FAILED, "throttled-too-long")),
    ("deleting", Transient("dns-failure"), EARLY, A.ASK),
    ("deleting", Transient("dns-failure"), LATE, (S.FAILED, "dns-failure")),
    ("deleting", LOST, EARLY, A.ASK),
    ("deleting", LOST, LATE, A.ASK),
    ("deleting", TAKEN, EARLY, A.ASK),
    ("delete taken", Exists(OLD), EARLY, A.ASK),
    ("delete taken", Exists(OLD), SETTLED, A.DELETE),
    ("delete taken", Absent(), EARLY, A.POST),
    ("delete taken", Absent(bare=True, usual=False), EARLY, A.ASK),
    ("delete lost", Exists(OLD), EARLY, A.ASK),
    ("delete lost", Exists(OLD), SETTLED, A.DELETE),
    ("delete lost", Exists(credential("strange")), EARLY, A.ASK),
    ("delete lost", Exists(credential("strange")), SETTLED, (S.EXISTING, "token-changed")),
    ("delete lost", Exists(credential(created=NOW)), SETTLED, (S.EXISTING, "token-changed")),
    ("delete lost", Absent(), EARLY, A.ASK),
    ("delete lost", Absent(), SETTLED, A.POST),
    ("delete lost", Absent(bare=True), SETTLED, A.ASK),
    ("delete lost", Refused("login-forbidden"), SETTLED, (S.UNRESOLVED, "login-forbidden")),
    ("delete lost", Throttled(3.0), LATE, (S.UNRESOLVED, "throttled-too-long")),
    ("delete lost", LOST, LATE, (S.UNRESOLVED, "connection-lost")),
    ("posting", Created(credential("new", created=NOW)), EARLY, (S.CREATED, "replaced")),
    ("posting", Created(OLD), EARLY, A.ASK),
    ("posting", Refused("leaf:no"), EARLY, (S.REJECTED, LEFT_WITHOUT)),
    ("posting", Throttled(3.0), EARLY, A.POST),
    ("posting", Throttled(3.0), LATE, (S.FAILED, LEFT_WITHOUT)),
    ("posting", Exists(None, "leaf:exists"), EARLY, A.ASK),
    ("posting", Exists(OLD), EARLY, A.DELETE),
    ("posting", Exists(credential("strange")), EARLY, (S.EXISTING, "token-changed")),
    ("posting", LOST, LATE, A.ASK),
    ("post lost", Exists(credential("new", Echo.SAME)), EARLY, (S.CREATED, "settled-by-asking")),
    ("post lost", Exists(credential("new", Echo.UNKNOWN, None)), EARLY, (S.EXISTING, "ownership-unclear")),
    ("post lost", Exists(credential("new", created=NOW)), EARLY, (S.CREATED, "settled-by-time")),
    ("post lost", Exists(credential("old", Echo.UNKNOWN, None)), EARLY, A.ASK),
    ("post lost", Exists(OLD), EARLY, A.ASK),
    ("post lost", Exists(OLD), SETTLED, A.DELETE),
    ("post lost", Absent(), SETTLED, A.POST),
    ("post lost", Absent(), LATE, (S.FAILED, LEFT_WITHOUT)),
    ("post lost", LOST, LATE, (S.UNRESOLVED, "connection-lost")),
]


def _next(step: Finish | Next) -> tuple[Status, str] | Action:
    return (step.status, step.code) if isinstance(step, Finish) else step.progress.action


def decide_seen(progress: Progress, verdict: Verdict | Log, policy: Policy, moment: Moment) -> Step:
    """Return what `decide` says if the reply before showed the same credentials."""
    shown = verdict.credential if isinstance(verdict, Created | Exists) else None
    return decide(progress._replace(seen=shown.id if shown else ""), verdict, policy, moment)


@pytest.mark.parametrize(("state", "verdict", "moment", "expected"), TABLE)
def test_every_verdict_in_every_state_of_a_replacement_has_one_next_step(
    state: str, verdict: Verdict | Log, moment: Moment, expected: tuple[Status, str] | Action
) -> None:
    assert _next(decide_seen(BEGUN[state], verdict, REPLACE, moment)) == expected


@pytest.mark.parametrize("mode", [each for each in IfExists if each is not IfExists.REPLACE])
def test_only_replace_deletes_also_after_a_run_that_died_over_it(mode: IfExists) -> None:
    policy = Policy(if_exists=mode)
    begun = first(policy, Intent(None, True, "old", to_text(LONG_AGO)))
    assert begun.action is Action.ASK
    assert _next(decide(begun, Absent(), policy, SETTLED)) is Action.POST
    step = decide(begun, Exists(OLD), policy, SETTLED)
    assert isinstance(step, Finish)
    assert step.credential == OLD


@pytest.mark.parametrize("echo", Echo)
def test_fail_rejects_existing_credentials_unless_ours(echo: Echo) -> None:
    policy = Policy(if_exists=IfExists.FAIL)
    assert _next(decide_seen(first(policy, None), Exists(credential(echo=echo)), policy, EARLY)) == (
        Status.REJECTED,
        "already-exists",
    )
    ours = decide_seen(
        first(policy, Intent(LONG_AGO)), Exists(credential(echo=echo, created=NOW)), policy, EARLY
    )
    assert _next(ours) == (
        Status.CREATED,
        "settled-by-asking" if echo is Echo.SAME else "settled-by-time",
    )


def test_credentials_with_the_same_secrets_are_not_replaced() -> None:
    begun = first(REPLACE, None, stored_as=Recorded("old", to_text(LONG_AGO)))
    step = decide_seen(begun, Exists(credential(echo=Echo.UNKNOWN)), REPLACE, EARLY)
    assert _next(step) == (Status.EXISTING, "already-connected")
    reused = decide_seen(begun, Exists(credential(echo=Echo.UNKNOWN, created=NOW)), REPLACE, EARLY)
    assert _next(reused) is Action.SAVE_LOG, "an id alone proves nothing"


@pytest.mark.parametrize("echo", [Echo.UNKNOWN, Echo.DIFFERENT])
def test_results_of_a_lost_post_are_not_replaced_by_the_same_token(echo: Echo) -> None:
    begun = first(REPLACE, Intent(NOW))
    step = decide_seen(begun, Exists(credential(echo=echo, created=None)), REPLACE, SETTLED)
    assert _next(step) == (Status.EXISTING, "ownership-unclear")


def test_the_next_run_distinguishes_old_new_and_missing_credentials() -> None:
    died_before_the_post = first(REPLACE, Intent(None, True, "old", to_text(LONG_AGO)))
    assert _next(decide_seen(died_before_the_post, Exists(OLD), REPLACE, SETTLED)) is Action.SAVE_LOG
    assert _next(decide(died_before_the_post, Absent(), REPLACE, SETTLED)) is Action.POST
    strange = [credential("strange", created=NOW), credential(created=NOW), credential(created=None)]
    for other in strange:
        step = decide_seen(died_before_the_post, Exists(other), REPLACE, SETTLED)
        assert _next(step) == (Status.EXISTING, "token-changed")
    died_after_it = first(REPLACE, Intent(NOW, True, "old", to_text(LONG_AGO)))
    new = decide_seen(died_after_it, Exists(credential("new", Echo.SAME, NOW)), REPLACE, SETTLED)
    assert _next(new) == (Status.CREATED, "settled-by-asking")


def test_no_post_before_a_lost_delete_could_arrive() -> None:
    step = decide(DELETING._replace(settles_at=30.0), Absent(), REPLACE, Moment(10.0, 0.5))
    assert isinstance(step, Next)
    assert (step.progress.action, step.after) == (Action.POST, 20.0)


def test_only_growers_left_without_credentials_are_reported() -> None:
    left = give_up(DELETED, "dns-failure", "not known")
    assert (left.status, left.code, left.message) == (Status.FAILED, LEFT_WITHOUT, "dns-failure: not known")
    assert give_up(KEEPING, "dns-failure").code == "dns-failure"


@pytest.mark.parametrize(("said", "posts"), [(Absent(), 8), (Absent(usual=False), 0)])
def test_a_leaf_that_never_deletes_is_given_up(said: Absent, posts: int) -> None:
    """One that does not find what it has just shown is looked at again before anything is sent."""
    progress, sent = ASKING, 0
    verdicts: dict[Action, Verdict | Log] = {
        Action.ASK: Exists(OLD),
        Action.SAVE_LOG: Log(()),
        Action.DELETE: said,
        Action.POST: Exists(None, "leaf:exists"),
    }
    for _ in range(40):
        acting = deleting(progress) if progress.action is Action.DELETE else progress
        sent += acting.action is Action.POST
        step = decide(acting, verdicts[acting.action], REPLACE, EARLY)
        if isinstance(step, Finish):
            break
        progress = step.progress
    assert _next(step) == (Status.FAILED, "not-deleted")
    assert step.credential == OLD
    assert sent == posts


# --- any sequence of verdicts -----------------------------------------------------------------------

credentials = st.builds(
    Credential,
    st.sampled_from(["old", "new", "strange"]),
    st.just("OK"),
    st.none() | st.integers(-100, 100).map(lambda s: NOW + timedelta(seconds=s)),
    st.sampled_from(Echo),
    st.sampled_from(["", to_text(LONG_AGO), to_text(NOW)]),
    st.sampled_from(Echo),
)
afters = st.none() | st.floats(0, 900)
troubles = st.one_of(
    st.builds(Throttled, afters),
    st.just(Transient("dns-failure")),
    st.builds(Ambiguous, st.just("server-error"), after=afters),
    st.just(Refused("leaf:no")),
)
looks = st.one_of(
    troubles,
    st.builds(Absent, st.booleans(), st.booleans()),
    st.just(Absent()),
    st.builds(Exists, credentials),
    st.builds(Exists, credentials),
    st.just(Exists(OLD)),
)
answers = st.fixed_dictionaries(
    {
        Action.ASK: looks,
        Action.SAVE_LOG: st.one_of(troubles, st.just(Absent()), st.just(log(Event(200, NOW)))),
        Action.DELETE: st.one_of(troubles, st.just(TAKEN), st.just(Absent()), st.just(Absent())),
        Action.POST: st.one_of(
            troubles, st.builds(Created, credentials), st.builds(Exists, st.none() | credentials)
        ),
    }
)
moves = st.tuples(st.floats(0.01, 30.0), answers, st.floats(0.01, 0.99))
END = (1.0, dict.fromkeys(Action, Refused("leaf:no")), 0.5)
intents = st.none() | st.builds(
    Intent,
    st.none() | st.integers(-100, 100).map(lambda s: NOW + timedelta(seconds=s)),
    st.booleans(),
    st.sampled_from(["old", "new"]),
    st.sampled_from(["", to_text(LONG_AGO), to_text(NOW)]),
)
policies = st.builds(Policy, st.just(IfExists.REPLACE), st.booleans(), attempts=st.integers(1, 8))


class Judge:
    """Watches what a row does, knows what may be under way, and objects to what could do harm."""

    def __init__(self, policy: Policy, intent: Intent | None) -> None:
        # What the answer before showed; that of a KEEP came at once and does not count.
        self._shown: Credential | None = None
        self.lost = {Action.POST: bool(intent and intent.at), Action.DELETE: bool(intent and intent.deleting)}
        self._quiet_from = policy.settle if intent else 0.0
        self._policy, self._works = policy, False
        self._deletes = 0
        self._taken = False

    def before(self, progress: Progress, elapsed: float) -> None:
        if progress.action is Action.DELETE:
            assert progress.log_saved, "deleted before the events were kept"
            assert self._shown is not None, "deleted unseen"
            assert progress.old == self._shown, "deleted other credentials than those shown"
            other_app = self._shown.app is Echo.DIFFERENT
            assert self._shown.echo is not Echo.SAME or other_app, "deleted what has this very token"
            assert not self._works or other_app or self._policy.replace_healthy, "deleted what works"
        if progress.action is Action.POST:
            assert not self.lost[Action.POST], "a POST while the fate of another is unknown"
            assert elapsed >= self._quiet_from, "a POST that a DELETE may hit"

    def after(self, progress: Progress, verdict: Verdict | Log, elapsed: float) -> None:
        match verdict:
            case Exists(credential) if credential:
                self._shown = credential
            case Log(events):
                self._works = bool(events)  # all that are drawn are good, and so is the status
            case _:
                self._shown = None
        if progress.action is Action.DELETE:
            self._deletes += 1
            # The only DELETE ever sent, and Leaf took it: when nothing is there any more, it has been done.
            self._taken = verdict == TAKEN and self._deletes == 1 and elapsed >= self._quiet_from
        settled = elapsed >= progress.settles_at or (self._taken and isinstance(verdict, Absent))
        if progress.action is Action.ASK and settled and _is_certain(verdict, progress):
            self.lost = dict.fromkeys(self.lost, False)
        if progress.action in self.lost and isinstance(verdict, Ambiguous):
            self.lost[progress.action] = True

    def waited(self, step: Next) -> None:
        if not self._taken:
            self._quiet_from = max(self._quiet_from, step.progress.settles_at)
        if step.after:
            self._shown = None


def _is_certain(verdict: Verdict | Log, progress: Progress) -> bool:
    if isinstance(verdict, Absent):
        return verdict.usual or progress.looks + 1 >= UNUSUAL_LOOKS
    return isinstance(verdict, Exists)


@settings(max_examples=scaled(150))
@given(st.lists(moves, max_size=40), policies, intents)
def test_only_what_was_just_shown_is_deleted_and_nothing_is_posted_into_a_delete_under_way(
    played: list[tuple[float, dict[Action, Verdict | Log], float]], policy: Policy, intent: Intent | None
) -> None:
    progress, judge, elapsed = first(policy, intent), Judge(policy, intent), 0.0
    for seconds, to, draw in [*played, END]:
        elapsed += seconds
        judge.before(progress, elapsed)
        if progress.action is Action.DELETE:
            progress = deleting(progress)
        if progress.action is Action.POST:
            progress = posting(progress, NOW + timedelta(seconds=elapsed))
        verdict = to[progress.action]
        judge.after(progress, verdict, elapsed)
        step = decide(progress, verdict, policy, Moment(elapsed, draw))
        if isinstance(step, Finish):
            break
        judge.waited(step)
        elapsed += step.after
        progress = step.progress
    assert isinstance(step, Finish)
    _assert_the_end_says_what_is_known(step, progress, unknown=any(judge.lost.values()))


def _assert_the_end_says_what_is_known(end: Finish, progress: Progress, *, unknown: bool) -> None:
    if unknown:
        assert end.status is Status.UNRESOLVED or end.credential is not None
    if end.status is Status.UNRESOLVED:
        assert progress.unsure or progress.gone is Gone.YES
    if end.status in {Status.REJECTED, Status.FAILED} and end.code != "not-deleted":
        assert (end.code == LEFT_WITHOUT) is (progress.gone is Gone.YES)


def test_the_start_of_a_row_says_all_that_an_intent_left_open() -> None:
    assert first(REPLACE, None) == Progress(Action.ASK)
    both = first(REPLACE, Intent(NOW, True, "old", to_text(LONG_AGO)))
    assert (both.suspect, both.gone, both.old and both.old.id) == (True, Gone.MAYBE, "old")
    one = first(REPLACE, Intent(None, True, "old", to_text(LONG_AGO)))
    assert (one.suspect, one.unsure, one.unanswered) == (False, True, None)


@pytest.mark.parametrize(
    ("before", "accepted"),
    [(DELETING, True), (deleting(DELETING), False), (DELETING._replace(unanswered=NOW), False)],
)
def test_only_a_delete_that_is_alone_is_known_to_be_done_when_nothing_is_shown(
    before: Progress, accepted: bool
) -> None:
    step = decide(before, TAKEN, REPLACE, EARLY)
    assert isinstance(step, Next)
    absent = decide(step.progress, Absent(), REPLACE, EARLY)
    assert _next(absent) is (Action.POST if accepted else Action.ASK)
