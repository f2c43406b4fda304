"""The examples in the help texts; the commands of the docs are executed in tests/docs."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from bulk_onboard.cli.main import COMMANDS, cli

RUN_ID = "20261123T154500Z-growers"


def _help(name: str | None) -> str:
    context = click.Context(cli, info_name="bulk-onboard")
    command = cli.get_command(context, name) if name else cli
    assert command
    told: str = command.get_help(click.Context(command, info_name=name, parent=context if name else None))
    return told


def _examples() -> list[str]:
    """The lines below "Examples:" up to the next empty one, of every help text."""
    found = []
    for name in (None, *COMMANDS):
        block = _help(name).split("Examples:\n")[1].split("\n\n")[0]
        found += [line.strip() for line in block.splitlines()]
    return found


EXAMPLES = _examples()


def _words(line: str) -> list[str]:
    """The arguments of bulk-onboard in a line of a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|><")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = list(lexer)
    words = words[words.index("bulk-onboard") + 1 :]
    return words[: next((n for n, word in enumerate(words) if set(word) <= set("|>")), len(words))]


def test_every_command_has_examples() -> None:
    told = {_words(line)[0] for line in EXAMPLES}
    assert told == set(COMMANDS)


@pytest.mark.parametrize("line", EXAMPLES)
def test_each_example_is_valid(line: str, here: Path) -> None:
    for file in ("growers.csv", "growers.xlsx", "these.csv"):
        (here / file).touch()
    name, *arguments = _words(line)
    context = click.Context(cli, info_name="bulk-onboard")
    command = cli.get_command(context, name)
    assert command, name
    command.make_context(name, arguments, parent=context)
