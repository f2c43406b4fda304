"""bulk_onboard as a library: the run, the events check and the validation, as functions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.input_name import shown
from bulk_onboard.domain.model import Secret
from bulk_onboard.domain.run_events import Observer, ignore
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import AppFields, Login, Settings

if TYPE_CHECKING:
    import pandas as pd

    from bulk_onboard.engine.closing import RunResult
    from bulk_onboard.engine.stop import Confirm, StopSignal
    from bulk_onboard.engine.validation import Validation


_LOG = logging.getLogger("bulk_onboard")
App = Mapping[str, str | Mapping[str, str]]
Where: TypeAlias = "str | Path | pd.DataFrame | Source"


class Options(TypedDict, total=False):
    """The options of ``bulk-onboard run``, spelled with ``_``; what is left out comes from the settings."""

    rate: float | str
    max_in_flight: int
    timeout: float | str
    if_exists: str
    replace_healthy: bool
    strict: bool
    limit: int
    keep: tuple[str, ...]
    map: Mapping[str, str]
    sheet: str | tuple[str, ...]
    hidden: str
    header_row: int
    encoding: str
    canary: int
    max_failures: int | str
    min_rows: int
    max_new: int | str
    events: bool
    events_wait: float | str
    recheck: str
    output: str | Path
    ledger: str | Path
    format: tuple[str, ...]
    notify: str | tuple[str, ...]
    notify_when: str
    ping: str
    metrics: str | Path
    sandbox: bool
    sandbox_reset: bool
    sandbox_faults: str
    allow_shared_tokens: bool
    create_users: bool
    dry_run: bool
    plan: str | Path
    fail_on: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to.

    ``table`` is results.csv as a DataFrame, a line per row in input order; ``counts`` rows by status;
    ``summary`` what summary.json holds; ``exit_code`` what the command would have ended with; ``files`` what
    was written.
    """

    table: pd.DataFrame
    counts: Mapping[str, int]
    summary: Mapping[str, Any]
    exit_code: int
    files: tuple[Path, ...]


async def onboard(
    where: Where,
    *,
    provider: str | None = None,
    login: Login | None = None,
    app: App | None = None,
    observer: Observer = ignore,
    stop: StopSignal | None = None,
    confirm: Confirm | None = None,
    **options: Unpack[Options],
) -> Result:
    """Onboard every row that is not onboarded yet, as ``bulk-onboard run`` does, and return the outcome.

    ``where`` is a file, a DataFrame with the columns of the file, or an open source. ``login`` and ``app``
    (the provider's app fields by Leaf's names, or such by the names of several providers) come from the
    environment, ``.env`` and ``bulk-onboard.toml`` if they are not given; ``observer`` is called with every
    `bulk_onboard.domain.run_events.Fact`. ``stop`` ends the run early; ``confirm`` is asked, in a thread,
    before anything is written to Leaf.

    Raises a `bulk_onboard.errors.BulkOnboardError` where nothing could be started: UsageError, InputError,
    LedgerBusy, LedgerError; and OutputError if the files cannot be written. A run that stops early does not
    raise: it has an exit code. ``notify``, ``ping`` and ``metrics`` do what the command's options do.
    """
    from bulk_onboard.engine import run  # noqa: PLC0415
    from bulk_onboard.engine.opening import reading_with_settings  # noqa: PLC0415

    if not callable(observer):
        raise UsageError("observer is not a function")
    settings = _settings(provider, login, app, options).of_rows_to_do

    async def work(observer: Observer) -> RunResult:
        with _opened(where, settings) as source:
            reading = reading_with_settings(source, settings)
            return await run.onboard(source, settings, observer, stop, reading, confirm=confirm)

    return await _with_after_run(work, where, settings, observer)


async def check_events(
    where: str | Path | pd.DataFrame,
    *,
    provider: str | None = None,
    login: Login | None = None,
    observer: Observer = ignore,
    **options: Unpack[Options],
) -> Result:
    """Check the events of growers again, as ``bulk-onboard events`` does. Nothing is stored at Leaf.

    ``where`` is a run's id, its folder, a file or a DataFrame; all else is as for `onboard`.
    """
    from bulk_onboard.engine import run  # noqa: PLC0415
    from bulk_onboard.engine.opening import require_ledger, run_named  # noqa: PLC0415
    from bulk_onboard.readers.inputs import open_source  # noqa: PLC0415
    from bulk_onboard.settings.requirements import require  # noqa: PLC0415

    if not callable(observer):
        raise UsageError("observer is not a function")
    settings = _settings(provider, login, None, options)

    async def work(observer: Observer) -> RunResult:
        require(settings)
        run_id = run_named(str(where)) if isinstance(where, str | Path) else None
        if run_id:
            require_ledger(settings)
            return await run.check_events(run_id, settings, observer)
        with open_source(where, settings.input.reading) as source:
            return await run.check_events(source, settings, observer)

    return await _with_after_run(work, where, settings, observer)


@contextmanager
def _opened(where: Where, settings: Settings) -> Iterator[Source]:
    """Open an input; a source that is open already stays open."""
    from bulk_onboard.readers.inputs import open_source  # noqa: PLC0415

    if isinstance(where, Source):
        yield where
        return
    with open_source(where, settings.input.reading) as source:
        yield source


async def _with_after_run(
    work: Callable[[Observer], Awaitable[RunResult]],
    where: Where,
    settings: Settings,
    observer: Observer,
) -> Result:
    """Run the work; notify, ping and export metrics, whatever its end."""
    from bulk_onboard.engine.run import table  # noqa: PLC0415
    from bulk_onboard.notify.after_run import AfterRun  # noqa: PLC0415

    name = where.name if isinstance(where, Source) else "a DataFrame"
    name = shown(str(where)) if isinstance(where, str | Path) else name
    after = AfterRun(settings.night, name, _LOG.warning)
    try:
        result = await work(after.watching(observer))
    except BaseException as error:
        await asyncio.shield(asyncio.to_thread(after.failed, error))
        raise
    await asyncio.to_thread(after.ended, result)
    rows = await asyncio.to_thread(table, settings, result)
    return Result(rows, dict(result.summary["counts"]), result.summary, result.exit_code, result.files)


def validate(where: Where, *, provider: str | None = None, **options: Unpack[Options]) -> Validation:
    """Check a file without sending anything, as ``bulk-onboard validate`` does.

    The result has ``.table`` (a DataFrame of problems), ``.counts`` and ``.exit_code``. Writes no file.
    Raises InputError if the file cannot be used at all, UsageError.
    """
    from bulk_onboard.engine.validation import validate_file  # noqa: PLC0415

    settings = _settings(provider, None, None, options, offline=True)
    with _opened(where, settings) as source:
        return validate_file(source, settings)


def _settings(
    provider: str | None,
    login: Login | None,
    app: App | None,
    options: Options,
    *,
    offline: bool = False,
) -> Settings:
    from bulk_onboard.settings.load import load  # noqa: PLC0415

    _require_types(login, app)
    settings = load({"provider": provider, **options}, offline=offline, is_command_line=False)
    if login is not None and settings.sandbox is None:
        settings = replace(settings, leaf=replace(settings.leaf, login=login))
    if app is not None:
        given, loaded = _app(settings.provider, app), settings.app_of
        names = dict.fromkeys([*settings.app, *given])
        merged = AppFields(names, lambda name: {**loaded(name), **given.get(name, {})})
        settings = replace(settings, app=merged)
    return settings


def _require_types(login: object, app: object) -> None:
    """Raise UsageError unless these are what `onboard` says. No value is shown: it may be a secret."""
    if login is not None and not (
        isinstance(login, Login)
        and isinstance(login.username, str)
        and all(isinstance(secret, Secret | None) for secret in (login.token, login.password))
    ):
        raise UsageError("login is not a Login of a user name (text), a token and a password (Secret)")
    if app is not None and not _is_app(app):
        raise UsageError("app is not a mapping of names of fields to texts, or of providers to such mappings")


def _is_app(app: object, *, of_providers: bool = True) -> bool:
    return isinstance(app, Mapping) and all(
        isinstance(name, str)
        and (isinstance(value, str) or (of_providers and _is_app(value, of_providers=False)))
        for name, value in app.items()
    )


def _app(provider: str, given: App) -> dict[str, Mapping[str, Secret]]:
    """App fields from the caller by provider; those without a provider's name are of ``provider``."""
    own = {name: value for name, value in given.items() if isinstance(value, str)}
    others = {name: value for name, value in given.items() if not isinstance(value, str)}
    fields = ({provider: own} if own else {}) | others
    return {name: {field: Secret(text) for field, text in values.items()} for name, values in fields.items()}
