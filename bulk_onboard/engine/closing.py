"""Closing a run: its files and its exit code, as a function of the ledger alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bulk_onboard.domain.model import Requests
from bulk_onboard.domain.run_events import RunInfo, RunKind
from bulk_onboard.domain.timestamps import to_text, utc_now
from bulk_onboard.engine.results import results_of
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import ExitCode, OutputError
from bulk_onboard.ledger import Ledger, history
from bulk_onboard.ledger.left_without import left_without
from bulk_onboard.ledger.users import count_users
from bulk_onboard.policy.attention import Change, code_for
from bulk_onboard.reports.counts import Counts, count_rows, exit_code
from bulk_onboard.reports.page import write_page
from bulk_onboard.reports.page_rows import page_rows
from bulk_onboard.reports.summary import summary, words
from bulk_onboard.reports.writers import write_json, write_plan, write_results
from bulk_onboard.settings import FailOn, OutputSettings
from bulk_onboard.workspace import Workspace
from bulk_onboard.workspace.results import attention_after, change_since, load_attention

# A cause of growers, not of rows of this file.
_LEFT = ("left_without_credentials", "")
# Among the formats: a page of the run, not a form of its results.
PAGE = "html"


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run.

    ``summary`` is the content of summary.json, ``words`` returns the final text, wrapped to a width in
    columns. ``outcome`` is how this command ended, which differs from the run's end if it is a later check;
    ``code`` is the exit code that follows from it and the settings. ``notified`` is the latest run that a
    message was sent about, of the same Leaf and provider, ``news`` what has changed since then, and
    ``mark_notified`` records that a message about this run was sent, or that none was needed.
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
    """Return the run as it ends now, for the reason in ``stop``, if any."""
    interrupted = stop.exit_code is ExitCode.INTERRUPTED
    return replace(
        info,
        finished_at=utc_now(),
        stop_reason=stop.reason,
        interrupted=interrupted,
        exit_code=int(stop.exit_code) if stop.exit_code and not interrupted else None,
    )


def checked_again(info: RunInfo) -> RunInfo:
    """Return an ended run as its check begins: with a new start, no requests and no end."""
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
    workspace: Workspace | None = None,
) -> RunResult:
    """Write the run's files, as a function of the ledger alone. Raises LedgerError, OutputError.

    ``before``: how the run had ended before it was reopened, which is what stays on record. ``content``: the
    digest of what its input says. ``again``: nothing has been done since its files were last written.
    ``workspace``: one that has the run's rows already. That the run has ended is on record before its files
    are written, and stays so if they cannot be.
    """
    if not again and before is None:
        ledger.amend(replace(info, exit_code=info.exit_code or int(OutputError.exit_code)))
    with results_of(ledger, run_no, info, again=again, workspace=workspace) as opened:
        counts = _counts(opened, ledger, run_no, info, again=again)
        ending = history.Ending(counts.statuses, counts.health, attention_after(opened), content)
        try:
            run = _Run(ledger, run_no, info, output, opened, counts)
            return run.written(before or info, ending, again=again, fail_on=fail_on)
        except OutputError:
            if not again:
                history.record(ledger, run_no, ending)
            raise


def _counts(workspace: Workspace, ledger: Ledger, run_no: int, info: RunInfo, *, again: bool) -> Counts:
    undone = history.deleted_since(ledger, info.run_id)
    counting = partial(
        count_rows,
        began=to_text(info.started_at),
        planned=info.plan is not None,
        left_without=left_without(ledger, info, run_no if again else None),
        rolled_back=undone.growers if undone else 0,
        rollbacks=undone.run_ids if undone else (),
    )
    return workspace.read(counting)


@dataclass(frozen=True, slots=True)
class _Run:
    """The data for the files of a run."""

    ledger: Ledger
    run_no: int
    info: RunInfo
    output: OutputSettings
    workspace: Workspace
    counts: Counts

    def written(self, kept: RunInfo, ending: history.Ending, *, again: bool, fail_on: FailOn) -> RunResult:
        """Write the files and record how the run ended. ``kept``: the run as it stays on record."""
        ledger, run_no, info, counts = self.ledger, self.run_no, self.info, self.counts
        folder, users = self.output.folder / info.run_id, count_users(ledger, run_no)
        files = self._rows(folder)
        if again and info.exit_code == ExitCode.OK:
            fail_on = FailOn.NEVER  # as the run ended
        is_worse = bool(self._change("last", history.last(ledger, run_no)).worse)
        outcome = exit_code(counts, info)
        kept = replace(kept, exit_code=int(code_for(exit_code(counts, kept), fail_on, is_worse=is_worse)))
        content = summary(kept, counts, users) | {"exitCode": kept.exit_code}
        files.append(write_json(folder / "summary.json", content))
        if PAGE in self.output.formats:
            rows = self.workspace.read(lambda db: page_rows(db, info.kept))
            files.append(
                write_page(
                    folder / "report.html",
                    kept,
                    counts,
                    rows,
                    [file.name for file in files[:-1] if file.stem == "results"],
                )
            )
        ledger.amend(kept)
        if not again:
            history.record(ledger, run_no, ending)
        notified = history.last_notified(ledger, run_no)
        load_attention(self.workspace, "notified", notified.attention if notified else ())
        return RunResult(
            info=kept,
            summary=content,
            words=partial(words, info, counts, files, users=users),
            files=tuple(files),
            folder=folder,
            code=code_for(outcome, fail_on, is_worse=is_worse),
            outcome=outcome,
            notified=notified.info if notified else None,
            news=self._change("notified", notified),
            mark_notified=partial(self._mark_notified, outcome, ending.attention or b""),
        )

    def _rows(self, folder: Path) -> list[Path]:
        """Write the rows in every format, and what a dry run says would happen to them."""
        read, info = self.workspace.read, self.info
        formats = [name for name in self.output.formats if name != PAGE]
        files = read(lambda db: write_results(db, folder, formats, info.kept))
        if info.kind is RunKind.DRY_RUN:
            files.append(read(lambda db: write_plan(db, folder / "plan.csv", info.leaf, info.owner)))
        return files

    def _change(self, moment: str, since: history.Last | None) -> Change:
        """Return the changes since a run, with growers of other files that were left without credentials."""
        change = change_since(self.workspace, moment)
        earlier = self.ledger.find(since.info.run_id) if since else None
        known = left_without(self.ledger, self.info, earlier[0]) if earlier else []
        before = {(grower.provider, grower.leaf_user_id) for grower in known}
        new = [grower for grower in self.counts.left_without if grower.run_id != self.info.run_id]
        count = sum((grower.provider, grower.leaf_user_id) not in before for grower in new)
        return replace(change, worse={**change.worse, _LEFT: count}) if count else change

    def _mark_notified(self, outcome: ExitCode, attention: bytes) -> None:
        if self.info.kind is not RunKind.DRY_RUN:
            with Ledger(self.output.ledger_place, make=False) as opened:
                history.record_notified(opened, self.run_no, int(outcome), attention)
