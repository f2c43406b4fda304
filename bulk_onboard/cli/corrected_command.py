"""The command to run instead of one that lacked a column, ready to be pasted into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from bulk_onboard.validation.columns import normal

_MAP = "--map"
# What these say may be a secret, and messages end up in logs.
_SECRET = ("--notify", "--ping", "--ledger")


def with_columns(arguments: Sequence[str], columns: Mapping[str, str]) -> str:
    """What to do to have ``columns`` (field -> column) used: run a command, or add options to it.

    ``arguments``: those of the command that failed. A --map of the same fields is replaced.
    """
    added = [text for field, column in columns.items() for text in (_MAP, f"{field}={column}")]
    if any(text.startswith(_SECRET) for text in arguments):
        return f"add: {shlex.join(added)}"
    fields, kept = {normal(field) for field in columns}, []
    remaining = iter(arguments)
    for text in remaining:
        option = [text, next(remaining, "")] if text == _MAP else [text]
        value = option[-1].removeprefix(f"{_MAP}=") if text.startswith(_MAP) else ""
        if normal(value.partition("=")[0]) not in fields:
            kept += option
    end = kept.index("--") if "--" in kept else len(kept)
    return f"run: {shlex.join(['bulk-onboard', *kept[:end], *added, *kept[end:]])}"
