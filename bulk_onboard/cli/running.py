"""What `run` and `events` share: drive a coroutine, show its facts, print its result."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TextIO

import click

from bulk_onboard.domain.run_events import Fact, Observer, Trouble
from bulk_onboard.errors import OutputError, UsageError

if TYPE_CHECKING:
    from bulk_onboard.domain.chunk import Source
    from bulk_onboard.engine.run import RunResult
    from bulk_onboard.engine.stop import StopSignal
    from bulk_onboard.settings import InputSettings, Settings

_LINE = 80  # columns; longer lines are hard to read, however wide the terminal
Work = Callable[[Observer, "StopSignal"], Coroutine[Any, Any, "RunResult"]]


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a standard stream is a terminal; None is a closed one."""
    return stream is not None and stream.isatty()


@dataclass(frozen=True, slots=True)
class Showing:
    """How much is shown, and in which form. ``watched`` wraps the observer of a run."""

    as_json: bool = False
    log_format: str = "text"
    verbose: bool = False
    quiet: bool = False
    watched: Callable[[Observer], Observer] = field(default=lambda observer: observer)

    def __post_init__(self) -> None:
        if self.verbose and self.quiet:
            raise UsageError("--verbose and --quiet contradict each other")


def drive(work: Work, showing: Showing) -> int:
    """Drive a run to its end, show it, tell its result, and return its exit code."""
    return tell(driven(work, showing), showing)


def with_after_run(
    name: str, settings: Settings, showing: Showing, run: Callable[[Showing], RunResult]
) -> int:
    """Run, show the result, send message, ping and metrics; return the exit code. ``name``: the input's."""
    from bulk_onboard.notify.after_run import AfterRun  # noqa: PLC0415

    after = AfterRun(settings.night, name, warner(showing))
    with after.failures():
        result = run(replace(showing, watched=after.watching))
    try:
        return tell(result, showing)
    finally:
        after.ended(result)


def driven(work: Work, showing: Showing) -> RunResult:
    """Drive a run to its end and show it."""
    from bulk_onboard.cli import interrupt, progress  # noqa: PLC0415
    from bulk_onboard.engine.stop import StopSignal  # noqa: PLC0415

    # What has been imported stays; going through it again and again would cost a tenth of the time.
    gc.freeze()
    display = progress.display(log_format=showing.log_format, verbose=showing.verbose, quiet=showing.quiet)
    stop = StopSignal()
    try:
        return interrupt.run(lambda: work(showing.watched(display), stop), stop)
    finally:
        display.close()


def tell(result: RunResult, showing: Showing) -> int:
    """The last words on standard error, the summary on standard output if it is asked for; the exit code."""
    from bulk_onboard.cli import progress  # noqa: PLC0415

    if showing.log_format == "json":
        say(json.dumps({"fact": "Summary", **result.summary}), err=True)
    else:
        say(result.words(min(_LINE, progress.columns(sys.stderr))), err=True)
    if showing.as_json:
        print_json(result.summary)
    return int(result.exit_code)


def print_json(content: dict[str, Any]) -> None:
    """Print JSON on standard output. Raises OutputError: without it the program that asked has nothing."""
    try:
        click.echo(json.dumps(content, indent=2))
    except BrokenPipeError:
        return  # the reader has left
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"standard output cannot be written (--json): {reason}") from None


def say(text: str, *, err: bool = False) -> None:
    """Print; a closed output does not change how the run ended."""
    try:
        click.echo(text, err=err)
    except OSError:
        return


def warner(showing: Showing) -> Callable[[str], None]:
    """Return what prints a warning in the form that was asked for."""

    def warn(text: str) -> None:
        if showing.log_format == "json":
            say(json.dumps({"fact": "Warning", "message": text}), err=True)
        else:
            say(f"bulk-onboard: warning: {text}", err=True)

    return warn


def say_trouble(fact: Fact) -> None:
    """Print problems: the observer of commands that show no progress."""
    if isinstance(fact, Trouble):
        say(f"bulk-onboard: {fact.message}", err=True)


def require_named(where: str) -> None:
    """Raises UsageError for the empty name of an unset variable."""
    if not where.strip():
        raise UsageError("FILE is empty; name a file, or - for standard input")


@contextmanager
def opened(where: str, options: InputSettings) -> Iterator[Source]:
    """The file, or standard input for ``-``. Raises UsageError for the empty name of an unset variable."""
    require_named(where)
    from bulk_onboard.readers.inputs import open_source  # noqa: PLC0415

    source: Source = open_source(where, options.reading)
    try:
        yield source
    finally:
        source.close()
