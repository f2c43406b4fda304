"""A plan is found again by provider, grower and fingerprint, and nothing is done that it does not say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest
from fakes import row
from hypothesis import given
from hypothesis import strategies as st
from warp import BEGINNING

from bulk_onboard.chunk import Chunk, chunk
from bulk_onboard.errors import InputError, UsageError
from bulk_onboard.listing import words
from bulk_onboard.model import Credential, Echo, IfExists, Intent, Status
from bulk_onboard.plan import COLUMNS, Plan, Planned, kept_to, plan_of, print_words
from bulk_onboard.policy.credentials import Action, Finish, Gone, Next, Progress, Step

IDS = st.integers(0, 2**128 - 1).map(lambda n: str(UUID(int=n)))
PRINTS = st.integers(0, 2**128 - 1).map(lambda n: f"{n:032x}")
HERE = ("https://leaf.example", "me@example.com")
ACTIONS = st.sampled_from(
    ["would_create", "would_replace", "existing", "rejected", "invalid", "failed", "no_such_user", ""]
)
SAYS = {
    "would_create": Planned.CREATE,
    "would_replace": Planned.REPLACE,
    "existing": Planned.EXISTING,
    "rejected": Planned.REJECTED,
    "no_such_user": Planned.NO_SUCH_USER,
}


@dataclass
class FakeSource:
    """A plan.csv with these lines."""

    lines: Sequence[tuple[str, ...]]
    header: tuple[str, ...] = COLUMNS
    name: str = "plan.csv"

    def chunks(self, columns: Sequence[int], size: int = 3) -> Iterator[Chunk]:
        for start in range(0, len(self.lines), size):
            part = self.lines[start : start + size]
            yield chunk(range(len(part)), [[line[at] for line in part] for at in columns])


def plan(*lines: tuple[str, str, str, str]) -> Plan:
    """A plan of leafUserId, provider, action and fingerprint."""
    return _of([("2", *HERE, i, p, a, "", "", f) for i, p, a, f in lines])


def _of(lines: Sequence[tuple[str, ...]]) -> Plan:
    return plan_of(FakeSource(lines))  # type: ignore[arg-type]


def says(known: Plan, provider: str, grower: str, fingerprint: str) -> Planned:
    return Planned(known.of(provider, words([grower]), print_words([fingerprint]))[0])


@given(
    st.dictionaries(st.tuples(IDS, st.sampled_from(["raven", "cnhi"])), st.tuples(ACTIONS, PRINTS)),
    IDS,
    PRINTS,
)
def test_every_row_is_found_as_planned_and_nobody_else(
    lines: dict[tuple[str, str], tuple[str, str]], other: str, another: str
) -> None:
    known = plan(*((i, p, action, f) for (i, p), (action, f) in lines.items()))
    for (grower, provider), (action, fingerprint) in lines.items():
        planned = SAYS.get(action, Planned.NOTHING)
        assert says(known, provider, grower, fingerprint) is planned
        changed = fingerprint != another and planned in {Planned.CREATE, Planned.REPLACE}
        assert says(known, provider, grower, another) is (Planned.CHANGED if changed else planned)
    if not any(grower == other for grower, _ in lines):
        assert says(known, "raven", other, another) is Planned.NOTHING
    assert known.replaces == sum(action == "would_replace" for action, _ in lines.values())


@pytest.mark.parametrize(
    ("leaf", "owner"), [("https://other.example", HERE[1]), (HERE[0], "you@example.com"), ("", HERE[1])]
)
def test_a_plan_of_another_leaf_or_owner_is_refused(leaf: str, owner: str) -> None:
    line = ("2", *HERE, str(UUID(int=1)), "raven", "would_create", "", "", "0" * 32)
    other = ("3", leaf, owner, str(UUID(int=2)), "raven", "would_create", "", "", "0" * 32)
    _of([line]).require(*HERE)
    for lines in ([other], [line, other]):
        with pytest.raises(UsageError, match="was made"):
            _of(lines).require(*HERE)


def test_a_plan_without_a_line_plans_nothing() -> None:
    assert says(plan(), "raven", str(UUID(int=1)), "0" * 32) is Planned.NOTHING


@pytest.mark.parametrize(("grower", "fingerprint"), [("x", "0" * 32), (str(UUID(int=1)), ""), ("", "1e33")])
def test_a_line_that_was_damaged_makes_it_no_plan(grower: str, fingerprint: str) -> None:
    with pytest.raises(InputError, match="1 lines have no whole leafUserId"):
        plan((grower, "raven", "would_create", fingerprint))


# --- keeping to it --------------------------------------------------------------------------------------

HELD = Credential("c-1", "OK", None, Echo.DIFFERENT)
ASK, POST = Progress(Action.ASK), Progress(Action.POST)
EXISTING = Finish(Status.EXISTING, "token-changed", credential=HELD)


def kept(
    step: Step, *, replaces: bool = False, before: Progress = ASK, mode: IfExists = IfExists.SKIP
) -> Step:
    return kept_to(row(), step, before, replaces=replaces, mode=mode)


def test_what_was_planned_is_done() -> None:
    assert kept(Next(ASK)) == Next(ASK)
    assert kept(Next(POST)) == Next(POST)
    assert kept(Finish(Status.CREATED)) == Finish(Status.CREATED)
    assert kept(EXISTING, replaces=True, mode=IfExists.OVERWRITE) == Next(POST)


def test_who_is_connected_by_now_is_left_as_is() -> None:
    end = kept(EXISTING)
    assert isinstance(end, Finish)
    assert (end.status, end.code, end.credential) == (Status.EXISTING, "plan-outdated", HELD)
    assert end.message == "planned as would_create, but Leaf holds credentials by now"


def test_nobody_is_deleted_who_was_to_be_created() -> None:
    class Other:
        """An action that is neither a question nor a POST."""

    step = Next(Progress(Other()))  # type: ignore[arg-type]
    end = kept(step)
    assert isinstance(end, Finish)
    assert (end.status, end.code) == (Status.EXISTING, "plan-outdated")
    assert kept(step, replaces=True) == step


def test_who_has_nothing_by_now_is_not_replaced() -> None:
    end = kept(Next(POST), replaces=True)
    assert isinstance(end, Finish)
    assert (end.status, end.code) == (Status.NOT_ATTEMPTED, "plan-outdated")


def test_what_was_sent_is_brought_to_its_end_whatever_is_planned() -> None:
    for sent in (Progress(Action.ASK, posts=1), Progress(Action.ASK, deletes=1, gone=Gone.MAYBE)):
        assert kept(Next(POST), replaces=True, before=sent) == Next(POST)
        assert kept(EXISTING, replaces=True, before=sent) == EXISTING
    unsettled = row(intent=Intent(BEGINNING))
    step = kept_to(unsettled, Next(POST), ASK, replaces=True, mode=IfExists.OVERWRITE)
    assert step == Next(POST)
