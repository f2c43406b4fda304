"""Who needs attention, since when, and what has changed: held against a plain dictionary."""

from __future__ import annotations

import uuid
from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.concerns import RUNS, SINCE, Change, Concerns, Reckoning, change_since, joined, pack, unpack

BAD = {"invalid", "rejected", "failed", "unresolved", "unhealthy"}
WELL = {"created", "existing"}
STATUSES = [*sorted(BAD), *sorted(WELL), "duplicate", "not_attempted"]


def grower(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(number)))


def page(rows: list[tuple[str, str]]) -> pd.DataFrame:
    """Results of rows: leafUserId and status, of which "unhealthy" is a connected grower's."""
    ids, ends = [row[0] for row in rows], [row[1] for row in rows]
    status = ["existing" if end == "unhealthy" else end for end in ends]
    health = ["unhealthy" if end == "unhealthy" else "" for end in ends]
    texts = {"leafUserId": ids, "provider": ["raven"] * len(rows), "status": status, "health": health}
    texts |= {"code": [f"{end}-code" for end in ends], SINCE: [""] * len(rows)}
    columns = {name: pd.Series(column, dtype="str") for name, column in texts.items()}
    empty = pd.arrays.IntegerArray(np.zeros(len(rows), np.int64), np.ones(len(rows), bool))
    return pd.DataFrame(columns | {RUNS: pd.Series(empty)})


def reckoned(before: Concerns, began: str, rows: list[tuple[str, str]], size: int = 3) -> Reckoning:
    """A run whose results are so many rows a page."""
    found = Reckoning(before, began)
    for at in range(0, len(rows), size):
        found.add(page(rows[at : at + size]))
    return found


def told(concerns: Concerns) -> dict[str, tuple[str, int]]:
    lines = concerns.growers.to_pylist()
    return {line["grower"].removeprefix("raven "): (line["since"], line["runs"]) for line in lines}


nights = st.lists(
    st.dictionaries(st.integers(0, 6).map(grower), st.sampled_from(STATUSES)).map(lambda d: list(d.items())),
    max_size=6,
)


@given(nights)
def test_a_grower_fails_since_the_first_of_the_runs_in_which_it_failed_without_a_break(
    nights: list[list[tuple[str, str]]],
) -> None:
    known, plain = Concerns(), dict[str, tuple[str, int]]()
    for number, rows in enumerate(nights):
        began = f"night {number}"
        found = reckoned(known, began, rows)
        before = dict(plain)
        for user, end in rows:
            if end in BAD:
                since, runs = plain.get(user, (began, 0))
                plain[user] = (since, runs + 1)
            elif end in WELL:
                plain.pop(user, None)
        last, known = known, unpack(pack(found.concerns()))
        assert told(known) == plain
        new = Counter((end, f"{end}-code") for user, end in rows if end in BAD and user not in before)
        assert change_since(last, known) == Change(
            worse=dict(new),
            recovered=len(before.keys() - plain.keys()),
            lasting=len(before.keys() & plain.keys()),
        )


def test_each_row_that_needs_attention_is_told_its_age_and_no_other_row_is() -> None:
    first = Reckoning(Concerns(), "one")
    first.add(page([(grower(1), "failed"), (grower(2), "existing")]))
    second = Reckoning(first.concerns(), "two")
    aged = second.add(page([(grower(2), "unhealthy"), (grower(1), "rejected"), (grower(3), "created")]))
    assert aged[SINCE].tolist() == ["two", "one", ""]
    assert aged[RUNS].tolist() == [1, 2, pd.NA]


def test_a_report_written_again_tells_the_same_ages() -> None:
    rows = [(grower(1), "failed"), (grower(2), "existing"), (grower(3), "unhealthy")]
    before = reckoned(Concerns(), "one", rows[:1]).concerns()
    first = Reckoning(before, "two")
    aged = first.add(page(rows))
    again = Reckoning(first.concerns(), "two", again=True).add(page(rows))
    pd.testing.assert_frame_equal(aged, again)


def test_two_rows_of_one_grower_are_one_concern_and_one_good_row_does_not_cure_it() -> None:
    rows = [(grower(1), "invalid"), (grower(1), "invalid")]
    known = reckoned(Concerns(), "one", rows).concerns()
    assert told(known) == {grower(1): ("one", 1)}
    found = reckoned(known, "two", [(grower(1), "existing"), (grower(1), "invalid")], size=1)
    assert (change_since(known, found.concerns()).recovered, told(found.concerns())) == (
        0,
        {grower(1): ("one", 2)},
    )


def test_the_same_grower_at_another_provider_is_another_concern() -> None:
    known = reckoned(Concerns(), "one", [(grower(1), "failed")]).concerns()
    other = page([(grower(1), "existing")]).assign(provider="cnhi")
    found = Reckoning(known, "two")
    found.add(other)
    assert (change_since(known, found.concerns()).recovered, len(found.concerns().growers)) == (0, 1)


def test_rows_without_a_grower_are_counted_and_only_more_of_them_are_worse() -> None:
    nameless = [("", "invalid"), ("no id", "invalid"), ("no id", "invalid")]
    known = unpack(pack(reckoned(Concerns(), "one", nameless[:2]).concerns()))
    assert change_since(known, reckoned(known, "two", nameless[:1]).concerns()) == Change()
    more = change_since(known, reckoned(known, "two", nameless).concerns())
    assert more.worse == {("invalid", "invalid-code"): 1}
    assert reckoned(Concerns(), "one", nameless).add(page(nameless))[SINCE].tolist() == ["", "", ""]


def test_what_is_known_of_each_provider_comes_from_the_latest_run_that_had_it() -> None:
    first = Reckoning(Concerns(), "one")
    first.add(page([(grower(1), "failed"), (grower(2), "failed")]))
    first.add(page([(grower(1), "rejected")]).assign(provider="cnhi"))
    second = reckoned(Concerns(), "two", [(grower(3), "failed"), ("", "invalid")]).concerns()
    known = joined({"raven": second, "cnhi": first.concerns()}, second)
    assert sorted(known.growers["grower"].to_pylist()) == [f"cnhi {grower(1)}", f"raven {grower(3)}"]
    assert known.nameless == {("invalid", "invalid-code"): 1}
