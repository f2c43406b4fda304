"""bulk_onboard as a library: the run, the events check and the validation, as functions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.input_description import display_name
from bulk_onboard.domain.run_events import Observer, ignore
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import Login, Settings

if TYPE_CHECKING:
    import pandas as pd

    from bulk_onboard.engine.closing import RunResult
    from bulk_onboard.engine.stop import Confirm, StopSignal
    from bulk_onboard.engine.validation import Validation
    from bulk_onboard.settings.load import App


Where: TypeAlias = "str | Path | pd.DataFrame | Source"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run.

    ``table``: results.csv as a DataFrame, in input order; ``counts``: rows by status; ``summary``: the
    content of summary.json; ``exit_code``: that of the command; ``files``: the files written.
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
    **options: Any,
) -> Result:
    """Onboard every row that is not onboarded yet, as ``bulk-onboard run`` does, and return the result.

    ``where`` is a file, a DataFrame with the columns of a file, or an open source. ``login`` and ``app`` come
    from the environment, ``.env`` and ``bulk-onboard.toml`` if they are not given; ``app`` has the provider's
    app fields by Leaf's names, or a mapping from providers to such fields. ``observer`` is called with every
    `bulk_onboard.domain.run_events.Fact`. ``stop`` ends the run early. ``confirm`` is called in a thread
    before anything is written to Leaf. ``options`` are those of the command, with ``_`` for ``-``, including
    ``notify``, ``ping`` and ``metrics``; `bulk_onboard.settings.SETTINGS` lists them, and omitted options
    come from the other sources.

    Raises a `bulk_onboard.errors.BulkOnboardError` if the run cannot start (UsageError, InputError,
    LedgerBusy, LedgerError) or its files cannot be written (OutputError). A run that stops early does not
    raise: it has an exit code.
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
    **options: Any,
) -> Result:
    """Check the events of growers again, as ``bulk-onboard events`` does. Nothing is stored at Leaf.

    ``where`` is a run's id, its folder, a file or a DataFrame; the other arguments are those of `onboard`.
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
    """Open an input; a source that is already open stays open."""
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
    """Await the work; then notify, ping and export metrics, even after an error."""
    from bulk_onboard.engine.run import table  # noqa: PLC0415
    from bulk_onboard.notify.after_run import AfterRun  # noqa: PLC0415

    name = where.name if isinstance(where, Source) else "a DataFrame"
    name = display_name(str(where)) if isinstance(where, str | Path) else name
    after = AfterRun(settings.night, name)
    try:
        result = await work(after.watching(observer))
    except BaseException as error:
        await asyncio.shield(asyncio.to_thread(after.failed, error))
        raise
    await asyncio.to_thread(after.ended, result)
    rows = await asyncio.to_thread(table, settings, result)
    return Result(rows, dict(result.summary["counts"]), result.summary, result.exit_code, result.files)


def validate(where: Where, *, provider: str | None = None, **options: Any) -> Validation:
    """Check a file without sending anything, as ``bulk-onboard validate`` does.

    The result has ``.table`` (a DataFrame of problems), ``.counts`` and ``.exit_code``. Writes no file.
    Raises InputError if the file cannot be used at all, and UsageError.
    """
    from bulk_onboard.engine.validation import validate_file  # noqa: PLC0415

    settings = _settings(provider, None, None, options, offline=True)
    with _opened(where, settings) as source:
        return validate_file(source, settings)


def _settings(
    provider: str | None,
    login: Login | None,
    app: App | None,
    options: Mapping[str, Any],
    *,
    offline: bool = False,
) -> Settings:
    from bulk_onboard.settings.load import load  # noqa: PLC0415

    given = {"provider": provider, **options}
    return load(given, login=login, app=app, offline=offline, is_command_line=False)
