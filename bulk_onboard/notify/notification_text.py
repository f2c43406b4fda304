"""The message about a run: the changes, then the final text of the terminal. Pure; without secrets."""

from __future__ import annotations

from collections.abc import Iterator

from bulk_onboard.domain.formatting import n_growers, n_rows, with_code
from bulk_onboard.errors import ExitCode
from bulk_onboard.policy.attention import Change, End, Turn


def title(name: str, end: End, attention: int = 0, token_changed: int = 0) -> str:
    """Return the title: one line with the name of the file.

    ``attention``: how many rows need attention. ``token_changed``: for how many rows Leaf holds a different
    token from the file's.
    """
    rotated = f", {n_rows(token_changed)} with a different token at Leaf" if token_changed else ""
    return f"bulk-onboard: {_headline(end, attention)}{rotated} ({name})"


def _headline(end: End, attention: int) -> str:
    new = sum(end.change.worse.values())
    if not end.began:
        return "the run could not start"
    if not end.reported:
        return "the run ended, but its report could not be written"
    if end.code not in {ExitCode.OK, ExitCode.ATTENTION}:
        return "interrupted" if end.code is ExitCode.INTERRUPTED else "stopped early"
    if new:
        return f"{n_rows(new)} newly need{'s' if new == 1 else ''} attention"
    still = f", {n_rows(attention)} still need{'s' if attention == 1 else ''} attention" if attention else ""
    if end.turn is Turn.BETTER:
        return f"recovered{still}"
    return still.removeprefix(", ") or "all is well"


def body(end: End, closing: str, run_id: str, last_run_id: str | None) -> str:
    """Return the changes since the previous run, and the final text of this run."""
    changes = "\n".join(_changes(end.change, last_run_id))
    return "\n\n".join(
        part for part in (changes, closing, f"Run {run_id}, exit code {int(end.code)}.") if part
    )


def failed(end: End, reason: str, run_id: str) -> str:
    """Return the message about a run that ended with an error. ``run_id``: "" if it did not start."""
    lines = [reason]
    if run_id and not end.reported:
        lines.append(
            f"All finished work is in the ledger; write the report again: `bulk-onboard report {run_id}`"
        )
    elif run_id:
        lines.append("All finished work is in the ledger; running the same command again is safe.")
    run = f"Run {run_id}, exit code" if run_id else "Exit code"
    return "\n\n".join([*lines, f"{run} {int(end.code)}: {end.code.meaning}."])


def _changes(change: Change, last_run_id: str | None) -> Iterator[str]:
    if last_run_id is None:
        return  # the first run: everything is new
    yield f"Since run {last_run_id}:"
    for (status, code), count in sorted(change.worse.items(), key=lambda item: (-item[1], item[0])):
        cause = with_code(status, code)
        yield f"  new: {n_rows(count)} {cause}"
    if change.recovered:
        yield f"  recovered: {n_growers(change.recovered)}"
    if change.lasting:
        yield f"  unchanged: {n_growers(change.lasting)} need{'s' if change.lasting == 1 else ''} attention"
    if not (change.worse or change.recovered or change.lasting):
        yield "  nothing that needs attention has changed"
