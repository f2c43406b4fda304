"""Connect to Leaf for one run: the client, the check of the lock, the journal and the limits."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.providers import Provider
from bulk_onboard.domain.run_events import Observer, Trouble
from bulk_onboard.domain.turns import Turns
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.observer import StoppingObserver
from bulk_onboard.engine.opening import Opened, scopes_of
from bulk_onboard.engine.ports import Journal as RowJournal
from bulk_onboard.engine.stop import OVERLAP, StopSignal, stop_when_lost
from bulk_onboard.errors import BulkOnboardError
from bulk_onboard.ledger import Journal
from bulk_onboard.policy.retry import Policy
from bulk_onboard.settings import PostgresUrl, Settings
from bulk_onboard.threads import Slots

if TYPE_CHECKING:
    from bulk_onboard.leaf.client import LeafClient

# Seconds for which rows are begun ahead of their first request: an intent has to be on disk by then.
AHEAD = 0.1
NO_CEILING_CONNECTIONS = 128
# Rows with an intent on disk per connection, without a ceiling: none is idle while others are written.
ROWS_READY = 4
MOST_IN_FLIGHT = 8192
# Files that are not connections: the ledger, the reports, the interpreter's own.
OTHER_FILES = 64


def in_flight_of(settings: Settings) -> tuple[int, int]:
    """Return how many requests may be under way, and how many rows between an intent and an answer.

    With a ceiling, as many as the rate and Leaf's latency require, within the limit of open files.
    """
    pace = settings.pace
    if pace.max_in_flight:
        return pace.max_in_flight, pace.max_in_flight
    if pace.rate:
        most = min(MOST_IN_FLIGHT, max(8, _open_files() - OTHER_FILES))
        return most, most
    return NO_CEILING_CONNECTIONS, NO_CEILING_CONNECTIONS * ROWS_READY


def _open_files() -> int:
    """Return how many files this process may have open, after raising the limit if possible (POSIX)."""
    if sys.platform == "win32":
        return 512
    import resource  # noqa: PLC0415  (does not exist on Windows)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_IN_FLIGHT + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            return soft
    return wanted


def policy_of(settings: Settings) -> Policy:
    """Return the retry policy of rows: Leaf may work as long again on a request that timed out.

    A run that has lost a lock on a server, but lives, sends for some seconds more (see `OVERLAP`).
    """
    timeout, on_server = settings.leaf.timeout, isinstance(settings.output.ledger_place, PostgresUrl)
    return Policy(
        if_exists=settings.if_exists,
        replace_healthy=settings.replace_healthy,
        settle=timeout,
        pause=min(1.0, timeout),
        overlap=OVERLAP if on_server else 0.0,
    )


def context_of(
    settings: Settings, journal: RowJournal, policy: Policy, stop: StopSignal, observer: Observer
) -> RowContext:
    """Return what the rows of a run share, with the limits that the settings set."""
    (connections, in_flight), rate = in_flight_of(settings), settings.pace.rate
    # Without a ceiling they fill the slots with those under way, so none is begun only to wait for a slot.
    starts = min(in_flight, 2 + math.ceil(rate * AHEAD)) if rate else in_flight - connections or in_flight
    return RowContext(journal, policy, stop, observer, Slots(in_flight), starts=starts)


class Session(NamedTuple):
    """A connection to Leaf for one run."""

    client: LeafClient
    context: RowContext


@asynccontextmanager
async def connected(
    opened: Opened,
    settings: Settings,
    providers: Iterable[Provider],
    facts: StoppingObserver,
    *,
    policy: Policy,
    turns: Turns,
) -> AsyncIterator[Session]:
    """Connect to Leaf while the lock of the run is ours. ``turns``: the pace of all requests.

    An error that ends the run is not raised: it drains the run, which has its exit code.
    """
    from bulk_onboard.leaf.client import LeafClient  # noqa: PLC0415  (not before the file is known to be good)

    ledger, info, stop = opened.ledger, opened.info, facts.stop
    scope = ledger.scope(info.leaf, info.owner, info.provider)
    client = LeafClient(
        opened.place.leaf,
        list(providers),
        turns,
        is_sure=opened.hold.is_sure,
        connections=in_flight_of(settings)[0],
        on_trouble=lambda message: facts(Trouble(message)),
    )
    entries = Journal[Entry](ledger, opened.run_no, scope, scopes_of(ledger, info))
    async with client, stop_when_lost(opened.hold, stop), entries as journal:
        try:
            yield Session(client, context_of(settings, journal, policy, stop, facts))
        except BulkOnboardError as error:
            stop.drain(str(error), error.exit_code)
