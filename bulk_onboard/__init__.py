"""Load a file of growers' credentials into Leaf: nothing lost, nothing sent twice.

    result = await bulk_onboard.onboard("growers.csv", provider="raven")
    result.table, result.counts, result.exit_code

The map of the package, from the bottom to the top; a layer imports only from layers below it (lint-imports):

    errors threads the exceptions; blocking work in a thread
    domain/        plain values and tables: rows, entries, events of a run, providers, result codes
    validation/    text -> valid rows and problems: columns, rules for cells, fingerprints, repair
    settings/      frozen settings, and the sources they come from
    policy/        (state, answer) -> next step: credentials, users, rollback, retry, stop rules, health
    readers/       CSV, Parquet, workbook, many files -> chunks of text cells
    workspace/     the rows of a run in DuckDB: repeats, comparison, plan, results, attention
    leaf/          the calls to Leaf, the login, what each answer means
    pace/          the ceiling for all requests; the search for Leaf's own limit
    ledger/        intents, outcomes and current states, in SQLite or PostgreSQL; locks and leases
    reports/       counts, page and files of a run, from the view ``results``
    workbook/      the owner's workbook with the problems marked; an empty workbook to fill in
    notify/        messages, pings and metrics about how a run ended
    sandbox/       an imitation of Leaf, with faults
    engine/        the run: first and second pass over the file, the driver of rows; run.py wires it all
    cluster/       the same run on several processes, with dask; optional
    api            the library
    ui/            a page on the user's own machine, which uses the library for everything
    cli/           the command line

The path of one row: ``readers`` -> ``engine.first_pass`` (the whole file is checked and compared in the
workspace) -> ``engine.checked_file`` (second pass, for rows to do) -> ``engine.onboard_row`` (intent, turn,
POST, `decide`, outcome) -> ``engine.check_events`` -> ``reports``.
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
