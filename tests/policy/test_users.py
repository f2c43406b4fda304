"""The decisions about a newcomer, held against a Leaf that lists late and loses answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from bulk_onboard.model import Ambiguous, Refused, Status, Throttled, Transient, Unauthorised
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


def told(*users: LeafUser, total: int | None = None) -> UsersPage:
    return UsersPage(users, total)


def answered(
    newcomer: UnresolvedGrower, *verdicts: LookUpVerdict | CreateUserVerdict, elapsed: float = 0.0
) -> UserStep:
    """Where a newcomer is after these answers."""
    progress = begin(newcomer, POLICY)
    step: UserStep = Next(progress)
    for verdict in verdicts:
        assert isinstance(step, Next)
        progress = posting(step.progress) if step.progress.action is UserAction.POST else step.progress
        step = decide(progress, verdict, newcomer, POLICY, Moment(elapsed, 0.5))
    return step


def onward(step: UserStep) -> Next[UserProgress]:
    assert isinstance(step, Next)
    return step


def test_who_is_found_by_the_external_id_is_not_looked_for_by_email() -> None:
    assert answered(ADA, told(HERS)) == Known(HERS.leaf_user_id, UserOrigin.FOUND, UserKey.EXTERNAL_ID)


def test_who_is_not_found_by_the_external_id_is_looked_for_by_email() -> None:
    step = onward(answered(ADA, told()))
    assert (step.progress.action, step.progress.look) == (UserAction.LOOK, 1)
    assert answered(ADA, told(), told(replace_of(HERS, external_id=""))) == Known(
        HERS.leaf_user_id, UserOrigin.FOUND, UserKey.EMAIL
    )


def replace_of(user: LeafUser, **changes: str) -> LeafUser:
    return user._replace(**changes)


def test_who_is_nowhere_is_posted() -> None:
    assert onward(answered(ADA, told(), told())).progress.action is UserAction.POST
    assert answered(ADA, told(), told(), UserCreated("2" * 36)) == Known("2" * 36, UserOrigin.CREATED)


def test_emails_are_the_same_in_any_case_of_letters() -> None:
    found = answered(BY_EMAIL, told(replace_of(HERS, email="ADA@Example.COM")))
    assert isinstance(found, Known)


def test_an_email_is_also_looked_for_in_small_letters_for_leaf_may_mind_them() -> None:
    shouting = replace(BY_EMAIL, cells={"email": "ADA@Example.com", "name": "Ada"})
    assert [value for _, value in shouting.lookups] == ["ADA@Example.com", "ada@example.com"]
    assert isinstance(answered(shouting, told(), told(HERS)), Known)
    assert onward(answered(shouting, told(), told())).progress.action is UserAction.POST


def test_two_that_match_are_nobody_s_to_guess() -> None:
    ended = answered(ADA, told(HERS, replace_of(HERS, leaf_user_id="3" * 36)))
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == (Status.REJECTED, SEVERAL)


def test_the_same_user_twice_in_a_list_is_one() -> None:
    assert isinstance(answered(ADA, told(HERS, HERS)), Known)


def test_an_email_of_somebody_with_another_external_id_is_somebody_else_s() -> None:
    ended = answered(ADA, told(), told(replace_of(HERS, external_id="G-9")))
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == (Status.REJECTED, OTHER)


def test_an_external_id_in_another_case_of_letters_is_neither_the_same_nor_another() -> None:
    ended = answered(ADA, told(replace_of(HERS, external_id="g-1")))
    assert isinstance(ended, Ended)
    assert ended.code == SIMILAR


def test_what_a_filter_lets_through_by_a_part_is_compared_here() -> None:
    step = onward(answered(ADA, told(replace_of(HERS, external_id="G-11"))))
    assert step.progress.look == 1


@pytest.mark.parametrize("total", [None, 250])
def test_a_leaf_that_does_not_filter_is_not_believed_beyond_a_page(total: int | None) -> None:
    crowd = [LeafUser(f"{n:036}", f"X-{n}", f"x{n}@example.com") for n in range(100)]
    ended = answered(ADA, told(*crowd, total=total))
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == (Status.FAILED, UNFILTERED)


def test_a_leaf_that_does_not_filter_is_understood_if_all_its_users_are_on_the_page() -> None:
    crowd = [LeafUser(f"{n:036}", f"X-{n}", f"x{n}@example.com") for n in range(5)]
    assert isinstance(answered(ADA, told(*crowd, HERS, total=6)), Known)
    assert onward(answered(ADA, told(*crowd, total=5))).progress.look == 1


def test_a_list_that_does_not_show_what_it_was_asked_by_proves_nothing() -> None:
    ended = answered(ADA, told(replace_of(HERS, external_id="")))
    assert isinstance(ended, Ended)
    assert ended.code == UNFILTERED


def test_matches_on_later_pages_count_and_pages_come_to_an_end() -> None:
    page = [LeafUser(f"{n:036}", f"G-1{n:03}", "") for n in range(LAST)]
    assert onward(answered(ADA, told(*page))).progress.page == 1
    assert isinstance(answered(ADA, told(*page), told(HERS)), Known)
    ended = answered(ADA, *[told(*page)] * MOST_PAGES)
    assert isinstance(ended, Ended)
    assert ended.code == UNFILTERED


@pytest.mark.parametrize("name", ["name", "email"])
def test_without_what_a_post_needs_the_row_is_invalid_but_only_if_there_is_no_user(name: str) -> None:
    lacking = replace(ADA, cells={key: text for key, text in TOLD.items() if key != name})
    assert isinstance(answered(lacking, told(HERS)), Known)
    looks = [told()] * len(lacking.lookups)
    ended = answered(lacking, *looks)
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == (Status.INVALID, f"missing-{name}")


def test_after_a_lost_answer_absence_is_believed_late_and_after_several_looks() -> None:
    progress = onward(answered(ADA, told(), told(), Ambiguous("connection-lost"))).progress
    elapsed, looks = 0.0, 0
    while progress.action is UserAction.LOOK:
        looks += progress.look == 1
        step = onward(decide(progress, told(), ADA, POLICY, Moment(elapsed, 0.5)))
        progress, elapsed = step.progress, elapsed + step.after
        assert looks < 50
    assert looks >= LOOKS
    assert elapsed >= 2 * POLICY.settle


def test_who_appears_late_after_a_lost_answer_counts_as_created() -> None:
    found = answered(ADA, told(), told(), Ambiguous("no-answer"), told(), told(), told(HERS))
    assert isinstance(found, Known)
    assert found.origin is UserOrigin.CREATED


def test_a_user_that_leaf_claims_to_have_is_looked_for_and_else_its_refusal_is_the_end() -> None:
    taken = UserExists("leaf:userexists", "HTTP 400")
    step = answered(ADA, told(), told(), taken)
    assert onward(step).progress.action is UserAction.LOOK
    assert isinstance(answered(ADA, told(), told(), taken, told(HERS)), Known)
    progress, elapsed, end = onward(step).progress, 0.0, step
    while isinstance(end, Next):
        end = decide(progress, told(), ADA, POLICY, Moment(elapsed, 0.5))
        if isinstance(end, Next):
            progress, elapsed = end.progress, elapsed + end.after
            assert progress.action is UserAction.LOOK
    assert isinstance(end, Ended)
    assert (end.status, end.code) == (Status.REJECTED, "leaf:userexists")


def test_an_open_intent_makes_a_look_careful_from_the_start() -> None:
    known_of = replace(ADA, open_intent=True)
    assert onward(answered(known_of, told(), told())).progress.action is UserAction.LOOK
    found = answered(known_of, told(HERS))
    assert isinstance(found, Known)
    assert found.origin is UserOrigin.CREATED


def test_a_no_is_a_no_unless_a_post_is_unsettled() -> None:
    refused = Refused("leaf:no", "HTTP 400")
    ended = answered(ADA, told(), told(), refused)
    assert isinstance(ended, Ended)
    assert ended.status is Status.REJECTED
    ended = answered(ADA, told(), told(), Ambiguous("connection-lost"), refused)
    assert isinstance(ended, Ended)
    assert ended.status is Status.UNRESOLVED


def test_patience_ends_with_what_is_known() -> None:
    step = answered(ADA, Throttled(5.0))
    assert onward(step).after == 5.0
    ended = decide(onward(step).progress, Throttled(5.0), ADA, POLICY, Moment(POLICY.patience, 0.5))
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == (Status.FAILED, "throttled-too-long")
    ended = answered(ADA, *[Transient("dns-failure")] * POLICY.attempts)
    assert isinstance(ended, Ended)
    assert (ended.status, ended.code) == (Status.FAILED, "dns-failure")


def test_an_interruption_leaves_unresolved_what_may_have_been_stored() -> None:
    progress = begin(ADA, POLICY)
    assert stopped(progress, "interrupted", on_the_wire=False).status is Status.NOT_ATTEMPTED
    assert stopped(progress, "interrupted", on_the_wire=True).status is Status.UNRESOLVED


def test_a_refused_login_is_no_verdict_about_a_newcomer() -> None:
    with pytest.raises(ValueError, match="login"):
        answered(ADA, Unauthorised())


# --- a Leaf with time -----------------------------------------------------------------------------------


@dataclass
class Slow:
    """A Leaf that takes a POST at once or later, lists it later still, and may lose any answer.

    Times in seconds. Nothing takes longer than the policy allows for: that is what it is about.
    """

    refuses: bool
    users: list[float] = field(default_factory=list)  # when each is listed

    def look(self, at: float, lost: bool) -> LookUpVerdict:
        if lost:
            return Ambiguous("connection-lost")
        listed = [
            replace_of(HERS, leaf_user_id=f"{n:036}") for n, when in enumerate(self.users) if when <= at
        ]
        return told(*listed)

    def post(self, at: float, lost: bool, stored: bool, late: float, lag: float) -> CreateUserVerdict:
        if self.refuses and self.users:
            return UserExists("leaf:userexists")
        if stored:
            self.users.append(at + (late if lost else 0.0) + lag)
        if lost:
            return Ambiguous("no-answer")
        return UserCreated(f"{len(self.users) - 1:036}") if stored else Transient("connection-refused")


@given(st.data(), st.booleans(), st.booleans())
def test_a_newcomer_never_gets_two_users_whatever_is_lost_and_however_late_it_is_listed(
    data: st.DataObject, refuses: bool, killed: bool
) -> None:
    leaf, at = Slow(refuses), 1000.0
    open_intent = False
    for life in range(3):
        newcomer = replace(ADA, open_intent=open_intent)
        began, progress = at, begin(newcomer, POLICY)
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
            end = decide(progress, verdict, newcomer, POLICY, Moment(at - began, 0.5))
            if not isinstance(end, Next):
                break
            progress, at = end.progress, at + end.after
        assert len(leaf.users) <= 1
        if isinstance(end, Known):
            assert leaf.users
            return
        if isinstance(end, Ended) and end.status is not Status.UNRESOLVED:
            open_intent = False
