"""A night's file that is suddenly empty, or suddenly all new, is refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.policy.stop_rules import too_few, too_many_new
from bulk_onboard.settings import RowLimit, Safety

rows = st.integers(0, 10**6)


@given(rows, rows)
def test_a_file_is_refused_exactly_when_it_has_fewer_rows_than_asked_for(held: int, wanted: int) -> None:
    assert bool(too_few("f.csv", held, Safety(min_rows=wanted))) == (held < wanted)


@given(rows, rows)
def test_so_many_new_growers_pass_and_not_one_more(new: int, most: int) -> None:
    assert bool(too_many_new("f.csv", new, 10**6, Safety(max_new=RowLimit(count=most)))) == (new > most)


@given(st.integers(1, 10**6), st.integers(0, 100))
def test_a_share_is_of_the_rows_of_the_file(held: int, percent: int) -> None:
    safety = Safety(max_new=RowLimit(share=percent / 100))
    most = held * percent // 100
    assert too_many_new("f.csv", most, held, safety) is None
    assert too_many_new("f.csv", most + 1, held, safety)


def test_the_line_says_what_was_found_and_what_was_expected() -> None:
    told = too_few("f.csv", 1, Safety(min_rows=1000)) or ""
    assert "f.csv has 1 row," in told
    assert "--min-rows expects 1,000" in told
    told = too_many_new("f.csv", 990, 1000, Safety(max_new=RowLimit(share=0.05))) or ""
    assert "990 of 1,000 rows" in told
    assert "--max-new allows 5%" in told
