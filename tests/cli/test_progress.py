"""The bar, the lines and the JSON lines, with a clock that the test turns."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bulk_onboard.cli import messages
from bulk_onboard.cli.messages import LOG, Facts
from bulk_onboard.cli.progress import Bar, Lines, Progress
from bulk_onboard.cli.runner import Showing, displayed
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


class Kept(logging.Handler):
    """Keeps the messages of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def logged() -> Iterator[list[str]]:
    handlers, kept = LOG.handlers, Kept()
    LOG.handlers = [kept]
    LOG.setLevel(logging.INFO)
    yield kept.messages
    LOG.handlers = handlers


def lines(clock: Clock, *, verbose: bool = False) -> Progress:
    return Progress(Lines(clock), clock, verbose=verbose)


def test_lines_come_every_ten_seconds_and_at_the_end_of_a_phase(logged: list[str], clock: Clock) -> None:
    with lines(clock) as progress:
        progress(PhaseStarted("onboard", 100))
        for row in range(100):
            clock.now += 0.25
            progress(RowFinished(row, Status.CREATED))
    assert [line.split(",")[0] for line in logged] == [
        "onboarding: 40 of 100 rows",
        "onboarding: 80 of 100 rows",
        "onboarding: 100 of 100 rows",
    ]
    assert "4 rows/s, 40 created, about 15 s left" in logged[0]


def test_reading_is_logged_every_ten_seconds(logged: list[str], clock: Clock) -> None:
    progress = lines(clock)
    for done in range(4):
        clock.now += 5
        progress(RowsRead(1000 * done))
    assert logged == ["reading: 1,000 rows so far", "reading: 3,000 rows so far"]


def test_a_stopping_run_shows_no_remaining_time(logged: list[str], clock: Clock) -> None:
    progress = lines(clock)
    progress(PhaseStarted("onboard", 100))
    progress(Stopping("interrupted"))
    clock.now += 20
    progress(RowFinished(2, Status.CREATED))
    assert logged[-1].startswith("onboarding: 1 of 100 rows")
    assert "left" not in logged[-1]


def test_a_wait_is_announced_once_in_ten_seconds(logged: list[str], clock: Clock) -> None:
    progress = lines(clock)
    for _ in range(21):
        progress(Paused(1.0))
        progress(Trouble("Leaf cannot be reached"))
        clock.now += 1
    assert logged.count("Leaf asks to wait 1 s") == 3
    assert logged.count("Leaf cannot be reached") == 3


def test_a_slow_leaf_is_announced_once_a_minute(logged: list[str], clock: Clock) -> None:
    progress = lines(clock)
    for _ in range(13):
        progress(Slowed(38.0))
        clock.now += 10
    assert logged == ["Leaf asks to slow down; now at 38 requests per second"] * 3


def test_verbose_lines_name_each_row_that_needs_attention(logged: list[str], clock: Clock) -> None:
    progress = lines(clock, verbose=True)
    progress(PhaseStarted("onboard", 2))
    progress(RowFinished(2, Status.CREATED))
    progress(RowFinished(3, Status.REJECTED, "leaf-400"))
    assert logged == ["row 3: rejected (leaf-400)"]


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_the_bar_fits_the_terminal_and_has_no_colour(width: int) -> None:
    stream = io.StringIO()
    with Progress(Bar(stream, width)) as progress:
        progress(PhaseStarted("onboard", 100_000))
        for row in range(2000):
            progress(RowFinished(row, Status.CREATED if row % 3 else Status.REJECTED))
        progress(Paused(30.0))
    drawn = stream.getvalue()
    assert max(len(part) for part in drawn.replace("\n", "\r").split("\r")) <= width
    assert "\x1b[3" not in drawn


@pytest.mark.parametrize("width", [80, 160])
def test_the_bar_shows_counts_and_waits(logged: list[str], width: int) -> None:
    stream = io.StringIO()
    with Progress(Bar(stream, width)) as progress:
        for fact in EVERY:
            progress(fact)
    drawn = stream.getvalue()
    assert "onboarding  50%|" in drawn
    assert "1 created, Leaf asks to wait 30 s"[: width - 60] in drawn
    assert "1 attention, 1 created" in drawn
    assert "2/2" in drawn
    assert "1 healthy" in drawn
    assert logged[1].startswith("About to store")
    assert "Leaf asks to wait 30 s" not in logged
    assert "Leaf cannot be reached" in logged


def test_each_json_line_is_one_fact(capsys: pytest.CaptureFixture[str]) -> None:
    messages.log_to_stderr(as_json=True)
    facts = Facts()
    for fact in EVERY:
        facts(fact)
    LOG.warning("others can read it")
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [each["fact"] for each in told] == [*(type(fact).__name__ for fact in EVERY), "Warning"]
    assert told[2]["statuses"] == {"invalid": 1}
    assert told[5].pop("at").endswith("Z")
    assert told[5] == {"fact": "RowFinished", "row": 2, "status": "created", "code": ""}


def test_quiet_shows_only_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    messages.log_to_stderr(quiet=True)
    with displayed(Showing(quiet=True)) as display:
        for fact in EVERY:
            display(fact)
    LOG.warning("others can read it")
    assert capsys.readouterr().err == "bulk-onboard: warning: others can read it\n"


class Terminal(io.StringIO):
    """A terminal of 60 columns."""

    def isatty(self) -> bool:
        return True


def test_lines_above_the_bar_are_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "columns", lambda _stream: 60)
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    messages.log_to_stderr()
    url = "http://127.0.0.1:41095"
    with displayed(Showing()) as display:
        display(About("20261124T111243Z-growers", f"the sandbox at {url}", "practice", "raven", 60, 20.0))
    written = stream.getvalue().splitlines()
    assert len(written) > 1
    assert max(map(len, written)) <= 60
    assert any(url in line for line in written), "what may be copied stays whole"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_closed_terminal_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool
) -> None:
    class Gone(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

        def write(self, _text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    messages.log_to_stderr()
    with displayed(Showing()) as display:
        for fact in EVERY:
            display(fact)


def test_tqdm_is_not_loaded_off_a_terminal() -> None:
    code = (
        "import sys; from bulk_onboard.cli.runner import Showing, displayed\n"
        "with displayed(Showing()): sys.exit('tqdm' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 0
