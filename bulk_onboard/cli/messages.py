"""The output of a command: its log on standard error, as text or JSON, and its result on standard output."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TextIO

import click

from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.domain.run_events import Fact, RunStarted, Trouble
from bulk_onboard.errors import OutputError

LOG = logging.getLogger("bulk_onboard")
_USUAL = 80  # columns of a terminal of unknown width


def log_to_stderr(*, as_json: bool = False, quiet: bool = False) -> None:
    """Send the log to standard error; with ``quiet`` only warnings."""
    logging.raiseExceptions = False  # a closed terminal does not end a run
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if as_json else _Text())
    LOG.handlers = [handler]
    LOG.setLevel(logging.WARNING if quiet else logging.INFO)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"bulk-onboard: warning: {text}"
        if not is_terminal(sys.stderr):
            return text
        width = columns(sys.stderr) - 1
        wrap = partial(textwrap.fill, width=width, break_long_words=False, break_on_hyphens=False)
        return "\n".join(map(wrap, text.splitlines()))


class _Json(logging.Formatter):
    """Formats a log record as one line of JSON: an event of a run with its fields, or a warning."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        event = getattr(record, "event", {"fact": "Warning", "message": record.getMessage()})
        return json.dumps({"at": at.replace("+00:00", "Z"), **event})


class Facts:
    """An observer that logs every event with its fields and the id of its run."""

    def __init__(self) -> None:
        self._run: dict[str, str] = {}

    def __call__(self, fact: Fact) -> None:
        """Log an event."""
        if isinstance(fact, RunStarted):
            self._run = {"run_id": fact.run_id}
        fields = {field.name: _plain(getattr(fact, field.name)) for field in dataclasses.fields(fact)}
        name = type(fact).__name__
        LOG.info(name, extra={"event": {"fact": name, **self._run, **fields}})


def _plain(value: Any) -> Any:
    if isinstance(value, InputDescription):
        return value.as_json()
    return dict(value) if isinstance(value, Mapping) else value


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a standard stream is a terminal; None is a closed one."""
    return stream is not None and stream.isatty()


def columns(stream: TextIO) -> int:
    """Return the width of the terminal of a stream, in columns."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL
    except (OSError, ValueError):
        return _USUAL


def print_json(content: object) -> None:
    """Print JSON on standard output. Raises OutputError, because the calling program needs the JSON."""
    try:
        click.echo(json.dumps(content, indent=2))
    except BrokenPipeError:
        return  # the reader has closed the pipe
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"standard output cannot be written (--json): {reason}") from None


def say(text: str, *, err: bool = False) -> None:
    """Print a text; a closed output does not change the exit code."""
    try:
        click.echo(text, err=err)
    except OSError:
        return


def say_trouble(fact: Fact) -> None:
    """Print warnings: the observer of commands that do not show progress."""
    if isinstance(fact, Trouble):
        say(f"bulk-onboard: {fact.message}", err=True)
