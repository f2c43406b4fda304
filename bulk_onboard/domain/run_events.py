"""The events of a run. The engine never prints: it passes these events to an observer, which shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.domain.model import Health, Requests, RollbackStatus, Status, Traffic


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run is recorded in the ledger under this id."""

    run_id: str


@dataclass(frozen=True, slots=True)
class RowsRead:
    """Progress of reading the file: the number of rows so far."""

    rows: int


@dataclass(frozen=True, slots=True)
class FileChecked:
    """The whole file has been read and checked. ``warnings``: code -> number of rows with this warning."""

    source: str
    rows: int
    statuses: Mapping[Status, int]
    to_do: int
    warnings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class InputDescribed:
    """How the file was read. Reported after all of it has been read and before anything is sent."""

    description: InputDescription


@dataclass(frozen=True, slots=True)
class About:
    """What a run is about to change: at which Leaf, as which API owner, for which provider or providers.

    ``environments``: environment -> number of rows, for providers that have several. ``rolled_back``: the run
    that a rollback deletes the credentials of, "" for a run that stores some.
    """

    run_id: str
    leaf: str
    owner: str
    provider: str
    to_do: int
    rate: float
    environments: Mapping[str, int] = field(default_factory=dict)
    dry_run: bool = False
    rolled_back: str = ""


@dataclass(frozen=True, slots=True)
class LookupChosen:
    """How Leaf is asked which growers are connected: page by page or one by one. ``why``: the reason."""

    way: Literal["pages", "single"]
    why: str


@dataclass(frozen=True, slots=True)
class UsersRead:
    """Progress of reading Leaf's list of users: the number of users so far."""

    users: int


# Advice about growers that were left without credentials.
LEFT_WITHOUT_HINT = (
    "a run with them in its file repairs them first; `bulk-onboard status ID --dismiss` dismisses one"
)


@dataclass(frozen=True, slots=True)
class LeftWithout:
    """Growers that may have no credentials because these runs ended while they replaced them."""

    growers: int
    run_ids: tuple[str, ...]


Phase = Literal["users", "onboard", "events", "dry_run", "rollback"]


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase with ``total`` rows has started."""

    phase: Phase
    total: int


@dataclass(frozen=True, slots=True)
class RowFinished:
    """A row of a run or a rollback has its final status."""

    row: int
    status: Status | RollbackStatus
    code: str = ""


@dataclass(frozen=True, slots=True)
class UserKnown:
    """The Leaf user of a row is known. ``created``: it is new."""

    row: int
    created: bool


@dataclass(frozen=True, slots=True)
class RowChecked:
    """The events of a row's credentials have been checked."""

    row: int
    health: Health | None


@dataclass(frozen=True, slots=True)
class Paused:
    """No request is sent for ``seconds``, because Leaf asked to wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Slowed:
    """Leaf refused requests as too many; the rate is reduced to ``rate`` requests per second."""

    rate: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem of the whole run that is being retried, such as an unreachable Leaf."""

    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """A message that is not about a problem, such as that the file contains nothing new."""

    message: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """No new row starts. ``in_flight`` rows may finish within ``grace`` seconds; ``reason``: a sentence."""

    reason: str
    in_flight: int = 0
    grace: float = 0.0


Fact = (
    RunStarted
    | RowsRead
    | FileChecked
    | InputDescribed
    | About
    | LookupChosen
    | UsersRead
    | LeftWithout
    | PhaseStarted
    | RowFinished
    | UserKnown
    | RowChecked
    | Paused
    | Slowed
    | Trouble
    | Note
    | Stopping
)
Observer = Callable[[Fact], None]


def ignore(_fact: Fact) -> None:
    """An observer that shows nothing."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Rows that need attention for the same reason. ``rows``: the first few row numbers."""

    status: str
    code: str
    count: int
    rows: tuple[int, ...]
    message: str = ""


class RunKind(StrEnum):
    """The purpose of a run; stored as these words."""

    RUN = "run"
    EVENTS = "events"
    DRY_RUN = "dry-run"
    ROLLBACK = "rollback"
    ROLLBACK_DRY_RUN = "rollback-dry-run"


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many requests a run would send if none is repeated, and how long it would take.

    ``seconds``: None without a ceiling; ``users``: how many of the POSTs would create Leaf users.
    """

    get: int
    post: int
    delete: int
    seconds: float | None = None
    users: int = 0

    @property
    def total(self) -> int:
        """All requests."""
        return self.get + self.post + self.delete


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run as the ledger knows it.

    ``provider``: several names are separated by commas; ``leaf``: the base URL, or the sandbox's identity;
    ``ceiling``: requests per second, 0 for none; ``kept``: the headers of the kept columns;
    ``environments``: environment -> number of valid rows, for providers that have several; ``forecast``: the
    estimate of a dry run; ``plan``: the name of the plan that was carried out; ``description``: how the file
    was read; ``command``: the command line without secrets, "" for a run of the library; ``left_out``: how
    many rows to do are beyond the limit.
    """

    run_id: str
    provider: str
    input: str
    leaf: str
    owner: str
    started_at: datetime
    finished_at: datetime | None = None
    rows: int = 0
    ceiling: float = 0.0
    requests: Requests = field(default_factory=Requests)
    kept: tuple[str, ...] = ()
    stop_reason: str | None = None
    interrupted: bool = False
    exit_code: int | None = None
    kind: RunKind = RunKind.RUN
    traffic: Traffic = field(default_factory=Traffic)
    environments: Mapping[str, int] = field(default_factory=dict)
    forecast: Estimate | None = None
    plan: str | None = None
    description: InputDescription | None = None
    command: str = ""
    left_out: int = 0
