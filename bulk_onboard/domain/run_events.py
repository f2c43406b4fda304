"""What the engine tells while it works. It never prints: an observer gets these facts and shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.domain.model import Health, Requests, Status, Traffic, Undone


@dataclass(frozen=True, slots=True)
class Begun:
    """A run is on the ledger, under this name."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The file is being read: ``rows`` is the number of rows so far."""

    rows: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """The whole file has been read and checked. ``warnings``: rows with a warning, by code."""

    source: str
    rows: int
    statuses: Mapping[Status, int]
    to_do: int
    warnings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class InputDescribed:
    """How the file was read: known after all of it has been read, and before anything is sent."""

    description: InputDescription


@dataclass(frozen=True, slots=True)
class About:
    """What is about to be changed: which Leaf, as which API owner, at which provider (or providers).

    ``environments``: rows by the environment of their provider, where it has several.
    """

    run_id: str
    leaf: str
    owner: str
    provider: str
    to_do: int
    rate: float
    environments: Mapping[str, int] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """How Leaf is asked which growers are connected: in pages of users, or singly. ``why``: the reason."""

    way: Literal["pages", "single"]
    why: str


@dataclass(frozen=True, slots=True)
class Listed:
    """Leaf's list of users is being read: ``users`` is the number of users so far."""

    users: int


# What to do about growers that are left without credentials.
LEFT_WITHOUT_HINT = (
    "a run with them in its file repairs them first; `bulk-onboard status ID --dismiss` dismisses one"
)


@dataclass(frozen=True, slots=True)
class LeftWithout:
    """Growers that have no credentials, or may have none, because these runs ended amid replacing them."""

    growers: int
    run_ids: tuple[str, ...]


Phase = Literal["users", "onboard", "events", "dry_run", "rollback"]


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase begins: ``total`` rows get a user, are onboarded, checked, asked about or rolled back."""

    phase: Phase
    total: int


@dataclass(frozen=True, slots=True)
class RowFinished:
    """A row has its outcome."""

    row: int
    status: Status
    code: str = ""


@dataclass(frozen=True, slots=True)
class UserKnown:
    """A row's grower has a Leaf user: one that was there already, or a new one."""

    row: int
    created: bool


@dataclass(frozen=True, slots=True)
class AboutToDelete:
    """What a rollback is about to delete: which run's, at which Leaf, as which API owner."""

    run_id: str
    rolled_back: str
    leaf: str
    owner: str
    to_do: int
    rate: float
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RowRolledBack:
    """A row of a rollback has its end."""

    row: int
    status: Undone
    code: str = ""


@dataclass(frozen=True, slots=True)
class RowChecked:
    """A row's credential has been looked at."""

    row: int
    health: Health | None


@dataclass(frozen=True, slots=True)
class Held:
    """Leaf asks to wait: no request is sent for ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Slowed:
    """Leaf refuses requests as too many: fewer are sent, at first ``rate`` per second."""

    rate: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something goes wrong at run level and is being retried, e.g. Leaf cannot be reached."""

    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """A message that is not about a problem, such as that the file contains nothing new."""

    message: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """No new row starts. ``reason`` is in words; ``in_flight`` rows may finish within ``grace`` seconds."""

    reason: str
    in_flight: int = 0
    grace: float = 0.0


Fact = (
    Begun
    | Reading
    | Scanned
    | InputDescribed
    | About
    | Asking
    | Listed
    | LeftWithout
    | PhaseStarted
    | RowFinished
    | UserKnown
    | AboutToDelete
    | RowRolledBack
    | RowChecked
    | Held
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
    """Rows that need attention for the same reason. ``rows`` holds the first few row numbers."""

    status: str
    code: str
    count: int
    rows: tuple[int, ...]
    message: str = ""


class Kind(StrEnum):
    """What a run was for; stored as these words."""

    RUN = "run"
    EVENTS = "events"
    DRY_RUN = "dry-run"
    ROLLBACK = "rollback"
    ROLLBACK_DRY_RUN = "rollback-dry-run"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would take, if nothing has to be repeated. ``seconds`` None: no ceiling tells how long.

    ``users``: how many of the POSTs would create Leaf users.
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

    ``provider`` names all of them, with commas, if the rows went to several. ``leaf`` is the base URL (or the
    sandbox's identity), ``ceiling`` requests per second (0: none), ``kept`` the headers of the kept columns,
    ``environments`` valid rows by the environment of their provider, where it has several, ``forecast`` what
    a dry run came to, ``plan`` the name of the plan that was carried out, ``description`` how the file was
    read, ``command`` the command line without secrets ("" for a run of the library), ``left_out`` how many
    rows to do are beyond its limit.
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
    kind: Kind = Kind.RUN
    traffic: Traffic = field(default_factory=Traffic)
    environments: Mapping[str, int] = field(default_factory=dict)
    forecast: Forecast | None = None
    plan: str | None = None
    description: InputDescription | None = None
    command: str = ""
    left_out: int = 0
