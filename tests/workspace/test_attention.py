"""The growers that need attention, since when, and what has changed: held against a plain dictionary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.entry import Entry
from bulk_onboard.policy.attention import Change, RecordedAttention
from bulk_onboard.workspace import Workspace
from bulk_onboard.workspace.results import attention_after, change_since, create_results, load_attention
from tests.reports.pages import grower, workspace_of
from tests.support.properties import scaled

BAD = {"invalid", "rejected", "failed", "unresolved", "unhealthy"}
WELL = {"created", "existing"}
STATUSES = [*sorted(BAD), *sorted(WELL), "duplicate", "not_attempted"]


class Night(NamedTuple):
    """One run: what it recorded, what had changed, and the age that each row has in its results."""

    content: bytes
    change: Change
    ages: list[tuple[str, int | None]]
    known: dict[str, tuple[str, int]]


def night(
    before: Sequence[RecordedAttention],
    began: str,
    rows: Sequence[tuple[str | None, str]],
    *,
    again: bool = False,
) -> Night:
    """A run with these leafUserIds (None: no valid one) and statuses ("unhealthy": of a connected grower)."""
    entries = [
        Entry(
            row,
            "existing" if end == "unhealthy" else end,
            code=f"{end}-code",
            health=end * (end == "unhealthy"),
        )
        for row, (_, end) in enumerate(rows, 2)
    ]
    with workspace_of([""] * len(rows), entries, began=began, id=[user for user, _ in rows]) as workspace:
        if again:
            workspace.db.execute("SET VARIABLE ages_of = 'own'")
        load_attention(workspace, "own" if again else "last", before)
        content = attention_after(workspace)
        query = 'SELECT "failingSince", "failedRuns" FROM results ORDER BY row'
        known = workspace.query(
            "SELECT id::VARCHAR, since, runs FROM attention WHERE moment = 'now' AND id IS NOT NULL"
        )
        return Night(
            content,
            change_since(workspace, "last"),
            workspace.query(query),
            {user: (since, runs) for user, since, runs in known},
        )


def recorded(content: bytes, *providers: str) -> list[RecordedAttention]:
    return [RecordedAttention(content, providers or ("raven",), others=True)]


nights = st.lists(
    st.dictionaries(st.integers(0, 5).map(grower), st.sampled_from(STATUSES)).map(lambda d: list(d.items())),
    max_size=4,
)


@given(nights)
@settings(max_examples=scaled(20))
def test_failing_since_is_the_first_of_consecutive_failed_runs(
    nights: list[list[tuple[str, str]]],
) -> None:
    before: list[RecordedAttention] = []
    plain = dict[str, tuple[str, int]]()
    for number, rows in enumerate(nights):
        began, earlier = f"night {number}", dict(plain)
        for user, end in rows:
            if end in BAD:
                since, runs = plain.get(user, (began, 0))
                plain[user] = (since, runs + 1)
            elif end in WELL:
                plain.pop(user, None)
        found = night(before, began, rows)
        assert found.known == plain
        assert found.ages == [plain[user] if end in BAD else ("", None) for user, end in rows]
        new = Counter((end, f"{end}-code") for user, end in rows if end in BAD and user not in earlier)
        recovered, lasting = len(earlier.keys() - plain.keys()), len(earlier.keys() & plain.keys())
        assert found.change == Change(dict(new), recovered, lasting)
        assert night(recorded(found.content), began, rows, again=True)[2:] == found[2:]
        before = recorded(found.content)


def test_a_good_row_does_not_cure_a_grower_with_a_bad_row() -> None:
    first = night([], "one", [(grower(1), "invalid"), (grower(1), "invalid")])
    assert first.known == {grower(1): ("one", 1)}
    found = night(recorded(first.content), "two", [(grower(1), "existing"), (grower(1), "invalid")])
    assert (found.change.recovered, found.known) == (0, {grower(1): ("one", 2)})


def test_only_more_rows_without_a_grower_are_worse() -> None:
    before = recorded(night([], "one", [(None, "invalid")] * 2).content)
    assert night(before, "two", [(None, "invalid")]).change == Change()
    more = night(before, "two", [(None, "invalid")] * 3)
    assert more.change == Change({("invalid", "invalid-code"): 1})
    assert more.ages == [("", None)] * 3


def test_each_provider_counts_in_its_latest_run() -> None:
    content = night([], "one", [(grower(1), "failed"), (None, "invalid")]).content
    for providers, others, expected in (
        ("raven", True, 2),
        ("raven", False, 1),
        ("cnhi", True, 1),
        ("", False, 0),
    ):
        with Workspace() as workspace:
            create_results(workspace)
            load_attention(workspace, "last", [RecordedAttention(content, [providers], others)])
            assert len(workspace.query("FROM attention")) == expected
