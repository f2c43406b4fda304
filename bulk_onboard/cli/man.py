"""``bulk-onboard man``: the manual page, made of what ``--help`` says, so that the two cannot disagree."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

import bulk_onboard

_EPILOG = """\b
Examples:
  bulk-onboard man
  bulk-onboard man > bulk-onboard.1

\b
To read it at once:
  bulk-onboard man | man -l -
"""


@click.command("man", epilog=_EPILOG)
@click.pass_context
def command(ctx: click.Context) -> int:
    """Print the manual page: all commands, options, exit codes and files."""
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)  # noqa: S101  (all commands hang on one group)
    click.echo("\n".join(page(root.command, root)))
    return 0


def page(cli: click.Group, root: click.Context) -> Iterator[str]:
    """The page in man's own language."""
    yield f'.TH BULK\\-ONBOARD 1 "" "bulk\\-onboard {bulk_onboard.__version__}" "User Commands"'
    yield from (".SH NAME", f"bulk\\-onboard \\- {_escaped(_first(cli.help))}")
    yield from (
        ".SH SYNOPSIS",
        ".B bulk\\-onboard",
        ".I COMMAND",
        "[\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...",
    )
    yield ".SH DESCRIPTION"
    yield from _prose(cli.help or "")
    yield ".SH COMMANDS"
    for name in cli.list_commands(root):
        found = cli.get_command(root, name)
        assert found is not None  # noqa: S101  (it was listed)
        yield from _command(found, click.Context(found, info_name=name, parent=root))
    yield from _epilog(cli.epilog or "", ".SH")
    yield from _ENVIRONMENT


def _command(command_: click.Command, ctx: click.Context) -> Iterator[str]:
    usage = " ".join(command_.collect_usage_pieces(ctx))
    yield f".SS {_escaped(f'bulk-onboard {ctx.info_name} {usage}')}"
    yield from _prose(command_.help or "")
    for parameter in command_.get_params(ctx):
        if (record := parameter.get_help_record(ctx)) and record[1]:
            yield from (".TP", f"\\fB{_escaped(record[0])}\\fR", _escaped(record[1]))
    yield from _epilog(command_.epilog or "", "")


def _epilog(text: str, heading: str) -> Iterator[str]:
    """Examples and tables keep their lines."""
    for block in text.split("\n\n"):
        title, _, lines = block.replace("\b\n", "").strip("\n").partition("\n")
        if heading and lines:
            yield f"{heading} {_escaped(title.rstrip(':').upper())}"
        elif title:
            yield from (".PP", _escaped(title))
        if lines:
            yield from (".nf", *map(_escaped, lines.splitlines()), ".fi")


def _prose(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        yield from (".PP", _escaped(" ".join(paragraph.split())))


def _first(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0].rstrip(".")


def _escaped(text: str) -> str:
    """Nothing of it is a command of man's."""
    told = text.replace("\\", "\\e").replace("-", "\\-")
    told = re.sub(r"[^\x00-\x7f]", lambda found: f"\\[u{ord(found[0]):04X}]", told)
    return f"\\&{told}" if told.startswith((".", "'")) else told


_ENVIRONMENT = (
    ".SH ENVIRONMENT",
    ".PP",
    _escaped(
        "LEAF_BASE_URL, LEAF_TOKEN, or LEAF_USERNAME and LEAF_PASSWORD; the settings that `bulk-onboard"
        " providers NAME` lists; BULK_ONBOARD_NOTIFY and BULK_ONBOARD_PING. Each may also stand in a file"
        " that NAME_FILE leads to, in .env, in bulk-onboard.toml, or in the system's keyring."
    ),
    ".SH FILES",
    *(".TP", "\\fIreports/ledger.sqlite3\\fR", "What was done, across runs."),
    *(".TP", "\\fIreports/\\fRRUN\\fI/results.csv\\fR", "A line for each row of the file."),
    *(".TP", "\\fIbulk\\-onboard.toml\\fR", "Settings."),
)
