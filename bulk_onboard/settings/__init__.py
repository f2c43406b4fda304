"""Every setting, declared once: name, type, default, help, option and environment variable.

The options of the command line and of the library, the environment, ``.env``, ``bulk-onboard.toml``, files
and the keyring are all sources for this tree, see `load`. `SETTINGS` lists it. To add a setting, add a field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.domain.model import IfExists, Secret
from bulk_onboard.domain.providers import PROVIDERS, Provider, Providers
from bulk_onboard.settings import parse
from bulk_onboard.settings.declare import Parsed, Setting, declared, group, setting
from bulk_onboard.settings.ledger_url import DEFAULT_SCHEMA, LedgerPlace, PostgresUrl
from bulk_onboard.settings.parse import Cluster, Local, Remote, RowLimit

__all__ = [
    "DEFAULT_SCHEMA", "SETTINGS", "Cluster", "EventsSettings", "FailOn", "InputSettings",
    "LeafSettings", "LedgerPlace", "Local", "Login", "NightSettings", "NotifyWhen", "OutputSettings", "Pace",
    "PostgresUrl", "Remote", "RowLimit", "Safety", "SandboxSettings", "Setting", "Settings",
]  # fmt: skip

DEFAULT_PROVIDER = "raven"

Flag = Annotated[bool, Parsed(parse.flag)]
Positive = Annotated[int, Parsed(parse.number_from(1))]
NotNegative = Annotated[int, Parsed(parse.number_from(0))]
Seconds = Annotated[float, Parsed(parse.seconds)]
Limit = Annotated[RowLimit, Parsed(parse.row_limit)]
AppField = Annotated[Secret, Parsed(parse.app_field)]


class NotifyWhen(StrEnum):
    """When to send a message: after each run, if the exit code is not 0, or if something has changed."""

    ALWAYS = "always"
    PROBLEMS = "problems"
    CHANGE = "change"


class FailOn(StrEnum):
    """When rows that need attention make a finished run fail (exit code 1).

    Always, only if a grower newly needs attention, or never.
    """

    PROBLEMS = "problems"
    CHANGE = "change"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Login:
    """The login at Leaf: a token, a user name and password, or both (the password renews the token)."""

    token: Annotated[Secret, Parsed(parse.token)] | None = setting(
        None, "API token of your Leaf account.", variable="LEAF_TOKEN", option=""
    )
    username: Annotated[str, Parsed(parse.username)] = setting(
        "", "User name of your Leaf account.", variable="LEAF_USERNAME", option=""
    )
    password: Annotated[Secret, Parsed(parse.password)] | None = setting(
        None,
        "Password of your Leaf account; it renews an expired token.",
        variable="LEAF_PASSWORD",
        option="",
    )

    @property
    def complete(self) -> bool:
        """Whether the login is complete."""
        return bool(self.token) or bool(self.username and self.password)


@dataclass(frozen=True, slots=True)
class LeafSettings:
    """Leaf's address and the login. ``timeout``: seconds per request; ``proxy``: a URL or None."""

    base_url: Annotated[str, Parsed(parse.base_url)] = setting(
        "https://api.withleaf.io", "Address of Leaf's API.", variable="LEAF_BASE_URL", option=""
    )
    login: Login = group("", Login)
    timeout: Annotated[float, Parsed(parse.timeout)] = setting(
        30.0,
        "Longest time for a request; after it, an unanswered request counts as lost.",
        metavar="SECONDS",
        group="Sending",
    )
    proxy: Annotated[Secret, Parsed(parse.secret)] | None = None


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """The built-in imitation of Leaf. ``faults``: the name of a preset, or a TOML file."""

    use: Flag = setting(False, "Practise on a local imitation of Leaf; needs no settings.", option="sandbox")
    reset: Flag = setting(False, "Empty the sandbox first.", option="sandbox_reset", one_run=True)
    faults: Annotated[str, Parsed(parse.text)] = setting(
        "none",
        "Simulate faults: none, rainy, storm, throttled, cuts, slow, or a TOML file.",
        option="sandbox_faults",
        metavar="NAME|FILE",
    )


@dataclass(frozen=True, slots=True)
class InputSettings:
    """How the file is read. ``mapping`` is field -> column header; ``limit``: only this many rows.

    ``header_row``: the row with the names of the columns; None: it is detected.
    ``create_users``: rows may identify growers by externalId or email; missing Leaf users are created.
    """

    sheets: Annotated[tuple[str, ...], Parsed(parse.sheets)] = setting(
        (),
        "Read this sheet of a workbook. Repeatable; '*' reads all sheets with growers.",
        option="sheet",
        metavar="NAME",
        repeatable=True,
    )
    header_row: NotNegative | None = setting(
        None,
        "Row with the names of the columns, as a spreadsheet numbers it; 0 if there is none.",
        metavar="N",
        shown="detected",
    )
    hidden: Literal["include", "skip"] | None = setting(
        None,
        "Include or skip rows that are hidden by a filter or a collapsed group.",
        shown="refuse to run",
    )
    encoding: Annotated[str, Parsed(parse.encoding)] | None = setting(
        None,
        "Encoding of a text file, such as utf-8, cp1251 or cp850.",
        metavar="NAME",
        shown="detected",
    )
    mapping: Annotated[Mapping[str, str], Parsed(parse.mapping)] = setting(
        {},
        "Read a field from a column with another name. Repeatable.",
        option="map",
        metavar="FIELD=COLUMN",
        repeatable=True,
    )
    keep: Annotated[tuple[str, ...], Parsed(parse.names)] = setting(
        (), "Copy these columns to the results.", metavar="COL,…", repeatable=True
    )
    limit: Positive | None = setting(
        None,
        "Process only the first N rows; for `run`, the first N rows that are still to do.",
        metavar="N",
    )
    strict: Flag = setting(False, "Refuse a file with an invalid row.")
    allow_shared_tokens: Flag = setting(False, "Allow several growers to share a token.")
    create_users: Flag = setting(
        False,
        "Look up rows without leafUserId by externalId or email, and create missing users.",
        shown="no",
        negatable=True,
    )

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
    """Limits on requests.

    ``rate``: requests per second, 0 for no ceiling; ``max_in_flight`` None: automatic.
    """

    rate: Annotated[float, Parsed(parse.rate)] = setting(
        10.0,
        "Ceiling in requests per second: 10, 600/min; 0 for none.",
        metavar="RATE",
        shown="10; sandbox: 100",
    )
    max_in_flight: Positive | None = setting(
        None, "Limit concurrent requests.", metavar="N", shown="automatic"
    )


@dataclass(frozen=True, slots=True)
class Safety:
    """When a run stops early or does not start; ``min_rows`` and ``max_new`` refuse a file."""

    canary: NotNegative = setting(
        0,
        "Finish the first N rows, including their events, before any other row starts.",
        metavar="N",
    )
    max_failures: Limit | None = setting(
        None, "Stop when more rows than this do not succeed.", metavar="N|N%"
    )
    min_rows: NotNegative = setting(0, "Send nothing if the file has fewer rows.", metavar="N")
    max_new: Limit | None = setting(
        None,
        "Send nothing if more rows than this belong to growers that are not in the ledger.",
        metavar="N|N%",
    )


@dataclass(frozen=True, slots=True)
class EventsSettings:
    """The events check. ``wait``: seconds after which stored credentials without an event are pending.

    ``recheck``: connected growers are checked again if their last check is older; None: never.
    """

    check: Flag = setting(
        True, "Check events after onboarding.", option="events", shown="yes", negatable=True
    )
    wait: Seconds = setting(
        60.0, "Wait this long for a credential's first event.", option="events_wait", metavar="SECONDS"
    )
    recheck: Annotated[timedelta, Parsed(parse.age)] | None = setting(
        None,
        "Check connected growers again if their last check is older than this, such as 7d or 36h; uses"
        " Leaf's list of users where possible.",
        metavar="AGE",
        shown="never",
    )


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """Where files are written. ``ledger`` None: ``ledger.sqlite3`` in the folder of the reports."""

    folder: Annotated[Path, Parsed(parse.path)] = setting(
        Path("reports"), "Folder for reports.", option="output", metavar="FOLDER"
    )
    ledger: Annotated[LedgerPlace, Parsed(parse.ledger)] | None = setting(
        None,
        "The ledger: a file, or a database for several machines, postgresql+psycopg://USER@HOST/DATABASE.",
        variable="BULK_ONBOARD_LEDGER",
        metavar="PATH_OR_URL",
        shown="BULK_ONBOARD_LEDGER, or ledger.sqlite3 in the output folder",
    )
    formats: Annotated[tuple[str, ...], Parsed(parse.formats)] = setting(
        ("csv", "html"),
        f"Files to write: {', '.join(parse.FORMATS)}; html is a readable page.",
        option="format",
        metavar="LIST",
    )

    @property
    def ledger_place(self) -> LedgerPlace:
        """The place of the ledger."""
        return self.ledger or self.folder / "ledger.sqlite3"


@dataclass(frozen=True, slots=True)
class NightSettings:
    """Where to report the end of an unattended run. ``notify``: Apprise URLs."""

    notify: Annotated[tuple[Secret, ...], Parsed(parse.addresses)] = setting(
        (),
        "Send a message when the run ends: an Apprise URL, or better the name of a variable that holds URLs.",
        variable="BULK_ONBOARD_NOTIFY",
        metavar="NAME|URL",
        shown="BULK_ONBOARD_NOTIFY",
        repeatable=True,
    )
    when: NotifyWhen = setting(
        NotifyWhen.CHANGE,
        "change: only when something got worse or recovered since the last message.",
        option="notify_when",
    )
    ping: Annotated[Secret, Parsed(parse.ping_url)] | None = setting(
        None,
        "Request URL when the run succeeds (exit code 0), otherwise URL/fail.",
        variable="BULK_ONBOARD_PING",
        metavar="NAME|URL",
        shown="BULK_ONBOARD_PING",
    )
    metrics: Annotated[Path, Parsed(parse.file_name)] | None = setting(
        None,
        "Write metrics for Prometheus to this file, such as NAME.prom.",
        metavar="FILE",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run.

    ``providers``: all known providers. ``provider``: the provider of rows that do not name one. In a file
    with a column ``provider``, such rows are invalid unless ``provider_given``, so that the default cannot
    send them to the wrong place. ``cluster``: the processes that do the work; None: this process.
    ``dry_run``: only ask Leaf. ``plan``: the plan of a dry run to carry out. ``limit``: the largest number of
    rows to do; None: all. ``app``: app fields by provider and then by Leaf's name. ``command``: the command
    line for the report, without secrets.
    """

    provider: Annotated[str, Parsed(parse.text)] = setting(
        DEFAULT_PROVIDER,
        "Provider of rows that do not name one; `bulk-onboard providers` lists them.",
        metavar="NAME",
        group="Input",
    )
    input: InputSettings = group("Input", InputSettings)
    pace: Pace = group("Sending", Pace)
    leaf: LeafSettings = group("Leaf", LeafSettings)
    cluster: Annotated[Cluster, Parsed(parse.cluster)] | None = setting(
        None,
        "Use several processes: local:N for N processes here, tcp://HOST:PORT or tls://HOST:PORT for the"
        " workers of a dask scheduler. FILE may be a folder or a pattern.",
        metavar="WHERE",
        shown="one process",
        group="Sending",
    )
    if_exists: IfExists = setting(
        IfExists.SKIP,
        "skip: leave existing credentials alone; replace: delete credentials that differ and are not"
        " healthy, then post; overwrite: post without asking Leaf first; fail: reject growers that have"
        " credentials.",
        group="Existing credentials",
    )
    replace_healthy: Flag = setting(
        False,
        "With --if-exists replace: also delete healthy credentials with another token. Leaf refreshes tokens"
        " itself, so the token in the file may be used up; a dry run counts the growers at risk.",
        group="Existing credentials",
    )
    dry_run: Flag = setting(
        False,
        "Ask Leaf but change nothing: show what would happen to each row, and write a plan.",
        group="Safety",
        one_run=True,
    )
    plan: Annotated[Path, Parsed(parse.existing_file)] | None = setting(
        None,
        "Carry out exactly the plan.csv of a dry run; rows that have changed since are left out.",
        metavar="FILE",
        group="Safety",
        one_run=True,
    )
    safety: Safety = group("Safety", Safety)
    events: EventsSettings = group("Events", EventsSettings)
    output: OutputSettings = group("Reports", OutputSettings)
    night: NightSettings = group("After the run", NightSettings)
    fail_on: FailOn = setting(
        FailOn.PROBLEMS,
        "When rows that need attention cause exit code 1: always (problems), only if a grower newly needs it"
        " (change), or never.",
        group="After the run",
    )
    sandbox: SandboxSettings | None = group("Sandbox", None)
    app: Mapping[str, Mapping[str, AppField]] = field(default_factory=dict)
    provider_given: bool = False
    providers: Annotated[Providers, Parsed(dict)] = field(default_factory=lambda: PROVIDERS)
    limit: int | None = None
    command: str = ""

    @property
    def chosen(self) -> Provider:
        """The provider of rows that do not name one."""
        return self.providers[self.provider]

    @property
    def of_rows_to_do(self) -> Settings:
        """The settings of a run, whose limit counts the rows to do, not the rows of the file."""
        return replace(self, input=replace(self.input, limit=None), limit=self.input.limit)

    def app_of(self, provider: str) -> Mapping[str, Secret]:
        """The app fields of the provider of this name."""
        return self.app.get(provider, {})


# All settings, in the order of the help.
SETTINGS: tuple[Setting, ...] = tuple(declared(Settings))
