"""A plan is found again by provider, grower and fingerprint, and nothing is done that it does not say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.chunk import Chunk, make_chunk
from bulk_onboard.domain.model import Credential, Echo, IfExists, Intent, Recorded, Status
from bulk_onboard.engine.plan import COLUMNS, Plan, plan_of
from bulk_onboard.errors import InputError, UsageError
from bulk_onboard.policy.plan import kept_to
from bulk_onboard.policy.progress import Action, Finish, Gone, Progress, Step
from bulk_onboard.policy.retry import Next
from bulk_onboard.workspace import Workspace
from tests.support.fakes import row
from tests.support.properties import scaled
from tests.support.virtual_time import BEGINNING

IDS = st.integers(0, 2**128 - 1).map(lambda n: str(UUID(int=n)))
PRINTS = st.integers(0, 2**128 - 1).map(lambda n: f"{n:032x}")
HERE = ("https://leaf.example", "me@example.com")
CREATED = "2026-01-02T03:04:05.000006Z"
ACTIONS = st.sampled_from(
    [
        "would_create",
        "would_replace",
        "existing",
        "rejected",
        "invalid",
        "failed",
        "no_such_user",
        "duplicate",
    ]
)
SAYS = ["would_create", "would_replace", "existing", "rejected", "no_such_user"]


@dataclass
class FakeSource:
    """A plan.csv with these lines."""

    lines: Sequence[tuple[str, ...]]
    header: tuple[str, ...] = COLUMNS
    name: str = "plan.csv"

    def chunks(self, columns: Sequence[int], size: int = 3) -> Iterator[Chunk]:
        for start in range(0, len(self.lines), size):
            part = self.lines[start : start + size]
            yield make_chunk(range(len(part)), [[line[at] for line in part] for at in columns])


def plan(*lines: tuple[str, str, str, str]) -> Plan:
    """A plan of leafUserId, provider, action and fingerprint."""
    held = ("c-1", CREATED)
    return _of([("2", *HERE, i, p, a, "", "", f, *held) for i, p, a, f in lines])


def _of(lines: Sequence[tuple[str, ...]]) -> Plan:
    return plan_of(FakeSource(lines))  # type: ignore[arg-type]


def says(known: Plan, provider: str, grower: str, fingerprint: str) -> str:
    """What the plan says of one row to do."""
    with Workspace() as workspace:
        row = {
            "row": [2],
            "provider": [provider],
            "id": [grower],
            "fingerprint": [bytes.fromhex(fingerprint)],
        }
        workspace.load_rows(pa.table(row))
        return str(workspace.planned(known.lines)["says"][0])


@given(
    st.dictionaries(
        st.tuples(IDS, st.sampled_from(["raven", "cnhi"])), st.tuples(ACTIONS, PRINTS), max_size=4
    ),
    IDS,
    PRINTS,
)
@settings(max_examples=scaled(25))
def test_each_row_is_matched_with_its_line(
    lines: dict[tuple[str, str], tuple[str, str]], other: str, another: str
) -> None:
    known = plan(*((i, p, action, f) for (i, p), (action, f) in lines.items()))
    for (grower, provider), (action, fingerprint) in lines.items():
        planned = action if action in SAYS else "not-in-plan"
        assert says(known, provider, grower, fingerprint) == planned
        changed = fingerprint != another and planned in {"would_create", "would_replace"}
        assert says(known, provider, grower, another) == ("changed" if changed else planned)
    if not any(grower == other for grower, _ in lines):
        assert says(known, "raven", other, another) == "not-in-plan"
    assert known.replaces == sum(action == "would_replace" for action, _ in lines.values())


@pytest.mark.parametrize(
    ("leaf", "owner"), [("https://other.example", HERE[1]), (HERE[0], "you@example.com"), ("", HERE[1])]
)
def test_a_plan_of_another_leaf_or_owner_is_refused(leaf: str, owner: str) -> None:
    line = ("2", *HERE, str(UUID(int=1)), "raven", "would_create", "", "", "0" * 32, "", "")
    other = ("3", leaf, owner, str(UUID(int=2)), "raven", "would_create", "", "", "0" * 32, "", "")
    _of([line]).require(*HERE)
    for lines in ([other], [line, other]):
        with pytest.raises(UsageError, match="was made"):
            _of(lines).require(*HERE)


def test_a_plan_without_a_line_plans_nothing() -> None:
    assert says(plan(), "raven", str(UUID(int=1)), "0" * 32) == "not-in-plan"


@pytest.mark.parametrize(("grower", "fingerprint"), [("x", "0" * 32), (str(UUID(int=1)), ""), ("", "1e33")])
def test_a_damaged_line_is_refused(grower: str, fingerprint: str) -> None:
    with pytest.raises(InputError, match="1 lines have no complete leafUserId"):
        plan((grower, "raven", "would_create", fingerprint))


# --- keeping to it --------------------------------------------------------------------------------------

HELD = Credential("c-1", "OK", None, Echo.DIFFERENT, CREATED)
PLANNED = Recorded("c-1", CREATED)
KEEP = Next(Progress(Action.SAVE_LOG, old=HELD))
ASK, POST = Progress(Action.ASK), Progress(Action.POST)
EXISTING = Finish(Status.EXISTING, "token-changed", credential=HELD)


def kept(
    step: Step, *, replaces: Recorded | None = None, before: Progress = ASK, mode: IfExists = IfExists.SKIP
) -> Step:
    return kept_to(row(), step, before, replaces=replaces, mode=mode)


def test_planned_actions_are_carried_out() -> None:
    assert kept(Next(ASK)) == Next(ASK)
    assert kept(Next(POST)) == Next(POST)
    assert kept(Finish(Status.CREATED)) == Finish(Status.CREATED)
    assert kept(EXISTING, replaces=PLANNED, mode=IfExists.OVERWRITE) == Next(POST)


def test_a_connected_grower_is_left_alone() -> None:
    end = kept(EXISTING)
    assert isinstance(end, Finish)
    assert (end.status, end.code, end.credential) == (Status.EXISTING, "plan-outdated", HELD)
    assert end.message == "planned as would_create, but Leaf now holds credentials"


def test_a_planned_creation_never_deletes() -> None:
    end = kept(KEEP)
    assert isinstance(end, Finish)
    assert (end.status, end.code) == (Status.EXISTING, "plan-outdated")
    assert kept(KEEP, replaces=PLANNED) == KEEP


@pytest.mark.parametrize(
    ("found", "planned", "is_replaced"),
    [
        (("c-1", CREATED), PLANNED, True),
        (("c-1", "2026-01-02T03:04:05.000000Z"), PLANNED, True),  # some replies show fewer digits
        (("c-2", CREATED), PLANNED, False),
        (("c-1", "2026-01-02T03:09:05.000006Z"), PLANNED, False),
        (("c-1", ""), PLANNED, False),
        (("c-1", CREATED), Recorded("c-1", ""), False),
        (("c-1", ""), Recorded("c-1", ""), True),  # a Leaf that shows no time, now as then
    ],
)
@pytest.mark.parametrize("mode", [IfExists.REPLACE, IfExists.OVERWRITE])
def test_only_the_credentials_that_the_plan_names_are_replaced(
    found: tuple[str, str], planned: Recorded, is_replaced: bool, mode: IfExists
) -> None:
    shown = replace(HELD, id=found[0], created_time=found[1])
    step = (
        Next(Progress(Action.SAVE_LOG, old=shown))
        if mode is IfExists.REPLACE
        else replace(EXISTING, credential=shown)
    )
    end = kept(step, replaces=planned, mode=mode)
    assert isinstance(end, Next) is is_replaced
    assert is_replaced or (isinstance(end, Finish) and end.code == "plan-outdated")


def test_an_unknown_action_is_refused_with_its_rows() -> None:
    lines = [
        (str(UUID(int=n)), "raven", action, "0" * 32)
        for n, action in enumerate(["would_create", "delete", ""])
    ]
    with pytest.raises(InputError, match="unknown action in rows 1, 2; nothing was sent"):
        plan(*lines)


def test_a_replacement_without_credentials_is_refused() -> None:
    line = ("2", *HERE, str(UUID(int=1)), "raven", "would_replace", "", "", "0" * 32, "", "")
    with pytest.raises(InputError, match="1 lines have no complete"):
        _of([line])


def test_deleted_credentials_are_not_replaced() -> None:
    end = kept(Next(POST), replaces=PLANNED)
    assert isinstance(end, Finish)
    assert (end.status, end.code) == (Status.NOT_ATTEMPTED, "plan-outdated")


def test_sent_requests_are_completed_whatever_is_planned() -> None:
    for sent in (Progress(Action.ASK, posts=1), Progress(Action.ASK, deletes=1, gone=Gone.MAYBE)):
        assert kept(Next(POST), replaces=PLANNED, before=sent) == Next(POST)
        assert kept(EXISTING, replaces=PLANNED, before=sent) == EXISTING
    unsettled = row(intent=Intent(BEGINNING))
    step = kept_to(unsettled, Next(POST), ASK, replaces=PLANNED, mode=IfExists.OVERWRITE)
    assert step == Next(POST)
