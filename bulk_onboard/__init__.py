"""Load a file of growers' credentials into Leaf: nothing lost, nothing sent twice.

    result = await bulk_onboard.onboard("growers.csv", provider="raven")
    result.table, result.counts, result.exit_code

The map of the package. A file at the top is pure (no I/O, no await, no clock); a folder touches the world;
``engine/`` is where the two meet.

    model errors facts entry                  the vocabulary
    domain/        providers and result codes as data
    header check repeats fingerprint  text -> good rows and problems, chunk by chunk and in the whole
    findings marks repair template            what validation tells, marks, repairs; the columns to fill in
    guard                                     is the file as expected
    letter metrics                            the message and the metrics about a run, as text
    policy/        (progress, verdict) -> next step: retry, credentials, users, rollback, checks, user_list
    readers/       delimited, Parquet, workbook -> chunks
    leaf/          the calls to Leaf, the login, what each answer means
    pace/          the ceiling over all requests, also of several processes; the limit that Leaf does not tell
    ledger/        intents and outcomes, in SQLite or PostgreSQL; the locks, leases and claims
    engine/        scan, survey, the driver of rows, the list of users; opening, run, closing wire them
    cluster/       the same run on several processes, with dask; nothing else needs it
    workspace/     the rows of a run in DuckDB: repeats, comparison, results, attention
    reports/       counts, page and files of a run, from the view `results`
    notify/        messages and pings about how a run ended
    workbook/      the owner's workbook with the problems marked in it; the empty one to fill in
    settings/      frozen settings, and where they come from
    cli/           options in, exit code out
    sandbox/       an imitation of Leaf, with faults
    api            the functions of the library

The path of one row: ``readers`` -> ``engine.scan`` (check) -> ``engine.survey`` (compare with the ledger) ->
``engine.worker_pool`` -> ``engine.onboard`` (intent, turn, POST, verdict, `decide`, outcome) ->
``engine.check_events`` (events) -> ``reports``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bulk_onboard.api import Result, check_events, onboard, validate

__version__ = "0.1.0"
__all__ = ["Result", "__version__", "check_events", "onboard", "validate"]


def __getattr__(name: str) -> Any:
    """The public functions are loaded when they are used, so that ``bulk-onboard --help`` is instant."""
    if name in {"Result", "check_events", "onboard", "validate"}:
        from bulk_onboard import api  # noqa: PLC0415

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
