"""Shared by the commands: load the settings, run a coroutine, show its events, print its result."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulk_onboard.cli.messages import LOG, Facts, columns, is_terminal, log_to_stderr, print_json, say
from bulk_onboard.domain.run_events import Observer, ignore
from bulk_onboard.errors import UsageError

if TYPE_CHECKING:
    from bulk_onboard.domain.chunk import Source
    from bulk_onboard.engine.run import RunResult
    from bulk_onboard.engine.stop import StopSignal
    from bulk_onboard.settings import InputSettings, Settings

_LINE = 80  # columns; longer lines are hard to read, however wide the terminal
Work = Callable[[Observer, "StopSignal"], Coroutine[Any, Any, "RunResult"]]


@dataclass(frozen=True, slots=True)
class Showing:
    """The options of the display. ``watched`` wraps the observer of a run."""

    as_json: bool = False
    log_format: str = "text"
    verbose: bool = False
    quiet: bool = False
    watched: Callable[[Observer], Observer] = field(default=lambda observer: observer)

    def __post_init__(self) -> None:
        if self.verbose and self.quiet:
            raise UsageError("--verbose and --quiet contradict each other")


def load_settings(
    given: Mapping[str, Any], config: Path | None, showing: Showing | None = None, *, offline: bool = False
) -> Settings:
    """Load the settings of a command and print its warnings. For ``offline`` see `load`."""
    from bulk_onboard.settings.load import load  # noqa: PLC0415  (not for --help)

    showing = showing or Showing()
    log_to_stderr(as_json=showing.log_format == "json", quiet=showing.quiet)
    return load(given, config, offline=offline)


@contextmanager
def displayed(showing: Showing) -> Iterator[Observer]:
    """Yield the observer that fits the options and the kind of standard error."""
    from bulk_onboard.cli.progress import Bar, Lines, Progress  # noqa: PLC0415

    if showing.quiet or showing.log_format == "json":
        yield ignore if showing.quiet else Facts()
    elif not is_terminal(sys.stderr):
        with Progress(Lines(), verbose=showing.verbose) as progress:
            yield progress
    else:
        from tqdm.contrib.logging import logging_redirect_tqdm  # noqa: PLC0415

        with logging_redirect_tqdm([LOG]), Progress(Bar(sys.stderr), verbose=showing.verbose) as progress:
            yield progress


def drive(work: Work, showing: Showing) -> int:
    """Run a coroutine to its end, show its events, print its result, and return its exit code."""
    return print_result(driven(work, showing), showing)


def driven(work: Work, showing: Showing) -> RunResult:
    """Run a coroutine to its end and show its events."""
    from bulk_onboard.cli import signals  # noqa: PLC0415
    from bulk_onboard.engine.stop import StopSignal  # noqa: PLC0415

    # Imported modules stay; if the collector looked at them again and again, a run would take a tenth longer.
    gc.freeze()
    stop = StopSignal()
    with displayed(showing) as display:
        return signals.run(lambda: work(showing.watched(display), stop), stop)


def with_after_run(
    name: str, settings: Settings, showing: Showing, run: Callable[[Showing], RunResult]
) -> int:
    """Run, show the result, send message, ping and metrics. Return the exit code. ``name``: the input's."""
    from bulk_onboard.notify.after_run import AfterRun  # noqa: PLC0415

    after = AfterRun(settings.night, name)
    with after.failures():
        result = run(replace(showing, watched=after.watching))
    try:
        return print_result(result, showing)
    finally:
        after.ended(result)


def print_result(result: RunResult, showing: Showing) -> int:
    """Print the final text, and with --json the summary. Return the exit code."""
    if showing.log_format == "json":
        say(json.dumps({"fact": "Summary", **result.summary}), err=True)
    else:
        say(result.words(min(_LINE, columns(sys.stderr))), err=True)
    if showing.as_json:
        print_json(result.summary)
    return int(result.exit_code)


def require_named(where: str) -> None:
    """Raises UsageError for the empty name of an unset variable."""
    if not where.strip():
        raise UsageError("FILE is empty; name a file, or - for standard input")


@contextmanager
def opened(where: str, options: InputSettings) -> Iterator[Source]:
    """Return the file, or standard input for ``-``.

    Raises UsageError for an empty name (an unset variable).
    """
    require_named(where)
    from bulk_onboard.readers.inputs import open_source  # noqa: PLC0415

    source: Source = open_source(where, options.reading)
    try:
        yield source
    finally:
        source.close()
