"""``bulk-onboard explain CODE``."""

from __future__ import annotations

import click

from bulk_onboard import codes
from bulk_onboard.errors import UsageError

_EPILOG = """\b
Examples:
  bulk-onboard explain token-changed
  bulk-onboard explain missing-refreshToken
"""


@click.command("explain", epilog=_EPILOG)
@click.argument("code")
def command(code: str) -> int:
    """Say what CODE, from the results' column `code`, means and what to do."""
    click.echo(explained(code))
    return 0


def explained(code: str) -> str:
    """The meaning and the hint of a code."""
    found = codes.lookup(code.strip())
    if found is None:
        raise UsageError(f"{code!r} is not a code{_instead(codes.suggest(code))}")
    return f"{code}: {found.meaning}\n{found.hint}"


def _instead(close: list[str]) -> str:
    return f" (did you mean {' or '.join(close)}?)" if close else ""
