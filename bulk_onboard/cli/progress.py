"""The progress of a run: a tqdm bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

from bulk_onboard.cli.messages import LOG, columns
from bulk_onboard.domain.run_events import (
    Fact,
    Paused,
    PhaseStarted,
    RowChecked,
    RowFinished,
    RowsRead,
    Slowed,
    Stopping,
    Trouble,
    UserKnown,
    UsersRead,
)
from bulk_onboard.reports import progress_text
from bulk_onboard.reports.progress_text import PHASES, Tally

if TYPE_CHECKING:
    from tqdm import tqdm

_INTERVAL = 10.0  # seconds between lines
_SLOW = 60.0  # seconds after which a recurring limit of Leaf is announced again
_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}, {rate_fmt}, {remaining} left{postfix}"
Clock = Callable[[], float]


class Meter(Protocol):
    """Shows the progress of the current phase; with ``shows_notes`` also pauses and limits of Leaf."""

    shows_notes: bool

    def count(self, name: str, unit: str, done: int) -> None:
        """Show how many items of an unknown total are done."""

    def show(self, tally: Tally, note: str = "") -> None:
        """Show the counts of a phase, and a note."""

    def end(self, tally: Tally | None) -> None:
        """Show what is pending; another phase or an announcement follows."""


class Progress:
    """An observer that logs important events and counts the others."""

    def __init__(self, meter: Meter, clock: Clock = time.monotonic, *, verbose: bool = False) -> None:
        self._meter, self._clock, self._verbose = meter, clock, verbose
        self._tally: Tally | None = None
        self._announced: dict[object, float] = {}
        self._is_gone = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError):
            self._end_phase()

    def __call__(self, fact: Fact) -> None:
        """Log an event or count it. The run continues if the terminal is closed."""
        if not self._is_gone:
            try:
                self._show(fact)
            except (OSError, ValueError):
                self._is_gone = True

    def _show(self, fact: Fact) -> None:
        match fact:
            case RowFinished() | RowChecked() | UserKnown():
                self._row(fact)
            case PhaseStarted(phase, total):
                self._end_phase()
                self._tally = Tally(phase, total, self._clock())
                self._meter.show(self._tally)
            case RowsRead(rows):
                self._meter.count("reading", "rows", rows)
            case UsersRead(users):
                self._meter.count("asking", "users listed", users)
            case Paused() | Slowed() | Trouble():
                self._recurring(fact)
            case Stopping():
                if self._tally:
                    self._tally.stopping = True
                LOG.info(progress_text.announcement(fact))
            case _:
                if text := progress_text.announcement(fact):
                    self._end_phase()
                    LOG.info(text)

    def _end_phase(self) -> None:
        self._meter.end(self._tally)
        self._tally = None

    def _row(self, fact: progress_text.Row) -> None:
        if self._verbose and (text := progress_text.concern(fact)):
            LOG.info(text)
        if self._tally:
            self._tally.add(fact)
            self._meter.show(self._tally)

    def _recurring(self, fact: Paused | Slowed | Trouble) -> None:
        """Log a frequent event, but not every time."""
        if self._tally and self._meter.shows_notes and not isinstance(fact, Trouble):
            self._meter.show(self._tally, progress_text.note(fact))
            return
        key = fact.message if isinstance(fact, Trouble) else type(fact)
        interval, now = _SLOW if isinstance(fact, Slowed) else _INTERVAL, self._clock()
        if now - self._announced.get(key, -interval) >= interval:
            self._announced[key] = now
            LOG.info(progress_text.announcement(fact))


class Lines:
    """Logs a line about every ten seconds, and a line at the end of each phase."""

    shows_notes = False

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._last, self._shown = clock(), -1

    def count(self, name: str, unit: str, done: int) -> None:
        """Log how many items of an unknown total are done."""
        if self._is_due():
            LOG.info(f"{name}: {done:,} {unit} so far")

    def show(self, tally: Tally, note: str = "") -> None:  # noqa: ARG002
        """Log the progress if the last line is old enough."""
        if tally.done and self._is_due():
            self._log(tally)

    def end(self, tally: Tally | None) -> None:
        """Log the progress if it has changed since the last line."""
        if tally and tally.done and tally.done != self._shown:
            self._log(tally)
        self._shown = -1

    def _log(self, tally: Tally) -> None:
        self._shown = tally.done
        LOG.info(tally.line(self._clock()))

    def _is_due(self) -> bool:
        now = self._clock()
        if now - self._last < _INTERVAL:
            return False
        self._last = now
        return True


class Bar:
    """A tqdm bar with rate, remaining time and counts. ``columns``: its width; None: that of the terminal."""

    shows_notes = True

    def __init__(self, stream: TextIO, columns: int | None = None) -> None:
        self._stream, self._columns = stream, columns
        self._bar: tqdm[Any] | None = None

    def count(self, name: str, unit: str, done: int) -> None:
        """Show how many items of an unknown total are done."""
        bar = self._opened(name, unit, None)
        bar.update(done - bar.n)

    def show(self, tally: Tally, note: str = "") -> None:
        """Move the bar. A note stays until the next row is done."""
        bar = self._opened(PHASES[tally.phase], "rows", tally.total)
        bar.set_postfix_str(", ".join(filter(None, (tally.shown(), note))), refresh=bool(note))
        bar.update(tally.done - bar.n)

    def end(self, tally: Tally | None) -> None:  # noqa: ARG002
        """Leave the bar on the terminal and continue below it; remove a bar without a total."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None

    def _opened(self, name: str, unit: str, total: int | None) -> tqdm[Any]:
        if self._bar is None:
            from tqdm import tqdm  # noqa: PLC0415  (not needed off a terminal)

            tqdm.monitor_interval = 0  # its thread would outlive the run
            self._bar = tqdm(
                total=total,
                desc=name,
                unit=f" {unit}",
                file=self._stream,
                nrows=2,  # some terminals report a height of 0, and tqdm would hide the bar there
                ncols=self._columns or columns(self._stream) - 3,
                leave=total is not None,
                bar_format=_FORMAT if total is not None else None,
            )
        # Some terminals wrap a bar that uses the last column, or the ^C that is printed behind it.
        self._bar.ncols = self._columns or columns(self._stream) - 3
        return self._bar
