"""Rows in order: the fast ways say what sets say."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.ascending import ascending, both, lines_of, without

rows = st.sets(st.integers(2, 40)).map(ascending)


@given(rows, rows)
def test_they_share_and_leave_what_sets_do(many: np.ndarray, few: np.ndarray) -> None:
    assert both(many, few).tolist() == sorted(set(many) & set(few))
    assert without(many, few).tolist() == sorted(set(many) - set(few))
    assert few[lines_of(few, many)].tolist() == both(many, few).tolist()


@given(st.lists(st.integers(2, 40)))
def test_any_rows_come_in_order_and_once(numbers: list[int]) -> None:
    assert ascending(numbers).tolist() == sorted(set(numbers))
