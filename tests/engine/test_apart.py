"""When HTTP gets a process of its own: only where that pays."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bulk_onboard.engine import in_flight
from bulk_onboard.settings import Pace, Settings


@pytest.mark.skipif(sys.platform == "win32", reason="never there")
@pytest.mark.parametrize(
    ("rate", "rows", "cores", "apart"),
    [
        (0.0, 100_000, 2, True),
        (10_000.0, 100_000, 2, True),
        (10.0, 1_000_000, 8, False),
        (1_000.0, 100_000, 2, True),
        (500.0, 1_000_000, 8, False),
        (0.0, 100, 8, False),
        (0.0, 100_000, 1, False),
    ],
)
def test_many_rows_without_a_ceiling_get_a_process_of_their_own_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch, rate: float, rows: int, cores: int, apart: bool
) -> None:
    monkeypatch.setattr(in_flight, "_cores", lambda: cores)
    assert in_flight.apart(Settings(pace=Pace(rate)), rows) is apart


@pytest.mark.parametrize(("rate", "told", "most"), [(0.0, None, 128), (0.0, 7, 7), (50.0, 7, 7)])
def test_no_more_requests_are_under_way_than_may_be(rate: float, told: int | None, most: int) -> None:
    connections, rows = in_flight.in_flight_of(Settings(pace=Pace(rate, told)))
    assert connections == most
    assert rows >= connections


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process is tied to cores")
def test_a_process_that_is_tied_to_one_core_knows_it() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    code += "; from bulk_onboard.engine.in_flight import _cores; print(_cores())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("ceiling", "kept"), [(0, 0), (5, 5), (1_000, 1_000), (1_500, 1_485), (2_000, 1_960), (9_000, 8_820)]
)
def test_a_high_ceiling_is_kept_by_a_little_less(ceiling: float, kept: float) -> None:
    assert in_flight.rate_below(ceiling) == pytest.approx(kept)
