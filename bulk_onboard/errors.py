"""The exceptions that end a run, and their exit codes.

A bad row is never an exception: it is an outcome. An exception means that the run cannot go on.

    BulkOnboardError
    ├── UsageError          2    wrong option, missing setting
    ├── InputError          3    the file cannot be used; nothing was sent
    │   ├── HeaderError     3    a column is missing
    │   └── NoRows          3    there is nothing in it
    │       └── HeaderWithoutRows  3    there is nothing but its header
    ├── LoginRefused        4    Leaf refused our own login
    ├── StoppedForSafety    5    continuing would do harm or is pointless
    │   └── LeafUnavailable 5    Leaf has been unavailable for all growers, for too long
    ├── LedgerBusy          6    another run is using this ledger
    ├── LedgerError         5    the ledger cannot be read or written
    ├── OutputError         5    a report file cannot be written
    ├── Interrupted       130    stopped before anything was sent
    └── InternalError      70    a bug in bulk-onboard
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """The exit codes of the command. Scripts depend on these numbers."""

    OK = 0
    ATTENTION = 1
    USAGE = 2
    INPUT = 3
    LOGIN = 4
    STOPPED = 5
    BUSY = 6
    BUG = 70
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """The meaning in one sentence for people."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "every row is created, existing or duplicate, and none is unhealthy",
    ExitCode.ATTENTION: "finished, but some rows need attention"
    " (invalid, rejected, failed, unresolved, unhealthy)",
    ExitCode.USAGE: "wrong usage or missing setting",
    ExitCode.INPUT: "the file cannot be used; nothing was sent",
    ExitCode.LOGIN: "Leaf refused our login",
    ExitCode.STOPPED: "stopped early for safety",
    ExitCode.BUSY: "another run is using this ledger",
    ExitCode.BUG: "a bug in bulk-onboard",
    ExitCode.INTERRUPTED: "interrupted; run it again to continue",
}


class BulkOnboardError(Exception):
    """The base of all reasons why a run cannot start or continue.

    ``str(error)`` is one line without secrets.
    """

    exit_code = ExitCode.BUG


class UsageError(BulkOnboardError):
    """A wrong option or a missing setting."""

    exit_code = ExitCode.USAGE


class InputError(BulkOnboardError):
    """The file as a whole cannot be used. Raised before anything is sent."""

    exit_code = ExitCode.INPUT


class HeaderError(InputError):
    """The header cannot be used as it is.

    ``suggested``: field -> its probable column, for --map; empty if --map would not be enough.
    """

    def __init__(self, message: str, suggested: Mapping[str, str]) -> None:
        super().__init__(message)
        self.suggested = suggested


class NoRows(InputError):  # noqa: N818  (a fact about the file)
    """The file holds no rows at all."""


class HeaderWithoutRows(NoRows):
    """The file has the header of a file of growers, and no rows below it."""


class LoginRefused(BulkOnboardError):  # noqa: N818  (an event, in the past tense)
    """Leaf answered 401 to our login, even after one renewal."""

    exit_code = ExitCode.LOGIN


class StoppedForSafety(BulkOnboardError):  # noqa: N818
    """Continuing would do harm or is pointless, e.g. Leaf has been down for too long."""

    exit_code = ExitCode.STOPPED


class LeafUnavailable(StoppedForSafety):
    """Leaf has been unavailable for all growers, for longer than a run waits."""


class LedgerBusy(BulkOnboardError):  # noqa: N818
    """Another run is using the ledger."""

    exit_code = ExitCode.BUSY


class LedgerError(BulkOnboardError):
    """The ledger cannot be opened, read or written."""

    exit_code = ExitCode.STOPPED


class OutputError(BulkOnboardError):
    """A report file cannot be written. Its data is in the ledger: ``bulk-onboard report`` writes it again."""

    exit_code = ExitCode.STOPPED


class Interrupted(BulkOnboardError):  # noqa: N818
    """The run was stopped while it was reading the file or waiting for the ledger."""

    exit_code = ExitCode.INTERRUPTED


class InternalError(BulkOnboardError):
    """A bug: something impossible happened, e.g. the counts do not add up to the rows."""

    exit_code = ExitCode.BUG


def place_of(error: BaseException) -> str:
    """Return file and line of the innermost frame of our own code."""
    home = Path(__file__).parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(home):
            return f"{path.relative_to(home.parent).as_posix()}:{frame.lineno}"
    return "an unknown place"
