"""What the page takes from the rows as they go by."""

from __future__ import annotations

import math
import statistics

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.report.extract import Latency

times = st.lists(st.floats(0, 1e6) | st.just(math.nan), max_size=50)


def latency_of(*pages: list[float]) -> Latency:
    latency = Latency()
    for page in pages:
        latency.add(pd.Series(page, dtype="float64"))
    return latency


@given(st.lists(times, max_size=4))
def test_every_answer_is_in_one_stretch_however_the_rows_are_paged(pages: list[list[float]]) -> None:
    latency = latency_of(*pages)
    known = [each for page in pages for each in page if not math.isnan(each)]
    assert latency.total == len(known) == sum(count for _, _, count in latency.bins())
    assert latency.bins() == latency_of([each for page in pages for each in page]).bins()
    for since, until, count in latency.bins():
        assert count == sum(since < each <= until or each == since == 0 for each in known)


def test_the_stretches_run_from_the_fastest_to_the_slowest_answer() -> None:
    assert latency_of([8.0, 70.0, 70.0]).bins() == [
        (5.0, 10.0, 1),
        (10.0, 20.0, 0),
        (20.0, 50.0, 0),
        (50.0, 100.0, 2),
    ]
    assert latency_of([math.nan]).bins() == []


@given(st.lists(st.floats(0.2, 1e6), min_size=1, max_size=50))
def test_a_percentile_is_right_to_six_percent(values: list[float]) -> None:
    exact = sorted(values)[math.ceil(len(values) / 2) - 1]
    assert latency_of(values).within(0.5) == pytest.approx(exact, rel=0.07)
    assert latency_of(values).within(1.0) == pytest.approx(max(values), rel=0.07)
    assert statistics.median_low(values) == exact
