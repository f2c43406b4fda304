"""How the sandbox behaves: an answer to each open question about Leaf, faults and the rest."""

from __future__ import annotations

import csv
import re
import time
import tomllib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, field, fields
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, SkipValidation, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_settings import BaseSettings, SettingsConfigDict

from bulk_onboard.errors import UsageError
from bulk_onboard.sandbox.state import User

T = TypeVar("T")


def _split(value: object) -> object:
    """Return ``a, b`` as a list of texts, anything else as it is."""
    return [text.strip() for text in value.split(",") if text.strip()] if isinstance(value, str) else value


NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]


@dataclass(frozen=True)
class Unknowns:
    """One possible Leaf: an answer to each question that its documentation leaves open. Times: seconds."""

    # A POST where credentials exist. refuse: 400 that says so; vague: 400 that does not; conflict: 409;
    # overwrite: new ones replace them; update: new secrets under the old id; keep: 2xx with the old ones.
    post_existing: Literal["refuse", "vague", "conflict", "overwrite", "update", "keep"] = "refuse"
    post_status: Literal["201", "200"] = "201"
    # A GET where there are none: 404, 204, or 200 with nothing, null, {} or [].
    get_absent: Literal["404", "204", "empty", "null", "object", "list"] = "404"
    delete_absent: Literal["404", "204"] = "404"
    events_absent: Literal["404", "list"] = "404"  # a GET of events where there are no credentials
    no_events: Names = ()  # providers without events: their call is 404 although credentials exist
    # A single event; or, before it, an older one with the opposite outcome, in the order given.
    events_order: Literal["single", "newest-first", "oldest-first"] = "single"
    # The status of credentials that the provider refused, and whether a status is shown at all.
    failed_status: Literal["FAILED", "UNAUTHENTICATED", "MISSING_PERMISSION", "TEMPORARILY_UNAVAILABLE"] = (
        "FAILED"
    )
    status: Literal["shown", "hidden"] = "shown"
    users: Literal["any", "listed"] = "any"  # whether any UUID is a user
    user_absent: Literal["404", "400"] = "404"
    # A POST of a user with the externalId or email of another one. keep: 2xx with the first one.
    user_existing: Literal["allow", "refuse", "conflict", "keep"] = "allow"
    user_status: Literal["201", "200"] = "201"
    user_filter: Literal["exact", "caseless", "part", "ignored"] = "exact"
    user_sort: Literal["honoured", "ignored", "refused"] = "honoured"
    user_lag: NotNegative = 0.0  # until a new user is listed
    page_size: Annotated[int, Field(ge=1)] = 100  # most users on one page, whatever ``size`` asks for
    total_count: Literal["shown", "hidden"] = "shown"  # X-Total-Count and Link of lists
    list_lies: Count = 0  # number of users for which lists show the opposite of what is stored
    # With every page read, one user at the front of the list has gone, or one more has come.
    list_drift: Literal["none", "gone", "come"] = "none"
    embedded: Literal["all", "single", "none"] = "all"  # which replies on users show credentials
    not_embedded: Names = ()  # providers that users never show
    credential_lag: NotNegative = 0.0  # until a GET shows new credentials
    # When the provider exchanges a refresh token, as single-use tokens are: before the POST is answered, or
    # later, so that the first GET shows it. Posting an exchanged token again ends the new credentials.
    rotation: Literal["never", "before", "later"] = "never"
    secrets: Literal["echoed", "documented", "masked", "omitted"] = "echoed"  # documented: by provider
    timestamps: Literal["shown", "hidden"] = "shown"
    problem_path: Literal["request", "internal"] = "request"
    rate_limit: Count = 0  # requests served in any sliding window, 0 for no limit
    rate_window: Annotated[float, Field(gt=0)] = 1.0  # 3600 at a JHipster gateway
    # Retry-After of a 429: seconds, a date, or none (bare). plain: plain text, as from a JHipster gateway.
    throttle_form: Literal["seconds", "date", "bare", "plain"] = "seconds"
    throttle_seconds: Count = 1
    idempotency_keys: Literal["ignored", "honoured"] = "ignored"
    clock_skew: float = 0.0  # by which Leaf's clock is ahead


class Fault(StrEnum):
    """One way to go wrong. ``before`` and ``after``: whether the request was handled (stored) first."""

    THROTTLE_SECONDS = "throttle-seconds"
    THROTTLE_DATE = "throttle-date"
    THROTTLE_BARE = "throttle-bare"
    THROTTLE_PLAIN = "throttle-plain"
    E500_BEFORE = "500-before"
    E500_AFTER = "500-after"
    E502_BEFORE = "502-before"
    E502_AFTER = "502-after"
    E503_BEFORE = "503-before"
    E503_AFTER = "503-after"
    E504_BEFORE = "504-before"
    E504_AFTER = "504-after"
    CUT_BEFORE = "cut-before"
    CUT_AFTER = "cut-after"
    HANG_BEFORE = "hang-before"
    HANG_AFTER = "hang-after"
    SLOW = "slow"
    TRUNCATED = "truncated"
    HTML = "html"
    EMPTY = "empty"
    WRONG_SHAPE = "wrong-shape"
    EXPIRED_LOGIN = "expired-login"


class Area(StrEnum):
    """The groups of calls that faults can be confined to."""

    LOGIN = "login"
    USERS = "users"
    CREDENTIALS = "credentials"
    EVENTS = "events"


@dataclass(frozen=True)
class Faults:
    """Which share (0 to 1) of the requests goes wrong in which way.

    ``methods``: only these HTTP methods, all if empty. ``calls``: only these areas. ``slow_for``: seconds
    that a `Fault.SLOW` reply takes.
    """

    shares: Mapping[Fault, Share] = field(default_factory=dict)
    methods: frozenset[Literal["GET", "POST", "DELETE"]] = frozenset()
    calls: frozenset[Area] = frozenset({Area.CREDENTIALS, Area.EVENTS})
    slow_for: Annotated[float, Field(ge=0, strict=True)] = 2.0

    def __post_init__(self) -> None:
        """Refuse shares that add up to more than 1."""
        if self.total > 1 + 1e-9:
            raise ValueError(f"the shares of the faults add up to {self.total:g}, more than 1")

    @property
    def total(self) -> float:
        """The share of requests that goes wrong in any way."""
        return sum(self.shares.values())


def _preset(shares: Mapping[str, float]) -> Faults:
    """Divide each share among the faults with names that begin with one of its words."""
    groups = {words: [fault for fault in Fault if fault.startswith(tuple(words.split()))] for words in shares}
    return Faults(
        {fault: share / len(groups[words]) for words, share in shares.items() for fault in groups[words]}
    )


_UNREADABLE = "truncated html empty wrong-shape"
PRESETS: Mapping[str, Faults] = MappingProxyType(
    {
        "none": Faults(),
        "rainy": _preset(
            {"throttle": 0.02, "5": 0.02, "cut": 0.01, _UNREADABLE: 0.01, "slow": 0.005, "expired": 0.001}
        ),
        "storm": _preset(
            {"throttle": 0.06, "5": 0.08, "cut": 0.05, _UNREADABLE: 0.05, "hang": 0.002, "expired": 0.005}
        ),
        "throttled": _preset({"throttle": 0.3}),
        "cuts": _preset({"cut": 0.2}),
        "slow": _preset({"hang": 0.02, "504": 0.04, "slow": 0.2}),
    }
)


class Account(BaseSettings):
    """The login that is accepted: by default that of ``SANDBOX_USERNAME`` and ``SANDBOX_PASSWORD``.

    Without a user name, any is accepted with this password; without a password, any login is.
    """

    model_config = SettingsConfigDict(env_prefix="SANDBOX_", frozen=True)

    username: str = ""
    password: SecretStr | None = None

    def accepts(self, username: str, password: str) -> bool:
        """Whether this login is accepted."""
        if self.password is None:
            return True
        return username == (self.username or username) and password == self.password.get_secret_value()


@dataclass(frozen=True)
class Clock:
    """Times in seconds: ``now`` since 1970, ``monotonic`` to measure distances."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Behaviour:
    """All settings of a sandbox. Times are seconds.

    ``seed``            of the faults; None: different faults each time
    ``latency``         of every reply
    ``event_delay``     from storing credentials to their first event
    ``users``           users that exist from the start
    ``account``         the only login accepted; None: any user name and password
    ``token_lifetime``  None: as documented, 30 days or 24 hours
    ``record_size``     number of requests remembered
    """

    unknowns: Unknowns = field(default_factory=Unknowns)
    faults: Faults = field(default_factory=Faults)
    seed: int | None = None
    latency: NotNegative = 0.0
    event_delay: NotNegative = 1.0
    users: SkipValidation[tuple[User, ...]] = ()
    account: SkipValidation[Account | None] = None
    token_lifetime: float | None = None
    record_size: int = 1_000_000


def with_answers(unknowns: Unknowns, answers: Mapping[str, object]) -> Unknowns:
    """Return the same with other answers, by name; texts are converted. Raises UsageError."""
    names = [each.name for each in fields(Unknowns)]
    values: dict[str, Any] = asdict(unknowns)
    for spelled, value in answers.items():
        name = spelled.strip().lower().replace("-", "_")
        if name not in names:
            raise UsageError(f"{name!r} is not an unknown of the sandbox; choose from {', '.join(names)}")
        values[name] = value if isinstance(value, list | tuple) else str(value)
    return _validated(Unknowns, values)


def load_behaviour(faults: str | Path = "none") -> Behaviour:
    """Return the behaviour of a preset or a TOML file, everything else by default. Raises UsageError."""
    if str(faults) in PRESETS:
        return Behaviour(faults=PRESETS[str(faults)])
    tables = _read_tables(Path(faults))
    unknowns, table = with_answers(Unknowns(), tables.get("unknowns", {})), tables.get("faults", {})
    others = {name: table.pop(name) for name in ("methods", "calls", "slow_for") if name in table}
    return Behaviour(unknowns=unknowns, faults=_validated(Faults, others | {"shares": table}))


def _read_tables(path: Path) -> dict[str, dict[str, object]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        presets = ", ".join(PRESETS)
        raise UsageError(
            f"{str(path)!r} is not a preset of faults ({presets}) and cannot be read: {error.strerror}"
        ) from None
    except ValueError as error:  # TOML and UTF-8 errors both
        raise UsageError(f"{path} is not a TOML file: {error}") from None
    for name, table in tables.items():
        if name not in ("faults", "unknowns") or not isinstance(table, dict):
            raise UsageError(f"{path} holds {name!r}; only the tables [faults] and [unknowns] are known")
    return tables


def _validated(kind: type[T], values: Mapping[str, object]) -> T:
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"] if part != "[key]")
    reason = first["msg"].removeprefix("Value error, ")
    where = f"{name} cannot be {first['input']!r}: " if name else ""
    raise UsageError(f"the sandbox's settings: {where}{reason[0].lower()}{reason[1:]}")


def read_users(path: Path) -> tuple[User, ...]:
    """Read Leaf users from a table with a ``leafUserId`` column, or from one UUID per line.

    Repeated ids count once. Raises UsageError that names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines() or [""]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"the users in {path} cannot be read: {reason}") from None
    delimiter = next((mark for mark in ";\t|" if mark in lines[0]), ",")
    header = [re.sub(r"[\s_\-\"']", "", cell).lower() for cell in lines[0].split(delimiter)]
    has_header = "leafuserid" in header
    rows = csv.DictReader(lines[has_header:], header if has_header else ["leafuserid"], delimiter=delimiter)
    users: dict[str, User] = {}
    for row in rows:
        if not (spelled := (row["leafuserid"] or "").strip()):
            continue
        try:
            user_id = str(uuid.UUID(spelled))
        except ValueError:
            line = rows.line_num + has_header
            raise UsageError(f"{path}, line {line}: the leafUserId is not a UUID") from None
        name, email, external_id = (row.get(column) or "" for column in ("name", "email", "externalid"))
        users[user_id] = User(user_id, name, email, external_id=external_id)
    if not users:
        raise UsageError(f"{path} holds no users")
    return tuple(users.values())
