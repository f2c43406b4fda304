"""How many requests, and how many rows, may be under way at a time."""

from __future__ import annotations

import sys

from bulk_onboard.settings import Settings

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
    """The most files that this process may have open, after raising the limit if possible (POSIX)."""
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
