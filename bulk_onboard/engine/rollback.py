"""The composition root of a rollback: delete what a run created, unless it has changed since."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import pyarrow as pa

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Payload
from bulk_onboard.domain.providers import ENVIRONMENT
from bulk_onboard.domain.run_events import (
    About,
    Observer,
    Paused,
    PhaseStarted,
    RunInfo,
    RunKind,
    ignore,
)
from bulk_onboard.engine import closing
from bulk_onboard.engine.closing import RunResult, ended
from bulk_onboard.engine.observer import StoppingObserver
from bulk_onboard.engine.opening import (
    LedgerWait,
    Opened,
    begin_rollback,
    find_run,
    open_ledger,
    providers_of,
    report_left_without,
    require_stored,
    scopes_of,
)
from bulk_onboard.engine.rollback_row import RollingBack
from bulk_onboard.engine.session import connected, policy_of
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import InputError, OutputError
from bulk_onboard.ledger import Ledger, history
from bulk_onboard.ledger.left_without import left_without
from bulk_onboard.pace import Pace
from bulk_onboard.policy.rollback import Removal, entry_before, known_outcome, removal_of, rollback_policy
from bulk_onboard.reports import rollback as rollback_report
from bulk_onboard.reports.saved_events import SavedEvents
from bulk_onboard.reports.writers import write_json, write_results
from bulk_onboard.settings import OutputSettings, Settings
from bulk_onboard.threads import in_thread
from bulk_onboard.validation.columns import LEAF_USER_ID, normalize
from bulk_onboard.validation.fingerprints import Fingerprints
from bulk_onboard.validation.skipped_lines import LineFilter
from bulk_onboard.workspace import Workspace
from bulk_onboard.workspace.results import add_entries, add_hints, create_results

DELETED_EVENTS = "deleted-events.jsonl"


@dataclass(frozen=True, slots=True)
class Outlook:
    """The scope of a rollback, before it is confirmed: the credentials of ``to_do`` growers.

    ``unmatched``: requested growers for which the run did not create credentials, sorted.
    """

    run_id: str
    unmatched: tuple[str, ...]
    to_do: int
    leaf: str
    owner: str


def outlook(
    run_id: str,
    settings: Settings,
    only: Collection[str] | None = None,
    observer: Observer = ignore,
    *,
    include_unproven: bool = False,
) -> Outlook:
    """Return what a rollback would be about, by the ledger alone.

    Raises UsageError if there is no such run, it creates nothing by its kind, or its provider is not defined
    any more.
    """
    with open_ledger(settings, observer) as ledger:
        run_no, info = find_run(ledger, run_id)
        require_stored(info)
        providers_of(info, settings.providers)
        unmatched, to_do = (
            set(only or ()),
            set[str](),
        )  # a grower may have a row for each of several providers
        for entry, earlier in _created(ledger, run_no, run_id, only):
            unmatched.discard(entry.leaf_user_id)
            if known_outcome(entry, earlier, include_unproven=include_unproven) is None:
                to_do.add(entry.leaf_user_id)
        return Outlook(run_id, tuple(sorted(unmatched)), len(to_do), info.leaf, info.owner)


def growers_listed(source: Source) -> frozenset[str]:
    """The growers in a file's column leafUserId, whatever else it has. Raises InputError."""
    columns = [i for i, name in enumerate(source.header) if normalize(name) == normalize(LEAF_USER_ID)]
    if len(columns) != 1:
        count = f"{len(columns) or 'no'} column{'s' * (len(columns) != 0)}"
        raise InputError(f"{source.name} has {count} {LEAF_USER_ID}; expected one")
    growers = set()
    lines = LineFilter(source.header, columns[0], columns)
    for chunk in map(lines.rows, source.chunks(lines.positions)):
        for number, cell in zip(chunk.numbers.tolist(), chunk.cells[0].tolist(), strict=True):
            try:
                growers.add(str(UUID(cell.strip())))
            except ValueError:
                raise InputError(f"{source.name}, row {number}: the {LEAF_USER_ID} is not a UUID") from None
    return frozenset(growers)


async def rollback(
    run_id: str,
    settings: Settings,
    observer: Observer,
    stop: StopSignal | None = None,
    *,
    only: Collection[str] | None = None,
    dry_run: bool = False,
    include_unproven: bool = False,
) -> RunResult:
    """Delete what the run created and is unchanged since; of the growers in ``only`` if that is given.

    ``dry_run``: only ask. ``include_unproven``: also what only its time says is the run's.
    Raises UsageError if there is no such run or it was made at another Leaf or as another API owner,
    LedgerBusy, LedgerError, OutputError. What stops it later is the result's exit code.
    """
    kind = RunKind.ROLLBACK_DRY_RUN if dry_run else RunKind.ROLLBACK
    async with begin_rollback(run_id, settings, kind, LedgerWait(observer, stop)) as opened:
        work = _Rollback(settings, opened, observer, stop, dry_run=dry_run)
        removals = await in_thread(partial(work.plan, run_id, only, include_unproven=include_unproven))
        await work.remove(run_id, removals)
        return await work.report()


def write(ledger: Ledger, run_no: int, info: RunInfo, output: OutputSettings) -> RunResult:
    """A rollback's files, as a function of the ledger alone. Raises LedgerError, OutputError."""
    # That the rollback has ended is on record before its files are written, and stays so if they cannot be.
    ledger.amend(replace(info, exit_code=info.exit_code or int(OutputError.exit_code)))
    folder = output.folder / info.run_id
    formats = [name for name in output.formats if name != closing.PAGE]
    with _results(ledger, run_no, info) as workspace:
        counts = workspace.read(
            partial(rollback_report.count_rollback, left_without=left_without(ledger, info))
        )
        writing = partial(write_results, columns=rollback_report.COLUMNS, stem="rollback")
        files = workspace.read(lambda db: writing(db, folder, formats))
    code = rollback_report.exit_code(counts, info)
    info = replace(info, exit_code=int(code))
    content = rollback_report.summary(info, counts)
    files.append(write_json(folder / "summary.json", content))
    ledger.amend(info)
    history.record(ledger, run_no, history.Ending(counts.in_order, {}, None))
    if (saved_events := folder / DELETED_EVENTS).exists():
        files.append(saved_events)
    words = partial(rollback_report.words, info, counts, tuple(files))
    return RunResult(info, content, words, tuple(files), folder, code, code)


@contextmanager
def _results(ledger: Ledger, run_no: int, info: RunInfo) -> Iterator[Workspace]:
    """Yield a workspace with the results of a rollback: what was created, and what it did with that."""
    created_no, _ = find_run(ledger, info.input)
    with Workspace(providers=info.provider.split(",")) as workspace:
        create_results(workspace)
        for created in history.created(ledger, created_no):
            entries = (
                {e.row: e for e in ledger.entries(run_no, created[0].row, created[-1].row)} if created else {}
            )
            rows = [entry for entry in created if entry.row in entries]
            workspace.load_rows(pa.table({
                "row": pa.array([entry.row for entry in rows], pa.int64()),
                "provider": pa.array([entry.provider or info.provider for entry in rows], pa.string()),
                "id": pa.array([entry.leaf_user_id for entry in rows], pa.string()),
            }))  # fmt: skip
            add_entries(workspace, [entries[e.row]._replace(credential_id=e.credential_id) for e in rows])
        add_hints(workspace)
        yield workspace


class _Rollback:
    """One rollback on the ledger, from what the run created to the report."""

    def __init__(
        self,
        settings: Settings,
        opened: Opened,
        observer: Observer,
        stop: StopSignal | None,
        *,
        dry_run: bool,
    ) -> None:
        self._settings, self._opened, self._dry_run = settings, opened, dry_run
        self._policy = rollback_policy(policy_of(settings))
        self._facts = StoppingObserver(observer, stop or StopSignal(), self._policy.patience)
        self._ledger, self._run_no, self._info = opened.ledger, opened.run_no, opened.info
        self._scopes = scopes_of(self._ledger, self._info)
        self._stop = self._facts.stop
        self._stop.grace = settings.leaf.timeout
        report_left_without(self._ledger, self._info, self._facts)

    def plan(self, run_id: str, only: Collection[str] | None, *, include_unproven: bool) -> list[Removal]:
        """Record all rows with what is known of them, and return those that are to be deleted."""
        run_no, _ = find_run(self._ledger, run_id)
        apps, entries, removals = self._apps(), list[Entry](), list[Removal]()
        for created, earlier in _created(self._ledger, run_no, run_id, only):
            known = known_outcome(created, earlier, include_unproven=include_unproven)
            removal = removal_of(created, earlier, apps.get((created.provider, created.app)))
            entries.append(entry_before(removal, known))
            if known is None:
                removals.append(removal)
        scope = next(iter(self._scopes.values()))
        self._ledger.write(self._run_no, scope, [], entries, self._scopes)
        self._info = replace(self._info, rows=len(entries))
        self._ledger.amend(self._info)
        return removals

    def _apps(self) -> dict[tuple[str, int], Payload]:
        """Return the app fields in the settings, by provider and the mark of entries stored with them."""
        fingerprints, apps = Fingerprints(self._ledger.key), {}
        for name in self._scopes:
            secrets = self._settings.app.get(name, {})
            fields = {field: secret.reveal() for field, secret in secrets.items()}
            apps[name, fingerprints.of_entry(fields, ENVIRONMENT)] = Payload(fields)
        return apps

    async def remove(self, run_id: str, removals: Sequence[Removal]) -> None:
        """Connect to Leaf and process each row.

        The reason for an early stop is recorded in the rollback's info.
        """
        info, rate, to_do = self._info, self._settings.pace.rate, len(removals)
        about = About(info.run_id, self._opened.place.shown, info.owner, info.provider, to_do, rate)
        self._facts(replace(about, dry_run=self._dry_run, rolled_back=run_id))
        if not to_do:
            return
        self._facts.watch(self._settings.safety, to_do)
        pace = Pace(rate, on_hold=lambda seconds: self._facts(Paused(seconds)))
        providers = [self._settings.providers[name] for name in self._scopes]
        run = (self._opened, self._settings, providers, self._facts)
        async with connected(*run, policy=self._policy, turns=pace) as (client, context):
            keeper = SavedEvents(self._settings.output.folder / info.run_id / DELETED_EVENTS)
            await self._stop.cut_short(client.contact())
            self._facts(PhaseStarted("rollback", to_do))
            work = RollingBack(context, client, keeper, self._dry_run)
            await context.work_through(iter(removals), work.remove)
        self._info = replace(info, requests=client.requests, traffic=pace.traffic())

    async def report(self) -> RunResult:
        """Record how the rollback ended, and write its files."""
        info, output = ended(self._info, self._stop), self._settings.output
        try:
            if not self._dry_run:
                await in_thread(partial(_rewrite, self._ledger, info.input, output))
        finally:
            result = await in_thread(partial(write, self._ledger, self._run_no, info, output))
        return result


def _rewrite(ledger: Ledger, run_id: str, output: OutputSettings) -> None:
    """Write the files of the run that was rolled back again, where they are: they must say so."""
    run_no, info = find_run(ledger, run_id)
    if (output.folder / run_id / "summary.json").exists() and next(ledger.blocks(run_no), None):
        closing.write(ledger, run_no, info, output, again=True)


def _created(
    ledger: Ledger, run_no: int, run_id: str, only: Collection[str] | None
) -> Iterator[tuple[Entry, Entry | None]]:
    """Yield what the run created, of the growers in ``only``, and what an earlier rollback did with it."""
    earlier = history.rolled_back(ledger, run_id)
    for entries in history.created(ledger, run_no):
        for entry in entries:
            if only is None or entry.leaf_user_id in only:
                yield entry, earlier.get(entry.row)
