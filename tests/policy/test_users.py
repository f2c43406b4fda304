"""The decisions about a grower, held against a Leaf that lists late and loses answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.model import Ambiguous, Refused, Status, Throttled, Transient, Unauthorised
from bulk_onboard.domain.users import (
    CreateUserVerdict,
    LeafUser,
    LookUpVerdict,
    UnresolvedGrower,
    UserCreated,
    UserExists,
    UserKey,
    UserOrigin,
    UsersPage,
)
from bulk_onboard.policy.retry import Moment, Next, Policy
from bulk_onboard.policy.users import (
    LAST,
    LOOKS,
    MOST_PAGES,
    OTHER,
    SEVERAL,
    SIMILAR,
    UNFILTERED,
    Ended,
    Known,
    UserAction,
    UserProgress,
    UserStep,
    begin,
    decide,
    posting,
    stopped,
)

POLICY = Policy()
TOLD = {"externalId": "G-1", "email": "ada@example.com", "name": "Ada"}
ADA = UnresolvedGrower((2,), (b"external", b"email"), TOLD)
BY_EMAIL = replace(ADA, cells={"email": "ada@example.com", "name": "Ada"})
HERS = LeafUser("1" * 36, "G-1", "ada@example.com")


def page(*users: LeafUser, total: int | None = None) -> UsersPage:
    return UsersPage(users, total)


def answered(
    grower: UnresolvedGrower, *verdicts: LookUpVerdict | CreateUserVerdict, elapsed: float = 0.0
) -> UserStep:
    """Return the step of a grower after these answers."""
    progress = begin(grower, POLICY)
    step: UserStep = Next(progress)
    for verdict in verdicts:
        assert isinstance(step, Next)
        progress = posting(step.progress) if step.progress.action is UserAction.POST else step.progress
        step = decide(progress, verdict, grower, POLICY, Moment(elapsed, 0.5))
    return step


def next_step(step: UserStep) -> Next[UserProgress]:
    assert isinstance(step, Next)
    return step


def change(user: LeafUser, **changes: str) -> LeafUser:
    return user._replace(**changes)


OTHER_USER = change(HERS, leaf_user_id="3" * 36)
FOUND = Known(HERS.leaf_user_id, UserOrigin.FOUND, UserKey.EXTERNAL_ID)
FOUND_BY_EMAIL = Known(HERS.leaf_user_id, UserOrigin.FOUND, UserKey.EMAIL)
CAPITALS = replace(BY_EMAIL, cells={"email": "ADA@Example.com", "name": "Ada"})


@pytest.mark.parametrize(
    ("grower", "verdicts", "expected"),
    [
        (ADA, [page(HERS)], FOUND),
        (ADA, [page(), page(change(HERS, external_id=""))], FOUND_BY_EMAIL),
        (ADA, [page(HERS, HERS)], FOUND),
        # An email is the same in any letter case, and Leaf's filter may be case-sensitive.
        (BY_EMAIL, [page(change(HERS, email="ADA@Example.COM"))], FOUND_BY_EMAIL),
        (CAPITALS, [page(), page(HERS)], FOUND_BY_EMAIL),
        (ADA, [page(), page(), UserCreated("2" * 36)], Known("2" * 36, UserOrigin.CREATED)),
        (ADA, [page(HERS, OTHER_USER)], (Status.REJECTED, SEVERAL)),
        (ADA, [page(), page(change(HERS, external_id="G-9"))], (Status.REJECTED, OTHER)),
        (ADA, [page(change(HERS, external_id="g-1"))], (Status.REJECTED, SIMILAR)),
        (ADA, [page(change(HERS, external_id=""))], (Status.FAILED, UNFILTERED)),
        (ADA, [page(), page(), Refused("leaf:no", "HTTP 400")], (Status.REJECTED, "leaf:no")),
    ],
)
def test_outcomes_of_lookups(
    grower: UnresolvedGrower,
    verdicts: Sequence[LookUpVerdict | CreateUserVerdict],
    expected: Known | tuple[Status, str],
) -> None:
    end = answered(grower, *verdicts)
    assert ((end.status, end.code) if isinstance(end, Ended) else end) == expected


def test_a_user_is_looked_up_by_external_id_then_by_email_and_then_posted() -> None:
    progress = next_step(answered(ADA, page())).progress
    assert (progress.action, progress.look) == (UserAction.LOOK, 1)
    assert next_step(answered(ADA, page(), page())).progress.action is UserAction.POST
    assert [value for _, value in CAPITALS.lookups] == ["ADA@Example.com", "ada@example.com"]


def test_a_partial_match_is_another_user() -> None:
    assert next_step(answered(ADA, page(change(HERS, external_id="G-11")))).progress.look == 1


@pytest.mark.parametrize("total", [None, 250])
def test_absence_needs_a_filter_or_all_pages(total: int | None) -> None:
    crowd = [LeafUser(f"{n:036}", f"X-{n}", f"x{n}@example.com") for n in range(100)]
    ended = answered(ADA, page(*crowd, total=total))
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == (Status.FAILED, UNFILTERED)


def test_a_page_with_all_users_is_enough() -> None:
    crowd = [LeafUser(f"{n:036}", f"X-{n}", f"x{n}@example.com") for n in range(5)]
    assert isinstance(answered(ADA, page(*crowd, HERS, total=6)), Known)
    assert next_step(answered(ADA, page(*crowd, total=5))).progress.look == 1


def test_later_pages_are_read_up_to_a_limit() -> None:
    full_page = [LeafUser(f"{n:036}", f"G-1{n:03}", "") for n in range(LAST)]
    assert next_step(answered(ADA, page(*full_page))).progress.page == 1
    assert isinstance(answered(ADA, page(*full_page), page(HERS)), Known)
    ended = answered(ADA, *[page(*full_page)] * MOST_PAGES)
    assert isinstance(ended, Ended)
    assert ended.code == UNFILTERED


@pytest.mark.parametrize("name", ["name", "email"])
def test_a_row_without_a_required_field_is_invalid_only_if_there_is_no_user(name: str) -> None:
    lacking = replace(ADA, cells={key: text for key, text in TOLD.items() if key != name})
    assert isinstance(answered(lacking, page(HERS)), Known)
    looks = [page()] * len(lacking.lookups)
    ended = answered(lacking, *looks)
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == (Status.INVALID, f"missing-{name}")


def test_after_a_lost_reply_absence_is_accepted_late() -> None:
    progress = next_step(answered(ADA, page(), page(), Ambiguous("connection-lost"))).progress
    elapsed, looks = 0.0, 0
    while progress.action is UserAction.LOOK:
        looks += progress.look == 1
        step = next_step(decide(progress, page(), ADA, POLICY, Moment(elapsed, 0.5)))
        progress, elapsed = step.progress, elapsed + step.after
        assert looks < 50
    assert looks >= LOOKS
    assert elapsed >= 2 * POLICY.settle


@pytest.mark.parametrize(
    ("looks", "elapsed", "posts", "expected"),
    [
        (LOOKS - 1, 900.0, 1, UserAction.LOOK),
        (LOOKS, 0.0, 1, UserAction.LOOK),
        (LOOKS, 2 * POLICY.settle, 1, UserAction.POST),
        (LOOKS, 2 * POLICY.settle, POLICY.attempts, (Status.FAILED, "no-answer")),
        (LOOKS, POLICY.patience + 1, 1, (Status.FAILED, "no-answer")),
    ],
)
def test_absence_takes_time_and_several_lookups(
    looks: int, elapsed: float, posts: int, expected: UserAction | tuple[Status, str]
) -> None:
    lost = replace(begin(ADA, POLICY), suspect=True, look=1, settles_at=POLICY.settle, failures=3)
    step = decide(replace(lost, looks=looks - 1, posts=posts), page(), ADA, POLICY, Moment(elapsed, 0.5))
    if isinstance(step, Next):
        assert step.progress.action is expected
        assert (step.progress.failures, step.progress.seen, step.progress.entries) == (0, frozenset(), 0)
        assert step.progress.suspect is (expected is UserAction.LOOK)
        assert posting(step.progress).posts == posts + 1
    else:
        assert isinstance(step, Ended)
        assert (step.status, step.code) == expected


def test_each_lookup_begins_at_the_first_page() -> None:
    other = change(HERS, external_id="G-1x")
    step = next_step(answered(ADA, Transient("dns-failure"), page(other, total=2)))
    assert (step.progress.page, step.progress.failures) == (1, 0)
    step = next_step(answered(ADA, page(other, total=2), page(other, total=2)))
    assert (step.progress.look, step.progress.page, step.progress.entries) == (1, 0, 0)


def test_a_user_that_appears_after_a_lost_reply_counts_as_created() -> None:
    found = answered(ADA, page(), page(), Ambiguous("no-answer"), page(), page(), page(HERS))
    assert isinstance(found, Known)
    assert found.origin is UserOrigin.CREATED


def test_a_claimed_user_is_looked_up_before_the_refusal_counts() -> None:
    taken = UserExists("leaf:userexists", "HTTP 400")
    step = answered(ADA, page(), page(), taken)
    assert next_step(step).progress.action is UserAction.LOOK
    assert isinstance(answered(ADA, page(), page(), taken, page(HERS)), Known)
    progress, elapsed, end = next_step(step).progress, 0.0, step
    while isinstance(end, Next):
        end = decide(progress, page(), ADA, POLICY, Moment(elapsed, 0.5))
        if isinstance(end, Next):
            progress, elapsed = end.progress, elapsed + end.after
            assert progress.action is UserAction.LOOK
    assert isinstance(end, Ended)
    assert (end.status, end.code) == (Status.REJECTED, "leaf:userexists")


def test_after_an_open_intent_absence_is_accepted_late() -> None:
    unsure = replace(ADA, open_intent=True)
    assert next_step(answered(unsure, page(), page())).progress.action is UserAction.LOOK
    # An earlier run that has lost its lock may still send for a while.
    assert begin(unsure, replace(POLICY, overlap=40.0)).settles_at == POLICY.settle + 40.0
    found = answered(unsure, page(HERS))
    assert isinstance(found, Known)
    assert found.origin is UserOrigin.CREATED


def test_a_refusal_is_final_unless_a_post_is_unknown() -> None:
    refused = Refused("leaf:no", "HTTP 400")
    ended = answered(ADA, page(), page(), refused)
    assert isinstance(ended, Ended)
    assert ended.status is Status.REJECTED
    ended = answered(ADA, page(), page(), Ambiguous("connection-lost"), refused)
    assert isinstance(ended, Ended)
    assert ended.status is Status.UNRESOLVED


def test_a_grower_is_given_up_after_too_many_failures() -> None:
    step = answered(ADA, Throttled(5.0))
    assert next_step(step).after == 5.0
    ended = decide(next_step(step).progress, Throttled(5.0), ADA, POLICY, Moment(POLICY.patience, 0.5))
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == (Status.FAILED, "throttled-too-long")
    ended = answered(ADA, *[Transient("dns-failure")] * POLICY.attempts)
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == (Status.FAILED, "dns-failure")


def test_an_interrupted_grower_is_unresolved_if_a_post_may_have_been_stored() -> None:
    progress = begin(ADA, POLICY)
    assert stopped(progress, "interrupted", on_the_wire=False).status is Status.NOT_ATTEMPTED
    assert stopped(progress, "interrupted", on_the_wire=True).status is Status.UNRESOLVED


def test_a_refused_login_is_not_an_outcome_of_a_user() -> None:
    with pytest.raises(ValueError, match="login"):
        answered(ADA, Unauthorised())


# --- a Leaf that takes time ---------------------------------------------------------------------------


@dataclass
class Slow:
    """A Leaf that stores a POST at once or later, lists it even later, and may lose any reply.

    Times in seconds. Nothing takes longer than the policy allows for.
    """

    refuses: bool
    users: list[float] = field(default_factory=list)  # when each is listed

    def look(self, at: float, lost: bool) -> LookUpVerdict:
        if lost:
            return Ambiguous("connection-lost")
        listed = [change(HERS, leaf_user_id=f"{n:036}") for n, when in enumerate(self.users) if when <= at]
        return page(*listed)

    def post(self, at: float, lost: bool, stored: bool, late: float, lag: float) -> CreateUserVerdict:
        if self.refuses and self.users:
            return UserExists("leaf:userexists")
        if stored:
            self.users.append(at + (late if lost else 0.0) + lag)
        if lost:
            return Ambiguous("no-answer")
        return UserCreated(f"{len(self.users) - 1:036}") if stored else Transient("connection-refused")


@given(st.data(), st.booleans(), st.booleans())
def test_a_grower_never_gets_two_users(data: st.DataObject, refuses: bool, killed: bool) -> None:
    leaf, at = Slow(refuses), 1000.0
    open_intent = False
    for life in range(3):
        grower = replace(ADA, open_intent=open_intent)
        began, progress = at, begin(grower, POLICY)
        end: UserStep | None = None
        for _ in range(200):
            at += 0.1
            lost = data.draw(st.integers(0, 3)) == 0
            if progress.action is UserAction.POST:
                progress, open_intent = posting(progress), True
                late = data.draw(st.floats(0, 29))
                lag = data.draw(st.floats(0, 29))
                verdict: LookUpVerdict | CreateUserVerdict = leaf.post(
                    at, lost, data.draw(st.booleans()) or not lost, late if lost else 0.0, lag
                )
                if killed and life < 2:
                    break
            else:
                verdict = leaf.look(at, lost)
            end = decide(progress, verdict, grower, POLICY, Moment(at - began, 0.5))
            if not isinstance(end, Next):
                break
            progress, at = end.progress, at + end.after
        assert len(leaf.users) <= 1
        if isinstance(end, Known):
            assert leaf.users
            return
        if isinstance(end, Ended) and end.status is not Status.UNRESOLVED:
            open_intent = False
