"""What to do after a run, depending on its command: with a plan, a canary, a limit, or for a check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bulk_onboard.domain.formatting import n_growers, n_rows
from bulk_onboard.domain.model import Health, Status
from bulk_onboard.domain.run_events import RunInfo, RunKind
from bulk_onboard.errors import ExitCode
from bulk_onboard.reports.counts import Counts

_ONLY = "it does only what is left"
_TRY_AGAIN = {Status.FAILED, Status.UNRESOLVED, Status.NOT_ATTEMPTED}


class Advice(NamedTuple):
    """Advice on what to do next, with the complete command if it is known."""

    text: str
    command: str = ""


def advice(info: RunInfo, counts: Counts, code: ExitCode) -> Iterator[Advice]:
    """Yield advice after a run that ended with ``code``, the most urgent first; at least one item."""
    if info.kind is RunKind.DRY_RUN and code in {ExitCode.OK, ExitCode.ATTENTION}:
        yield Advice(_after_dry_run(info))
        return
    if code is not ExitCode.OK:
        yield Advice(_after_trouble(info, code, counts))
    if pending := counts.health[Health.PENDING]:
        have = "has" if pending == 1 else "have"
        yield Advice(
            f"{n_growers(pending)} {have} no provider event yet. Check again later:",
            f"bulk-onboard events {info.run_id}",
        )
    if counts.rolled_back:
        yield Advice("To onboard the growers that were rolled back again, run their file.")
    elif info.left_out:
        are = "is" if info.left_out == 1 else "are"
        yield Advice(
            f"{n_rows(info.left_out)} {are} left because of --limit: the same command processes the next"
            f" ones,"
            " and without --limit it processes all of them."
        )
    elif code is ExitCode.OK and not pending:
        yield Advice("Nothing is left to do.")


def _after_dry_run(info: RunInfo) -> str:
    if info.forecast and info.forecast.users:
        return (
            "To create these users and connect them, run the same command without --dry-run; a plan is for"
            " growers that have a leafUserId."
        )
    return "To do exactly this, run the same command with --plan and that plan.csv in place of --dry-run."


def _after_trouble(info: RunInfo, code: ExitCode, counts: Counts) -> str:
    match code:
        case ExitCode.INTERRUPTED:
            return f"Run the same command again; {_ONLY}."
        case ExitCode.LOGIN:
            settings = "LEAF_TOKEN, or LEAF_USERNAME and LEAF_PASSWORD"
            return f"Correct {settings}, and run the same command again; {_ONLY}."
        case ExitCode.ATTENTION if counts.off_plan:
            return (
                "Do what each hint says. The same plan leaves out the same rows: make a new one with"
                f" --dry-run, or run the file without --plan; {_ONLY}."
            )
        case ExitCode.ATTENTION if info.kind is RunKind.EVENTS:
            return "Do what each hint says, then run the file; the same command checks the events again."
        case ExitCode.ATTENTION if {cause.status for cause in counts.causes} <= _TRY_AGAIN:
            return f"Run the same command again; {_ONLY}, and Leaf is asked before anything is sent twice."
        case ExitCode.ATTENTION:
            return f"Do what each hint says, then run the same command again; {_ONLY}."
        case ExitCode.BUG:
            return "Keep the ledger and the files; they help to find the bug."
        case ExitCode.STOPPED if "canary row" in (info.stop_reason or ""):
            return (
                "Do what the hint says, or run the same command again: failed rows come last, and the next"
                " untried rows are the canary."
            )
        case _:
            return f"Fix what stopped it, and run the same command again; {_ONLY}."
