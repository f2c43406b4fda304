"""The geometry of the chart says what the numbers say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.model import Traffic
from bulk_onboard.reports.chart import area, over_time

series = st.lists(st.integers(0, 3000), min_size=1, max_size=600)


def heights(path: str, columns: int) -> list[float]:
    """What a reader of the path sees in each column, 0 to 1."""
    found = [0.0] * columns
    at, high = 0, 0.0
    for command, numbers in re.findall(r"([MVH])([\d. ]+)", path):
        if command == "M":
            at = int(numbers.split()[0])
        elif command == "V":
            high = 1 - float(numbers) / 100
        else:
            found[at : int(numbers)] = [high] * (int(numbers) - at)
            at = int(numbers)
    return found


@given(st.lists(st.floats(0, 1), max_size=80))
def test_an_area_is_as_high_as_each_share(shares: list[float]) -> None:
    assert heights(area(shares), len(shares)) == pytest.approx(shares, abs=0.001)


@given(series, st.floats(0, 4000), st.sampled_from([1, 2, 64]))
def test_nothing_is_drawn_outside_the_chart(sent: list[int], ceiling: float, width: int) -> None:
    empty = (0,) * len(sent)
    chart = over_time(Traffic(width, tuple(sent), empty, tuple(map(float, empty))), ceiling)
    if not sum(sent):
        assert chart is None
        return
    assert chart
    assert chart.top >= max(chart.fastest, ceiling)
    assert all(0 <= each <= 1 for each in heights(chart.sent, chart.columns))
    assert chart.ceiling is None or 0 <= chart.ceiling <= 100
    assert (chart.throttled, chart.paused) == ("", "")


def test_one_throttled_request_among_thousands_can_be_seen() -> None:
    chart = over_time(Traffic(1, (900, 900, 900), (0, 1, 500), (0.0, 0.0, 0.01)), 1000)
    assert chart
    assert min(each for each in heights(chart.throttled, 3) if each) >= 0.2
    assert min(each for each in heights(chart.paused, 3) if each) >= 0.2
