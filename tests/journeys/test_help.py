"""Every example in a help text can be typed as it stands."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import click
import pandas as pd
import pytest

from bulk_onboard.cli.main import COMMANDS, cli
from bulk_onboard.engine import opening
from tests.support.cli import PLANTED, Desk, Server, grower

Leaf = Callable[..., Server]
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
SERVING = [line for line in EXAMPLES if line.startswith(("bulk-onboard sandbox", "bulk-onboard ui"))]
# Works after an interrupted replacement only, which is in test_left_without.py.
DISMISSING = [line for line in EXAMPLES if line.endswith("--dismiss")]


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


@pytest.fixture
def files(here: Path) -> None:
    """The files that the examples speak of."""
    rows = {"refreshToken": [f"{PLANTED}1"], "name": ["Ann"], "region": ["North"]}
    growers = pd.DataFrame({"leafUserId": [grower(1)], **rows})
    growers.to_csv("growers.csv", index=False)
    renamed = growers.rename(columns={"refreshToken": "Raven token"})
    renamed.to_excel("growers.xlsx", sheet_name="Growers", index=False)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("line", [line for line in EXAMPLES if line not in SERVING + DISMISSING])
def test_an_example_works_as_it_stands(
    desk: Desk, leaf: Leaf, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    desk.at(leaf())
    arguments = _words(line)
    if arguments[0] in ("events", "report", "rollback", "runs", "status"):
        with monkeypatch.context() as patch:
            patch.setattr(opening, "_claimed_run_id", lambda *_: nullcontext(RUN_ID))
            assert desk.run("growers.csv").code == 0
    Path("these.csv").write_text(f"leafUserId\n{grower(1)}\n")
    ran = desk(*arguments, stdin=Path("growers.csv").read_bytes() if " - " in line else None)
    assert ran.code == 0, ran.err


# Those serve until Ctrl-C, which tests/sandbox and tests/ui look at.
@pytest.mark.parametrize("line", [*SERVING, *DISMISSING])
def test_an_example_is_understood(line: str) -> None:
    name, *arguments = _words(line)
    context = click.Context(cli, info_name="bulk-onboard")
    command = cli.get_command(context, name)
    assert command, name
    command.make_context(name, arguments, parent=context)
