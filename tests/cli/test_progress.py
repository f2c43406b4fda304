"""The bar, the lines and the JSON lines, with a clock that the test turns."""

import io
import json
import sys
from datetime import UTC, datetime

import pytest

from bulk_onboard.cli import progress
from bulk_onboard.domain.model import Health, Status
from bulk_onboard.domain.run_events import (
    About,
    Fact,
    FileChecked,
    Paused,
    PhaseStarted,
    RowChecked,
    RowFinished,
    RowsRead,
    Slowed,
    Stopping,
    Trouble,
)

ABOUT = About("20261124T000000Z-a", "https://api.withleaf.io", "me", "raven", 3, 10.0)
EVERY: tuple[Fact, ...] = (
    RowsRead(2),
    RowsRead(3),
    FileChecked("a.csv", 3, {Status.INVALID: 1}, 2, {}),
    ABOUT,
    PhaseStarted("onboard", 2),
    RowFinished(2, Status.CREATED),
    Paused(30.0),
    Trouble("Leaf cannot be reached"),
    RowFinished(3, Status.REJECTED, "leaf-400"),
    PhaseStarted("events", 1),
    RowChecked(2, Health.HEALTHY),
    Stopping("interrupted"),
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


def test_what_is_about_to_be_changed_is_the_first_thing_said_after_the_file(
    said: list[str], clock: Clock
) -> None:
    lines = progress.Lines(said.append, clock)
    for fact in EVERY:
        lines(fact)
    lines.close()
    assert said[0].startswith("a.csv: 3 rows")
    assert said[1].startswith("About to store credentials of 3 rows at https://api.withleaf.io as me")
    assert said[-1] == "checking events: 1 of 1 row, 1 healthy"


def test_lines_come_every_ten_seconds_and_at_the_end_of_a_phase(said: list[str], clock: Clock) -> None:
    lines = progress.Lines(said.append, clock)
    lines(PhaseStarted("onboard", 100))
    for row in range(100):
        clock.now += 0.25
        lines(RowFinished(row, Status.CREATED))
    lines.close()
    assert [line.split(",")[0] for line in said] == [
        "onboarding: 40 of 100 rows",
        "onboarding: 80 of 100 rows",
        "onboarding: 100 of 100 rows",
    ]
    assert "4 rows/s, 40 created, about 15 s left" in said[0]


def test_a_run_that_stops_makes_no_promise_of_the_time_left(said: list[str], clock: Clock) -> None:
    lines = progress.Lines(said.append, clock)
    lines(PhaseStarted("onboard", 100))
    lines(Stopping("interrupted"))
    clock.now += 20
    lines(RowFinished(2, Status.CREATED))
    assert said[-1].startswith("onboarding: 1 of 100 rows")
    assert "left" not in said[-1]


def test_a_wait_is_said_once_in_ten_seconds(said: list[str], clock: Clock) -> None:
    lines = progress.Lines(said.append, clock)
    for _ in range(21):
        lines(Paused(1.0))
        lines(Trouble("Leaf cannot be reached"))
        clock.now += 1
    assert said.count("Leaf asks to wait 1 s") == 3
    assert said.count("Leaf cannot be reached") == 3


def test_verbose_lines_name_each_row_that_needs_attention(said: list[str], clock: Clock) -> None:
    lines = progress.Lines(said.append, clock, verbose=True)
    lines(PhaseStarted("onboard", 2))
    lines(RowFinished(2, Status.CREATED))
    lines(RowFinished(3, Status.REJECTED, "leaf-400"))
    assert said == ["row 3: rejected (leaf-400)"]


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_the_bar_never_writes_beyond_the_terminal_and_never_in_colour(width: int, clock: Clock) -> None:
    stream = io.StringIO()
    bar = progress.Bar(stream, clock, width=width)
    bar(PhaseStarted("onboard", 100_000))
    for row in range(2000):
        bar(RowFinished(row, Status.CREATED if row % 3 else Status.REJECTED))
    bar(Paused(30.0))
    bar.close()
    drawn = stream.getvalue()
    assert max(len(part) for part in drawn.replace("\n", "\r").split("\r")) <= width
    assert "\x1b[3" not in drawn


def test_a_wide_bar_shows_counts_and_the_wait_and_lines_stay_above_it(clock: Clock) -> None:
    stream = io.StringIO()
    bar = progress.Bar(stream, clock, width=160)
    for fact in EVERY:
        bar(fact)
    bar.close()
    drawn = stream.getvalue()
    for part in (
        "About to store",
        "onboarding",
        "1 created",
        "Leaf asks to wait 30 s",
        "Leaf cannot be reached",
    ):
        assert part in drawn
    assert "1 attention, 1 created" in drawn
    assert "1 healthy" in drawn


def test_a_narrow_bar_keeps_the_counts(clock: Clock) -> None:
    stream = io.StringIO()
    bar = progress.Bar(stream, clock, width=60)
    bar(PhaseStarted("onboard", 2))
    bar(RowFinished(2, Status.CREATED))
    bar(RowFinished(3, Status.FAILED))
    bar.close()
    assert "1 attention, 1 created" in stream.getvalue()
    assert "2/2" in stream.getvalue()


@pytest.mark.parametrize(("width", "is_drawn"), [(30, False), (77, True), (160, True)])
def test_a_bar_is_drawn_where_it_has_room_beside_the_counts(clock: Clock, width: int, is_drawn: bool) -> None:
    stream = io.StringIO()
    bar = progress.Bar(stream, clock, width=width)
    bar(PhaseStarted("onboard", 2))
    clock.now += 1
    bar(RowFinished(2, Status.CREATED))
    drawn = stream.getvalue().rpartition("\r")[2]
    bar.close()
    assert ("50%|" in drawn) is is_drawn
    assert "1/2" in drawn
    assert len(drawn) <= width


@pytest.mark.parametrize("width", [57, 160])
def test_what_leaf_asks_for_stands_beside_the_counts_until_it_is_over(clock: Clock, width: int) -> None:
    stream = io.StringIO()
    bar = progress.Bar(stream, clock, width=width)

    def drawn(fact: Fact) -> str:
        clock.now += 1
        bar(fact)
        return stream.getvalue().rstrip().rpartition("\r")[2]

    drawn(PhaseStarted("onboard", 8000))
    drawn(RowFinished(2, Status.CREATED))
    waiting = drawn(Paused(30.0))
    assert "1/8,000" in waiting
    assert ("Leaf asks to wait 30 s" if width == 160 else "Leaf: wait 30 s") in waiting
    assert "1 created" in waiting
    assert "/s" in waiting
    assert "left" in waiting
    clock.now += 30
    assert "Leaf asks" not in drawn(RowFinished(3, Status.CREATED))
    slowed = drawn(Slowed(38.0))
    assert ("Leaf asks to slow down" if width == 160 else "Leaf: slow down") in slowed
    bar.close()
    assert "?" not in stream.getvalue()


def test_a_bar_becomes_as_narrow_as_its_terminal(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    bar = progress.Bar(stream, clock)
    for width in (120, 40):
        monkeypatch.setattr(progress, "columns", lambda _stream, width=width: width)
        bar(PhaseStarted("onboard", 100)) if width == 120 else None
        stream.truncate(stream.seek(0))
        clock.now += 1
        bar(RowFinished(2, Status.FAILED))
        assert 0 < max(len(part.rstrip()) for part in stream.getvalue().split("\r")) < width
    bar.close()


def test_lines_say_once_a_minute_that_leaf_is_slow(said: list[str], clock: Clock) -> None:
    lines = progress.Lines(said.append, clock)
    for _ in range(13):
        lines(Slowed(38.0))
        clock.now += 10
    assert said == ["Leaf asks to slow down; now at 38 requests per second"] * 3


def test_a_long_line_above_the_bar_breaks_between_words(clock: Clock) -> None:
    stream = io.StringIO()
    bar = progress.Bar(stream, clock, width=60)
    url = "http://127.0.0.1:41095"
    bar(About("20261124T111243Z-growers", f"the sandbox at {url}", "practice", "raven", 60, 20.0))
    lines = stream.getvalue().splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 60
    assert any(url in line for line in lines), "what may be copied stays whole"


def test_each_json_line_is_one_fact_with_its_time(said: list[str]) -> None:
    lines = progress.JsonLines(said.append, lambda: datetime(2026, 11, 24, tzinfo=UTC))
    for fact in EVERY:
        lines(fact)
    told = [json.loads(line) for line in said]
    assert [each["fact"] for each in told] == [type(fact).__name__ for fact in EVERY]
    assert told[2]["statuses"] == {"invalid": 1}
    assert told[5] == {
        "at": "2026-11-24T00:00:00.000Z",
        "fact": "RowFinished",
        "row": 2,
        "status": "created",
        "code": "",
    }


def test_quiet_shows_nothing_of_the_progress() -> None:
    stream = io.StringIO()
    shown = progress.display(log_format="text", verbose=False, quiet=True, stream=stream)
    for fact in EVERY:
        shown(fact)
    shown.close()
    assert stream.getvalue() == ""


def test_lines_are_for_what_is_no_terminal_and_json_for_machines() -> None:
    stream = io.StringIO()
    progress.display(log_format="text", verbose=False, quiet=False, stream=stream)(ABOUT)
    assert stream.getvalue().startswith("About to store")
    stream = io.StringIO()
    progress.display(log_format="json", verbose=False, quiet=False, stream=stream)(ABOUT)
    assert json.loads(stream.getvalue())["owner"] == "me"


def test_a_terminal_that_goes_away_does_not_end_the_run() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    shown = progress.display(log_format="text", verbose=False, quiet=False, stream=Gone())
    for fact in EVERY:
        shown(fact)
    shown.close()


def test_tqdm_is_not_loaded_off_a_terminal() -> None:
    import subprocess

    code = (
        "import io, sys; from bulk_onboard.cli import progress;"
        "progress.display(log_format='text', verbose=False, quiet=False, stream=io.StringIO());"
        "sys.exit('tqdm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
