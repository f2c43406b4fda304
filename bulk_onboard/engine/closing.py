"""Closing a run: its files and its exit code, as a function of the ledger alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from bulk_onboard.concerns import Change, Concerns, Reckoning, change_since
from bulk_onboard.engine.ahead import ahead
from bulk_onboard.engine.plan import COLUMNS
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.entry import LeftGrower
from bulk_onboard.errors import ExitCode, OutputError
from bulk_onboard.facts import Kind, RunInfo
from bulk_onboard.ledger import Ledger, history
from bulk_onboard.ledger.left_without import left_without
from bulk_onboard.ledger.users import count_users
from bulk_onboard.model import Requests
from bulk_onboard.policy.attention import code_for
from bulk_onboard.report.extract import Extract
from bulk_onboard.report.files import write_json, write_plan, write_results
from bulk_onboard.report.page import write_page
from bulk_onboard.report.rows import merge
from bulk_onboard.report.summary import summary, words
from bulk_onboard.report.tally import Tally, exit_code
from bulk_onboard.settings import FailOn, OutputSettings
from bulk_onboard.stamp import to_text, utc_now
from bulk_onboard.workspace import Workspace

_PAGE_ROWS = 30_000
# A cause of growers, not of rows of this file.
_LEFT = ("left_without_credentials", "")
# Among the formats: a page of the run, not a form of its results.
PAGE = "html"


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to.

    ``summary`` is what summary.json holds, ``words`` gives the closing text for people, so many columns wide.
    ``outcome`` is how this command ended, as a later check of a run's events ends in its own way; ``code`` is
    the exit code that the settings make of it. ``notified`` is the latest run that a message was sent about,
    of the same Leaf and provider, ``news`` what has changed since then, and ``mark_notified`` records that a
    message about this run was sent, or that none was needed.
    """

    info: RunInfo
    summary: dict[str, Any]
    words: Callable[[int], str]
    files: tuple[Path, ...]
    folder: Path
    code: ExitCode
    outcome: ExitCode
    notified: RunInfo | None = None
    news: Change = field(default_factory=Change)
    mark_notified: Callable[[], None] = lambda: None

    @property
    def exit_code(self) -> int:
        """The process's exit code."""
        return int(self.code)


def ended(info: RunInfo, stop: StopSignal) -> RunInfo:
    """The run as it ends now, for the reason that ``stop`` has, if any."""
    interrupted = stop.exit_code is ExitCode.INTERRUPTED
    return replace(
        info,
        finished_at=utc_now(),
        stop_reason=stop.reason,
        interrupted=interrupted,
        exit_code=int(stop.exit_code) if stop.exit_code and not interrupted else None,
    )


def checked_again(info: RunInfo) -> RunInfo:
    """A run that has ended, for the time of a check: that has a beginning, requests and an end of its own."""
    return replace(
        info,
        started_at=utc_now(),
        finished_at=None,
        requests=Requests(),
        stop_reason=None,
        interrupted=False,
        exit_code=None,
    )


def write(
    ledger: Ledger,
    run_no: int,
    info: RunInfo,
    output: OutputSettings,
    before: RunInfo | None = None,
    *,
    content: str | None = None,
    again: bool = False,
    fail_on: FailOn = FailOn.PROBLEMS,
) -> RunResult:
    """The run's files, as a function of the ledger alone. Raises LedgerError, OutputError.

    ``before``: how the run had ended before this look at it, which is what stays on record. ``content``: the
    digest of what its input says. ``again``: nothing has been done since its files were last written.
    That the run has ended is on record before its files are written, and stays so if they cannot be.
    """
    if again:
        return _written(ledger, run_no, info, output, before, content=content, again=True)
    if before is None:
        ledger.amend(replace(info, exit_code=info.exit_code or int(OutputError.exit_code)))
    try:
        return _written(ledger, run_no, info, output, before, content=content, fail_on=fail_on)
    except OutputError:
        _record_counts(ledger, run_no, info, content)
        raise


def _record_counts(ledger: Ledger, run_no: int, info: RunInfo, content: str | None) -> None:
    """Record what a run came to whose files cannot be written."""
    tally = Tally(planned=info.plan is not None)
    attention = _reckoning(ledger, run_no, info, history.last(ledger, run_no), again=False)
    for page in pages(ledger, run_no, info):
        tally.add(attention.add(page))
    ending = history.Ending(tally.counts, tally.health, attention.concerns(), content)
    history.record(ledger, run_no, ending)


def _written(
    ledger: Ledger,
    run_no: int,
    info: RunInfo,
    output: OutputSettings,
    before: RunInfo | None = None,
    *,
    content: str | None = None,
    again: bool = False,
    fail_on: FailOn = FailOn.PROBLEMS,
) -> RunResult:
    folder, extract = output.folder / info.run_id, Extract()
    left = left_without(ledger, info, run_no if again else None)
    undone = history.deleted_since(ledger, info.run_id)
    tally = Tally(
        planned=info.plan is not None,
        left_without=left,
        rolled_back=undone.growers if undone else 0,
        rollbacks=undone.run_ids if undone else (),
        began=to_text(info.started_at),
    )
    last = history.last(ledger, run_no)
    reckoning = _reckoning(ledger, run_no, info, last, again=again)

    def counted() -> Iterator[pd.DataFrame]:
        for page in ahead(pages(ledger, run_no, info)):
            aged = reckoning.add(page)
            extract.add(aged, tally.add(aged))
            yield aged

    files = list(write_results(folder, [name for name in output.formats if name != PAGE], counted()))
    results = [file.name for file in files]
    if info.kind is Kind.DRY_RUN:
        files.append(write_plan(folder / "plan.csv", _plan(ledger, run_no, info)))
    known = reckoning.concerns()
    is_worse = bool(_change(ledger, info, left, last, known).worse)
    if again and info.exit_code == ExitCode.OK:
        fail_on = FailOn.NEVER  # as the run ended
    outcome, kept = exit_code(tally, info), before or info
    code = code_for(outcome, fail_on, is_worse=is_worse)
    kept = replace(kept, exit_code=int(code_for(exit_code(tally, kept), fail_on, is_worse=is_worse)))
    sums = summary(kept, tally, users := count_users(ledger, run_no)) | {"exitCode": kept.exit_code}
    files.append(write_json(folder / "summary.json", sums))
    if PAGE in output.formats:
        files.append(write_page(folder / "report.html", kept, tally, extract, results))
    ledger.amend(kept)
    if not again:
        ending = history.Ending(tally.counts, tally.health, known, content)
        history.record(ledger, run_no, ending)
    told = partial(words, info, tally, files, users=users)
    notified = history.last_notified(ledger, run_no)
    news = _change(ledger, info, left, notified, known)

    def mark_notified() -> None:
        if info.kind is not Kind.DRY_RUN:
            with Ledger(output.ledger_place, make=False) as opened:
                history.record_notified(opened, run_no, int(outcome), known)

    since = notified.info if notified else None
    return RunResult(kept, sums, told, tuple(files), folder, code, outcome, since, news, mark_notified)


def _change(
    ledger: Ledger, info: RunInfo, left: Sequence[LeftGrower], last: history.Last | None, now: Concerns
) -> Change:
    """What has changed since a run, with the growers of other files that were left without credentials."""
    change = change_since(last.concerns if last else Concerns(), now)
    found = ledger.find(last.info.run_id) if last else None
    known = left_without(ledger, info, found[0]) if found else []
    before = {(each.provider, each.leaf_user_id) for each in known}
    fresh = [each for each in left if each.run_id != info.run_id]
    count = sum((each.provider, each.leaf_user_id) not in before for each in fresh)
    return replace(change, worse={**change.worse, _LEFT: count}) if count else change


def _reckoning(
    ledger: Ledger, run_no: int, info: RunInfo, last: history.Last | None, *, again: bool
) -> Reckoning:
    """What tells rows how long they have needed attention: by the run before, or as was told already."""
    own = history.concerns(ledger, run_no) if again else None
    if own is not None:
        return Reckoning(own, to_text(info.started_at), again=True)
    return Reckoning(last.concerns if last else Concerns(), to_text(info.started_at))


def aged_pages(ledger: Ledger, run_no: int, info: RunInfo) -> Iterator[pd.DataFrame]:
    """The same rows as in the run's files, once these have been written."""
    reckoning = _reckoning(ledger, run_no, info, None, again=True)
    yield from map(reckoning.add, pages(ledger, run_no, info))


def _plan(ledger: Ledger, run_no: int, info: RunInfo) -> Iterator[pd.DataFrame]:
    """What a dry run found out, as `run --plan` reads it."""
    for page in pages(ledger, run_no, info):
        rows = page["row"]
        entries = ledger.entries(run_no, int(rows.iloc[0]), int(rows.iloc[-1]))
        created = {entry.row: entry.credential_created for entry in entries}
        told = page.rename(columns={"status": "action"}).assign(leaf=info.leaf, apiOwner=info.owner)
        times = [created.get(row, "") for row in rows.tolist()]
        yield told.assign(createdTime=pd.Series(times, told.index, dtype="str"))[list(COLUMNS)]


def pages(ledger: Ledger, run_no: int, info: RunInfo) -> Iterator[pd.DataFrame]:
    """The run's rows in input order, a chunk at a time."""
    with stored_rows(ledger, run_no, info) as workspace:
        for first, last in workspace.ranges(_PAGE_ROWS):
            yield merge(workspace.page(first, last), ledger.lines(run_no, first, last), info.provider)


@contextmanager
def stored_rows(ledger: Ledger, run_no: int, info: RunInfo) -> Iterator[Workspace]:
    """A workspace with the rows of a run's input, as the ledger stores them."""
    with Workspace(info.kept) as workspace:
        workspace.load_blocks(data for _, _, data in ledger.blocks(run_no))
        yield workspace
