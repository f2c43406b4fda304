"""Observers: a bar on a terminal, plain lines elsewhere, JSON lines for machines. None of them colours."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TextIO, assert_never

from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.domain.run_events import (
    About,
    AboutToDelete,
    Fact,
    FileChecked,
    InputDescribed,
    LeftWithout,
    LookupChosen,
    Note,
    Paused,
    PhaseStarted,
    RowChecked,
    RowFinished,
    RowRolledBack,
    RowsRead,
    RunStarted,
    Slowed,
    Stopping,
    Trouble,
    UserKnown,
    UsersRead,
)
from bulk_onboard.reports import progress_text

if TYPE_CHECKING:
    from tqdm import tqdm

_INTERVAL = 10.0
# In a narrower terminal the counts take fewer words, without the current activity.
_WIDE = 100
# A drawn bar and its percentage need this many columns; if fewer remain, only the counts are shown.
_LEAST_BAR = 20
_USUAL = 80
# Drawing takes longer than counting.
_REDRAWN = 0.1
# Seconds after which a recurring limit of Leaf is announced again.
_SLOW = 60.0

Clock = Callable[[], float]


class Display(Protocol):
    """An observer that can be closed."""

    def __call__(self, fact: Fact) -> None:
        """Show a fact."""

    def close(self) -> None:
        """Show pending output, and leave the terminal clean."""


class Silent:
    """Shows nothing while the run works; the closing text is printed elsewhere."""

    def __call__(self, fact: Fact) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines:
    """A line every ten seconds or so, one at the end of a phase, and what must be said at once."""

    def __init__(
        self, write: Callable[[str], None], clock: Clock = time.monotonic, *, verbose: bool = False
    ) -> None:
        self._write = write
        self._clock = clock
        self._verbose = verbose
        self._last = clock()
        self._tally: progress_text.Tally | None = None
        self._dirty = False
        self._repeats = _Repeats(clock)

    def __call__(self, fact: Fact) -> None:
        """Say a fact, or count it."""
        match fact:
            case RowFinished() | RowChecked() | RowRolledBack() | UserKnown():
                self._row(fact)
            case PhaseStarted(phase, total):
                self._end_phase()
                self._tally = progress_text.Tally(phase, total, self._clock())
            case RowsRead(read):
                if self._due():
                    self._write(f"reading: {progress_text.rows(read)} so far")
            case UsersRead(users):
                if self._due():
                    self._write(f"asking: {users:,} users listed so far")
            case Paused() | Slowed() | Trouble():
                if self._repeats.news(fact):
                    self._write(progress_text.announcement(fact) or "")
            case (
                RunStarted()
                | FileChecked()
                | InputDescribed()
                | About()
                | AboutToDelete()
                | LookupChosen()
                | LeftWithout()
                | Note()
                | Stopping()
            ):
                self._announce(fact)
            case _:
                assert_never(fact)

    def close(self) -> None:
        """End the phase that is under way."""
        self._end_phase()

    def _announce(self, fact: Fact) -> None:
        if message := progress_text.announcement(fact):
            self._write(message)
        if isinstance(fact, Stopping) and self._tally is not None:
            self._tally.stopping = True

    def _row(self, fact: progress_text.Row) -> None:
        if self._verbose and (message := progress_text.concern(fact)):
            self._write(message)
        if self._tally is None:
            return
        self._tally.add(fact)
        self._dirty = True
        if self._due():
            self._write(self._tally.line(self._clock()))
            self._dirty = False

    def _due(self) -> bool:
        now = self._clock()
        if now - self._last < _INTERVAL:
            return False
        self._last = now
        return True

    def _end_phase(self) -> None:
        if self._tally is not None and self._dirty:
            self._write(self._tally.line(self._clock()))
        self._tally, self._dirty = None, False


class _Repeats:
    """Whether a message is news: Leaf may ask to wait, or be away, many times in ten seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: dict[object, float] = {}

    def news(self, fact: Paused | Slowed | Trouble) -> bool:
        key = fact.message if isinstance(fact, Trouble) else type(fact)
        interval = _SLOW if isinstance(fact, Slowed) else _INTERVAL
        now = self._clock()
        if now - self._said.get(key, -interval) < interval:
            return False
        self._said[key] = now
        return True


class Bar:
    """A tqdm bar with rate, time left and counts; beside it, what Leaf asks for just now."""

    def __init__(
        self,
        stream: TextIO,
        clock: Clock = time.monotonic,
        *,
        width: int | None = None,
        verbose: bool = False,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._width = width
        self._verbose = verbose
        self._bar: tqdm[Any] | None = None
        self._tally: progress_text.Tally | None = None
        self._repeats = _Repeats(clock)
        self._drawn = 0.0
        self._note, self._note_until = "", 0.0

    def __call__(self, fact: Fact) -> None:
        """Move the bar, or write a line above it."""
        match fact:
            case RowFinished() | RowChecked() | RowRolledBack() | UserKnown():
                self._row(fact)
            case PhaseStarted(phase, total):
                self.close()
                self._tally = progress_text.Tally(phase, total, self._clock())
                self._bar = self._begun(progress_text.PHASES[phase], total)
            case RowsRead(read):
                self._count("reading", read)
            case UsersRead(users):
                self._count("asking", users)
            case Paused(seconds):
                self._say_beside(fact, seconds)
            case Slowed():
                self._say_beside(fact, _INTERVAL)
            case Trouble():
                if self._repeats.news(fact):
                    self._line(fact.message)
            case (
                RunStarted()
                | FileChecked()
                | InputDescribed()
                | About()
                | AboutToDelete()
                | LookupChosen()
                | LeftWithout()
                | Note()
                | Stopping()
            ):
                self._announce(fact)
            case _:
                assert_never(fact)

    def close(self) -> None:
        """End the bar and continue below it; a bar without a total disappears."""
        if self._bar is not None:
            self._note = ""
            self._draw()
            self._bar.close()
        self._bar, self._tally = None, None

    def _announce(self, fact: Fact) -> None:
        """Write the announcement of a fact on a line of its own; any fact but a stop ends the current bar."""
        if not isinstance(fact, Stopping):
            self.close()
        elif self._tally is not None:
            self._tally.stopping = True
        if message := progress_text.announcement(fact):
            self._line(message)

    def _count(self, name: str, done: int) -> None:
        """Show how many are done, of an unknown total."""
        if self._bar is None:
            self._bar = self._begun(name, None)
        self._bar.update(done - self._bar.n)

    def _begun(self, name: str, total: int | None) -> tqdm[Any]:
        from tqdm import tqdm  # noqa: PLC0415  (not needed off a terminal)

        tqdm.monitor_interval = 0  # its thread would outlive the run
        return tqdm(
            total=total,
            desc=name,
            file=self._stream,
            ncols=self._columns(),
            nrows=2,  # tqdm hides a bar where the terminal says that it has no rows, as some do
            unit=" rows",
            mininterval=0.2,
            miniters=1,
            leave=total is not None,
            bar_format=self._format(self._columns()),
        )

    def _row(self, fact: progress_text.Row) -> None:
        if self._verbose and (message := progress_text.concern(fact)):
            self._line(message)
        if self._tally is None:
            return
        self._tally.add(fact)
        if self._clock() - self._drawn >= _REDRAWN:
            self._draw()

    def _draw(self) -> None:
        if self._bar is None or self._tally is None:
            return
        self._bar.ncols = self._columns()  # people make windows larger and smaller
        self._bar.bar_format = self._format(self._bar.ncols)
        self._bar.n = self._tally.done
        self._bar.refresh()
        self._drawn = self._clock()

    def _format(self, width: int) -> str | None:
        """Return the format for tqdm; None for tqdm's own, while the total is unknown."""
        if self._tally is None:
            return None
        now = self._clock()
        if now >= self._note_until:
            self._note = ""
        counts = self._tally.beside_the_bar(now, self._note, narrow=width < _WIDE)
        room = width - len(counts)
        counts = counts.replace("{", "{{").replace("}", "}}")
        if room < _LEAST_BAR:
            return counts
        return ("" if width < _WIDE else "{desc} ") + "{percentage:3.0f}%|{bar}| " + counts

    def _say_beside(self, fact: Paused | Slowed, seconds: float) -> None:
        if self._tally is None:
            self._line(progress_text.announcement(fact) or "")
        else:
            self._note, self._note_until = progress_text.note(fact), self._clock() + seconds
            self._draw()

    def _line(self, text: str) -> None:
        width = self._columns()
        text = "\n".join(
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
            for line in text.splitlines()
        )
        if self._bar is None:
            print(text, file=self._stream, flush=True)
        else:
            self._bar.write(text, file=self._stream)

    def _columns(self) -> int:
        # A bar in the last column makes some terminals wrap, and so would the ^C of an interrupt behind it.
        return self._width or columns(self._stream) - 3


def columns(stream: TextIO) -> int:
    """Columns of the terminal that the stream leads to, which need not be that of standard output."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL
    except (OSError, ValueError):
        return _USUAL


class JsonLines:
    """Write every fact as one JSON object on a line, with the time at which it was reported."""

    def __init__(
        self, write: Callable[[str], None], now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._write = write
        self._now = now
        self._run: dict[str, str] = {}

    def __call__(self, fact: Fact) -> None:
        """Write the name of the fact, its fields and the run that it belongs to."""
        if isinstance(fact, RunStarted):
            self._run = {"run_id": fact.run_id}
        at = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        data = {field.name: _plain(getattr(fact, field.name)) for field in dataclasses.fields(fact)}
        self._write(json.dumps({"at": at, "fact": type(fact).__name__, **self._run, **data}))

    def close(self) -> None:
        """Do nothing: every line is written at once."""


def _plain(value: Any) -> Any:
    if isinstance(value, InputDescription):
        return value.as_json()
    return dict(value) if isinstance(value, Mapping) else value


class _Unbreakable:
    """A display on a terminal that may go away: the run goes on without it."""

    def __init__(self, display: Display) -> None:
        self._display: Display = display

    def __call__(self, fact: Fact) -> None:
        try:
            self._display(fact)
        except (OSError, ValueError):  # closed pipe, closed file, terminal gone
            self._display = Silent()

    def close(self) -> None:
        with suppress(OSError, ValueError):
            self._display.close()


def display(*, log_format: str, verbose: bool, quiet: bool, stream: TextIO | None = None) -> Display:
    """The display that fits the options and where standard error leads."""
    out = stream or sys.stderr

    def write(text: str) -> None:
        print(text, file=out, flush=True)

    if quiet:
        return Silent()
    if log_format == "json":
        return _Unbreakable(JsonLines(write))
    if out.isatty():
        return _Unbreakable(Bar(out, verbose=verbose))
    return _Unbreakable(Lines(write, verbose=verbose))
