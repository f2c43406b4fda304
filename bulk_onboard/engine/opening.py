"""Opening a run: its Leaf or sandbox, its ledger and lock, and its entry in the ledger."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bulk_onboard.domain.entry import may_be_same_owner
from bulk_onboard.domain.input_description import is_pattern, url_scheme
from bulk_onboard.domain.model import IfExists
from bulk_onboard.domain.providers import ENVIRONMENT, Provider, Providers
from bulk_onboard.domain.run_events import LeftWithout, Observer, RunInfo, RunKind, Trouble, ignore
from bulk_onboard.domain.timestamps import utc_now
from bulk_onboard.engine.checked_file import Reading, Source, columns_of, reading_of
from bulk_onboard.engine.plan import Plan, plan_of
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import ExitCode, Interrupted, LedgerError, UsageError
from bulk_onboard.leaf.auth import owner_of
from bulk_onboard.ledger import Ledger, Lock, Retry
from bulk_onboard.ledger.leases import wait_for_workers
from bulk_onboard.ledger.left_without import left_without
from bulk_onboard.ledger.lock import hold as held
from bulk_onboard.ledger.lock import process_name
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.reports.draft import claim_folder
from bulk_onboard.settings import LeafSettings, Settings
from bulk_onboard.settings.requirements import require
from bulk_onboard.threads import in_thread

# Seconds. Leaf takes longer, but users of the sandbox should not have to wait.
SANDBOX_EVENT_DELAY = 0.3


def provider_named(name: str, providers: Providers) -> Provider:
    """Return a provider. Raises UsageError that lists the known providers."""
    if name not in providers:
        raise UsageError(f"unknown provider {name!r}; choose from {', '.join(sorted(providers))}")
    return providers[name]


def providers_of(info: RunInfo, providers: Providers) -> tuple[Provider, ...]:
    """Return the providers of a run. Raises UsageError if one of them is not among these any more."""
    for name in info.provider.split(","):
        if name not in providers:
            raise UsageError(
                f"run {info.run_id} used the provider {name}, which is no longer defined: put its table"
                f" [providers.{name}] back into the settings file"
            )
    return tuple(providers[name] for name in info.provider.split(","))


def reading_with_settings(source: Source, settings: Settings) -> Reading:
    """Return how the file is read, if the settings have what its rows need.

    Raises UsageError that names all that are missing, InputError if the header cannot be used.
    """
    reading = reading_of(source, settings)
    require(settings, reading.providers, columns_of(source, reading).fields)
    return reading


_RUN_ID = re.compile(r"\d{8}T\d{6}Z\S*")


class Place(NamedTuple):
    """Where to send, and which Leaf that is for the ledger: sandbox and real Leaf never share rows."""

    leaf: LeafSettings
    identity: str
    owner: str
    shown: str


class Opened(NamedTuple):
    """A run on the ledger, its lock, and where it sends."""

    ledger: Ledger
    hold: Lock
    run_no: int
    info: RunInfo
    place: Place


class LedgerWait(NamedTuple):
    """The observer of waits for a server with a ledger, and the signal that ends them."""

    observer: Observer = ignore
    stop: StopSignal | None = None


NO_WAIT = LedgerWait()


@asynccontextmanager
async def begin_run(
    name: str,
    settings: Settings,
    kind: RunKind = RunKind.RUN,
    providers: Sequence[Provider] = (),
    waiting: LedgerWait = NO_WAIT,
) -> AsyncIterator[Opened]:
    """Context manager: a new run, with the ledger locked. ``name``: the input's.

    ``providers``: those that its rows go to, the settings' one if there are none.
    Raises UsageError, LedgerBusy, LedgerError.
    """
    provider_named(settings.provider, settings.providers)
    async with AsyncExitStack() as stack:
        ledger, hold = await _acquire(settings, waiting, stack)
        ledger.require_same_fingerprints()
        place = await _place(settings, ledger, stack)
        names = ",".join(provider.name for provider in providers) or settings.provider
        info = RunInfo("", names, name, place.identity, place.owner, utc_now(), command=settings.command)
        yield _begin(Opened(ledger, hold, 0, replace(info, kind=kind), place), name, settings, stack)


@asynccontextmanager
async def reopen_run(run_id: str, settings: Settings, waiting: LedgerWait = NO_WAIT) -> AsyncIterator[Opened]:
    """Context manager: an earlier run, to check its rows again.

    Raises UsageError if there is none or it was made at another Leaf or as another API owner; LedgerBusy,
    LedgerError.
    """
    async with AsyncExitStack() as stack:
        ledger, hold = await _acquire(settings, waiting, stack)
        run_no, info = find_run(ledger, run_id)
        if info.kind in {RunKind.ROLLBACK, RunKind.ROLLBACK_DRY_RUN}:
            raise UsageError(f"{run_id} is a rollback: it connected no growers to check")
        require_blocks(ledger, run_no, info)
        if info.kind is RunKind.DRY_RUN:
            raise UsageError(f"run {run_id} was a dry run: it stored nothing, so there is nothing to check")
        place = await _place(settings, ledger, stack)
        _require_same_owner(info, place)
        ledger.take_up()
        yield Opened(ledger, hold, run_no, info, place)


@asynccontextmanager
async def begin_rollback(
    run_id: str, settings: Settings, kind: RunKind, waiting: LedgerWait = NO_WAIT
) -> AsyncIterator[Opened]:
    """Context manager: a new run that undoes another one; its ``input`` is the id of that run.

    Raises UsageError if there is none, it stored nothing by its kind, its provider is not defined any more,
    or it was made at another Leaf or as another API owner; LedgerBusy, LedgerError.
    """
    async with AsyncExitStack() as stack:
        ledger, hold = await _acquire(settings, waiting, stack)
        _, undone = find_run(ledger, run_id)
        providers_of(undone, settings.providers)
        place = await _place(settings, ledger, stack)
        require_stored(undone)
        _require_same_owner(undone, place)
        info = RunInfo("", undone.provider, run_id, undone.leaf, undone.owner, utc_now(), kind=kind)
        yield _begin(Opened(ledger, hold, 0, info, place), f"rollback-{undone.input}", settings, stack)


def _begin(opened: Opened, name: str, settings: Settings, stack: AsyncExitStack) -> Opened:
    """Put a run into the ledger, under an id with this name. Raises OutputError, LedgerBusy, LedgerError."""
    ledger, info = opened.ledger, opened.info
    run_id = stack.enter_context(_claimed_run_id(ledger, settings.output.folder, name))
    info = replace(info, run_id=run_id, ceiling=settings.pace.rate)
    run_no = ledger.begin(info, ledger.scope(info.leaf, info.owner, info.provider), process_name())
    return opened._replace(run_no=run_no, info=info)


def plan_in(settings: Settings) -> Plan | None:
    """Return the plan to carry out, if any. Raises InputError, UsageError."""
    if settings.plan is None:
        return None
    with open_source(settings.plan) as source:
        plan = plan_of(source)
    if plan.replaces and settings.if_exists in {IfExists.SKIP, IfExists.FAIL}:
        raise UsageError(
            f"{plan.name} replaces the credentials of {plan.replaces:,} growers, which --if-exists"
            f" {settings.if_exists} does not; run it with the --if-exists that it was made with"
        )
    return plan


def report_left_without(ledger: Ledger, info: RunInfo, observer: Observer) -> None:
    """Report the growers of this Leaf and API owner that an earlier run left without credentials."""
    if growers := left_without(ledger, info):
        observer(LeftWithout(len(growers), tuple(dict.fromkeys(grower.run_id for grower in growers))))


def scopes_of(ledger: Ledger, info: RunInfo) -> dict[str, int]:
    """Return the scopes that a run's growers belong to, by provider."""
    return {name: ledger.scope(info.leaf, info.owner, name) for name in info.provider.split(",")}


async def _acquire(settings: Settings, waiting: LedgerWait, stack: AsyncExitStack) -> tuple[Ledger, Lock]:
    """Acquire the lock and open the ledger, in a thread: a server may have to be waited for."""
    observer, stop = waiting.observer, waiting.stop or StopSignal()
    place = settings.output.ledger_place

    def tell(words: str) -> None:
        observer(Trouble(words))

    def over() -> type[LedgerError | Interrupted]:
        """Return the exception that ends the wait: a run that stopped for a reason was not interrupted."""
        return Interrupted if stop.exit_code in {None, ExitCode.INTERRUPTED} else LedgerError

    first = Retry(tell, lambda: over() if stop.draining else None)
    later = Retry(tell, lambda: over() if stop.hurrying else None)
    hold = await in_thread(partial(stack.enter_context, held(place, first)), stop.abort)
    ledger = await in_thread(lambda: stack.enter_context(Ledger(place, retry=later)), stop.abort)
    hold.missing = ledger.missing
    await in_thread(partial(wait_for_workers, ledger, tell))
    return ledger, hold


def _require_same_owner(info: RunInfo, place: Place) -> None:
    """Raise UsageError if the settings are for another Leaf or API owner than the run."""
    if place.identity != info.leaf:
        raise UsageError(f"run {info.run_id} was made at {info.leaf}, but the settings say {place.identity}")
    if not may_be_same_owner(place.owner, info.owner):
        raise UsageError(
            f"run {info.run_id} was made as {info.owner}, but the settings log in as {place.owner}"
        )


def marks_of(settings: Settings, info: RunInfo, key: bytes) -> dict[str, str]:
    """Return values that distinguish Leaf, login and application, by the name of the setting.

    Secrets are keyed digests; ``key`` is that of the ledger. Nothing can be mixed up in the sandbox.
    """
    if settings.sandbox is not None:
        return {}
    from bulk_onboard.validation.fingerprints import Fingerprints  # noqa: PLC0415  (imports pandas)

    prints = Fingerprints(key)
    marks = {
        "LEAF_BASE_URL": settings.leaf.base_url,
        "LEAF_USERNAME or LEAF_TOKEN": owner_of(settings.leaf.login, key),
    }
    for provider in providers_of(info, settings.providers):
        app = {name: secret.reveal() for name, secret in settings.app_of(provider.name).items()}
        names = ", ".join(provider.setting(app_field) for app_field in provider.app_fields)
        marks[names] = str(prints.of_app(app, ENVIRONMENT))
    return marks


async def _place(settings: Settings, ledger: Ledger, stack: AsyncExitStack) -> Place:
    """Return the real Leaf, or the sandbox, which is served as long as the stack. Raises UsageError."""
    if settings.sandbox is None:
        url = settings.leaf.base_url
        return Place(settings.leaf, url, owner_of(settings.leaf.login, ledger.key), url)
    from bulk_onboard.sandbox import Sandbox, load_behaviour  # noqa: PLC0415  (a real run has no use for it)

    store = settings.output.folder / "sandbox.sqlite3"
    if settings.sandbox.reset:
        Sandbox.reset(store)
    practice = replace(load_behaviour(settings.sandbox.faults), event_delay=SANDBOX_EVENT_DELAY)
    sandbox = Sandbox(settings.providers, behaviour=practice, store=store)
    url = await stack.enter_async_context(sandbox.serve())
    return Place(replace(settings.leaf, base_url=url), sandbox.identity, "practice", f"the sandbox at {url}")


def open_ledger(settings: Settings, observer: Observer = ignore) -> Ledger:
    """Open the ledger to read it; a run may hold it. Raises UsageError if there is none, LedgerError."""
    retry = Retry(lambda message: observer(Trouble(message)))
    return Ledger(settings.output.ledger_place, make=False, retry=retry)


def require_ledger(settings: Settings) -> None:
    """Raise UsageError if the ledger does not exist: creating it would hide a wrong folder."""
    place = settings.output.ledger_place
    if isinstance(place, Path) and not place.is_file():
        raise UsageError(f"there is no ledger at {place}; name the folder of the reports with --output")


def run_named(text: str) -> str | None:
    """Return the run id in a text or a folder's path; None for a file. Raises UsageError if it is neither."""
    path = Path(text)
    if text == "-" or url_scheme(text) is not None or path.is_file():
        return None
    if _RUN_ID.fullmatch(path.name) and (path.is_dir() or path.name == text):
        return path.name
    if path.is_dir() or is_pattern(text):
        return None
    raise UsageError(f"{text!r} is neither a file nor a run's id, such as 20261123T154500Z-growers")


def find_run(ledger: Ledger, run_id: str | None) -> tuple[int, RunInfo]:
    """Return a run by its id, or the latest run. Raises UsageError if there is none."""
    run = ledger.find(run_id)
    if run is None:
        raise UsageError(
            f"there is no run {run_id} in this ledger" if run_id else "there is no run in this ledger yet"
        )
    return run


def require_stored(info: RunInfo) -> None:
    """Raise UsageError if the run does not store credentials at Leaf."""
    if info.kind is not RunKind.RUN:
        raise UsageError(
            f"{info.run_id} is not a run that stores credentials ({info.kind.value}); name another"
        )


def require_blocks(ledger: Ledger, run_no: int, info: RunInfo) -> None:
    """Raise UsageError if the ledger does not have the input of the run any more."""
    if info.rows and next(ledger.blocks(run_no), None) is None:
        raise UsageError(
            f"run {info.run_id} is too old: the ledger keeps the input of the latest runs only;"
            " the outcomes of its rows are still recorded"
        )


@contextmanager
def _claimed_run_id(ledger: Ledger, output: Path, name: str) -> Iterator[str]:
    """Yield a run id, e.g. ``20261123T154500Z-growers``, and create its folder.

    It is counted up if the ledger, or another ledger with the same folder of reports, has it already. A
    folder in which nothing was written is removed at the end. Raises OutputError.
    """
    stem = re.sub(r"[^A-Za-z0-9]+", "-", name.split(".", maxsplit=1)[0]).strip("-").lower()[:40] or "input"
    wanted = f"{utc_now():%Y%m%dT%H%M%SZ}-{stem}"
    run_id, count = wanted, 1
    while ledger.find(run_id) or not claim_folder(output / run_id):
        count += 1
        run_id = f"{wanted}-{count}"
    try:
        yield run_id
    finally:
        with suppress(OSError):
            (output / run_id).rmdir()
