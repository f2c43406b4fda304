"""A run's files, written again from the ledger alone."""

from __future__ import annotations

from bulk_onboard.engine import closing, rollback
from bulk_onboard.engine.closing import RunResult
from bulk_onboard.engine.opening import find_run, open_ledger, require_blocks
from bulk_onboard.facts import Kind, Observer, ignore
from bulk_onboard.ledger.lock import hold
from bulk_onboard.settings import Settings


def write_again(run_id: str | None, settings: Settings, observer: Observer = ignore) -> RunResult:
    """Write a run's files again from the ledger: the latest run's if ``run_id`` is None.

    The ledger is held meanwhile: a run that is about to end must not get the files and the record of an older
    state. Raises UsageError if there is no such run, LedgerBusy, LedgerError, OutputError.
    """
    with open_ledger(settings, observer) as ledger, hold(settings.output.ledger_place, ledger.retry):
        run_no, info = find_run(ledger, run_id)
        if info.kind in {Kind.ROLLBACK, Kind.ROLLBACK_DRY_RUN}:
            return rollback.write(ledger, run_no, info, settings.output)
        require_blocks(ledger, run_no, info)
        return closing.write(ledger, run_no, info, settings.output, again=True)
