"""``bulk-onboard explain CODE``."""

from __future__ import annotations

import json

import click

from bulk_onboard.cli import completion, options
from bulk_onboard.domain import codes
from bulk_onboard.errors import UsageError

_EPILOG = """\b
Examples:
  bulk-onboard explain token-changed
  bulk-onboard explain missing-refreshToken
"""


@click.command("explain", cls=options.Command, epilog=_EPILOG)
@click.argument("code", shell_complete=completion.codes)
@options.plain_json
def command(code: str, *, as_json: bool) -> int:
    """Explain CODE, a value of the results' column `code`, and what to do about it."""
    entry = looked_up(code)
    data = {"code": code.strip(), "meaning": entry.meaning, "hint": entry.hint}
    click.echo(json.dumps(data, indent=2) if as_json else explained(code))
    return 0


def looked_up(code: str) -> codes.Code:
    """Return the code. Raises UsageError if the code does not exist."""
    entry = codes.lookup(code.strip())
    if entry is None:
        raise UsageError(f"{code!r} is not a code{_instead(codes.suggest(code))}")
    return entry


def explained(code: str) -> str:
    """Return the meaning and the hint of a code."""
    entry = looked_up(code)
    return f"{code}: {entry.meaning}\n{entry.hint}"


def _instead(close: list[str]) -> str:
    return f" (did you mean {' or '.join(close)}?)" if close else ""
