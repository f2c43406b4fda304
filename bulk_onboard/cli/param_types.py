"""Types of options, such as rates, durations and limits: each wraps a parser of the settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from bulk_onboard.settings import Setting, parse

_FILES = {"FILE": "file", "FOLDER": "dir", "PATH_OR_URL": "file"}


class Parsed(click.ParamType):  # type: ignore[type-arg]  # not generic before 8.3
    """A click type for a parser that raises ValueError with a message for people."""

    def __init__(self, name: str, parser: Callable[[Any], Any]) -> None:
        self.name, self._parse = name, parser

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the parsed value of a text; other values are passed to the parser, too."""
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the names of files."""
        return [CompletionItem(incomplete, type=_FILES[self.name])] if self.name in _FILES else []


def type_of(setting: Setting) -> click.ParamType:  # type: ignore[type-arg]
    """Return the click type for a setting."""
    if setting.choices:
        return click.Choice(setting.choices)
    assert setting.parse  # noqa: S101  (only choices have none)
    if setting.repeatable:
        return Parsed(setting.metavar, _each(setting.parse))
    if setting.metavar == "NAME|URL":
        return click.STRING  # may be the name of a variable, which `load` looks up
    return Parsed(setting.metavar, setting.parse)


def _each(parser: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the parser for one value of a repeatable option; a text may contain several."""

    def parse_one(value: str) -> Any:
        parsed = parser(value)
        return (
            parsed if isinstance(parsed, tuple) and all(isinstance(one, str) for one in parsed) else (value,)
        )

    return parse_one


def _latency(text: str) -> float:
    """Parse a latency; a number without a unit is in milliseconds."""
    return parse.seconds(f"{text}ms" if re.fullmatch(r"\s*[\d.]+", text) else text)


SECONDS = Parsed("SECONDS", parse.seconds)
LATENCY = Parsed("TIME", _latency)
