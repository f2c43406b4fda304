"""Frozen settings, one small object per concern. Where they come from is the command line's business."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.domain.model import IfExists, Secret
from bulk_onboard.domain.providers import PROVIDERS, Provider, Providers

DEFAULT_BASE_URL = "https://api.withleaf.io"
DEFAULT_RATE = 10.0
SANDBOX_RATE = 100.0
DEFAULT_PROVIDER = "raven"


@dataclass(frozen=True, slots=True)
class Login:
    """The login at Leaf: a token, a user name and password, or both (the password renews the token)."""

    token: Secret | None = None
    username: str = ""
    password: Secret | None = None

    @property
    def complete(self) -> bool:
        """Whether there is enough to log in with."""
        return bool(self.token) or bool(self.username and self.password)


@dataclass(frozen=True, slots=True)
class LeafSettings:
    """Leaf's address and the login. ``timeout``: seconds per request. ``proxy``: a URL, None for none."""

    base_url: str = DEFAULT_BASE_URL
    login: Login = field(default_factory=Login)
    timeout: float = 30.0
    proxy: Secret | None = None


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """The built-in imitation of Leaf. ``faults`` is a preset's name or a TOML file."""

    reset: bool = False
    faults: str = "none"


@dataclass(frozen=True, slots=True)
class InputSettings:
    """How the file is read. ``mapping`` is field -> column header; ``limit``: only this many rows.

    ``header_row``: the row with the names of the columns; None: it is detected.

    ``create_users``: rows may name growers by an externalId or an email; missing Leaf users are created.
    """

    sheets: tuple[str, ...] = ()
    header_row: int | None = None
    hidden: str | None = None
    encoding: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    limit: int | None = None
    strict: bool = False
    allow_shared_tokens: bool = False
    create_users: bool = False

    @property
    def reading(self) -> ReadOptions:
        """The settings that the readers need."""
        columns = {re.sub(r"[\s_-]", "", field).casefold(): name for field, name in self.mapping.items()}
        return ReadOptions(
            self.sheets,
            self.hidden,
            self.encoding,
            tuple(self.mapping.values()),
            columns.get("leafuserid", ""),
            self.header_row,
        )


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast. ``rate``: requests per second, 0 for no ceiling; ``max_in_flight`` None: automatic."""

    rate: float = DEFAULT_RATE
    max_in_flight: int | None = None


@dataclass(frozen=True, slots=True)
class AtMost:
    """A number of rows, or a share of the rows (0 to 1)."""

    count: int | None = None
    share: float | None = None

    def passed(self, number: int, rows: int) -> bool:
        """Return whether ``number`` of ``rows`` rows exceed the limit."""
        if self.count is not None:
            return number > self.count
        return self.share is not None and number > self.share * rows + 1e-9  # 29 % of 100 is 28.99…


@dataclass(frozen=True, slots=True)
class MaxFailures(AtMost):
    """How many of the rows to do may end badly before the run stops."""


@dataclass(frozen=True, slots=True)
class MaxNew(AtMost):
    """How many of the file's rows may be of growers that are not in the ledger."""


@dataclass(frozen=True, slots=True)
class Safety:
    """When a run stops early, or does not begin: ``min_rows`` and ``max_new`` are about the file."""

    canary: int = 0
    max_failures: MaxFailures | None = None
    min_rows: int = 0
    max_new: MaxNew | None = None


@dataclass(frozen=True, slots=True)
class EventsSettings:
    """The follow-up check. ``wait`` is seconds from storing until a credential without event is pending.

    ``recheck``: the age of a check from which on connected growers are checked again; None: never.
    """

    check: bool = True
    wait: float = 60.0
    recheck: timedelta | None = None


DEFAULT_SCHEMA = "bulk_onboard"


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A database with a ledger in it, and the schema that is the ledger's own. Its text shows no password.

    ``url`` is as libpq reads it, ``shown`` what people may see of it.
    """

    url: Secret
    shown: str
    schema: str = DEFAULT_SCHEMA

    @property
    def address(self) -> Secret:
        """The ledger as ``--ledger`` names it."""
        text = self.url.reveal()
        return Secret(f"{text}{'&' if '?' in text else '?'}schema={self.schema}")

    def __str__(self) -> str:
        return self.shown


# A file of SQLite, or a database on a server. The text of both can be shown.
LedgerPlace = Path | PostgresUrl


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """Where files go. ``ledger`` None: ``ledger.sqlite3`` in the folder of the reports."""

    folder: Path = Path("reports")
    ledger: LedgerPlace | None = None
    formats: tuple[str, ...] = ("csv", "html")

    @property
    def ledger_place(self) -> LedgerPlace:
        """The place of the ledger."""
        return self.ledger or self.folder / "ledger.sqlite3"


@dataclass(frozen=True, slots=True)
class Local:
    """This number of worker processes on this machine."""

    workers: int


@dataclass(frozen=True, slots=True)
class Remote:
    """A cluster that is there, by the address of its scheduler: ``tcp://…`` or ``tls://…``."""

    address: str


Cluster = Local | Remote


class NotifyWhen(StrEnum):
    """When a message is sent: after each run, if the exit code is not 0, or if something changed."""

    ALWAYS = "always"
    PROBLEMS = "problems"
    CHANGE = "change"


class FailOn(StrEnum):
    """When rows that need attention make a run that came to its end fail (exit code 1).

    Always, only if they need it since this run, or never.
    """

    PROBLEMS = "problems"
    CHANGE = "change"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class NightSettings:
    """Where to report the end of an unattended run. ``notify`` are URLs of Apprise."""

    notify: tuple[Secret, ...] = ()
    when: NotifyWhen = NotifyWhen.CHANGE
    ping: Secret | None = None
    metrics: Path | None = None


class AppFields(Mapping[str, Mapping[str, Secret]]):
    """App fields by provider, looked up when first needed: the system's keyring may have to be asked."""

    def __init__(self, names: Iterable[str], look_up: Callable[[str], Mapping[str, Secret]]) -> None:
        self._names, self._look_up = tuple(names), look_up
        self._found: dict[str, Mapping[str, Secret]] = {}

    def __getitem__(self, provider: str) -> Mapping[str, Secret]:
        """Raises KeyError for an unknown provider."""
        if provider not in self._names:
            raise KeyError(provider)
        if provider not in self._found:
            self._found[provider] = self._look_up(provider)
        return self._found[provider]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run.

    ``providers``: all known providers. ``provider``: that of rows that do not name one; in a file with a
    column of providers such rows are invalid unless ``provider_given``, so that a default does not send them
    to the wrong place. ``cluster``: the processes that do the work; None: this process. A ``dry_run`` only
    asks; ``plan`` is the file of a dry run that is to be carried out. ``limit``: how many of the rows to do
    are done; None: all of them.
    ``app`` holds app fields by their provider's name and then Leaf's. ``command`` is the command line as the
    report shows it, without secrets.
    """

    provider: str = DEFAULT_PROVIDER
    provider_given: bool = False
    providers: Providers = field(default_factory=lambda: PROVIDERS)
    app: Mapping[str, Mapping[str, Secret]] = field(default_factory=dict)
    leaf: LeafSettings = field(default_factory=LeafSettings)
    sandbox: SandboxSettings | None = None
    input: InputSettings = field(default_factory=InputSettings)
    pace: Pace = field(default_factory=Pace)
    if_exists: IfExists = IfExists.SKIP
    replace_healthy: bool = False
    safety: Safety = field(default_factory=Safety)
    events: EventsSettings = field(default_factory=EventsSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    night: NightSettings = field(default_factory=NightSettings)
    cluster: Cluster | None = None
    dry_run: bool = False
    plan: Path | None = None
    limit: int | None = None
    fail_on: FailOn = FailOn.PROBLEMS
    command: str = ""

    @property
    def chosen(self) -> Provider:
        """The provider of a file that names none."""
        return self.providers[self.provider]

    @property
    def of_rows_to_do(self) -> Settings:
        """The same for a run: the limit counts the rows to do, not the rows of the file."""
        return replace(self, input=replace(self.input, limit=None), limit=self.input.limit)

    def app_of(self, provider: str) -> Mapping[str, Secret]:
        """The app fields of the provider of this name."""
        return self.app.get(provider, {})
