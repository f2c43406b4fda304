"""Where settings come from: option, environment, the file that ``NAME_FILE`` leads to, ``.env``,
``bulk-onboard.toml``, the keyring, default, in this order.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    SecretStr,
    StrictBool,
    StrictInt,
    ValidationError,
    create_model,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bulk_onboard import settings as s
from bulk_onboard.domain.model import IfExists, Secret
from bulk_onboard.domain.providers import Provider, Providers
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import after_run, config_file, parse, secret_sources
from bulk_onboard.settings.proxy import proxy_for

M = TypeVar("M", bound=BaseModel)

Rate = Annotated[float, BeforeValidator(parse.rate)]
Seconds = Annotated[float, BeforeValidator(parse.seconds)]
Encoding = Annotated[str, BeforeValidator(parse.encoding)]
Timeout = Annotated[float, BeforeValidator(parse.timeout)]
FileName = Annotated[Path, BeforeValidator(parse.file_name)]
Names = Annotated[tuple[str, ...], BeforeValidator(parse.names)]
# `engine/run` puts the address of the sandbox it starts in place of this one, which leads nowhere.
SANDBOX_URL = "http://127.0.0.1:9"
SANDBOX_LOGIN = s.Login(Secret("practice"), "practice", Secret("practice"))

Positive = Annotated[StrictInt, Field(ge=1)]
NotNegative = Annotated[StrictInt, Field(ge=0)]


class Options(BaseModel):
    """What an option or a key of the TOML file can say, with the defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str | None = None
    rate: Rate | None = None
    max_in_flight: Positive | None = None
    timeout: Timeout = 30.0
    if_exists: IfExists = IfExists.SKIP
    replace_healthy: StrictBool = False
    strict: StrictBool = False
    limit: Positive | None = None
    keep: Names = ()
    map: Annotated[dict[str, str], BeforeValidator(parse.mapping)] = {}
    sheet: Annotated[tuple[str, ...], BeforeValidator(parse.sheets)] = ()
    header_row: Positive | None = None
    hidden: Literal["include", "skip"] | None = None
    encoding: Encoding | None = None
    canary: NotNegative = 0
    max_failures: Annotated[s.MaxFailures | None, BeforeValidator(parse.max_failures)] = None
    events: StrictBool = True
    events_wait: Seconds = 60.0
    recheck: Annotated[timedelta | None, BeforeValidator(parse.age)] = None
    output: Annotated[Path, BeforeValidator(parse.possible_path)] = Path("reports")
    ledger: Annotated[Path | InstanceOf[s.PostgresUrl] | None, BeforeValidator(parse.ledger)] = None
    format: Annotated[tuple[str, ...], BeforeValidator(parse.formats)] = ("csv", "html")
    sandbox: StrictBool = False
    sandbox_reset: StrictBool = False
    sandbox_faults: str = "none"
    allow_shared_tokens: StrictBool = False
    create_users: StrictBool = False
    min_rows: NotNegative = 0
    max_new: Annotated[s.MaxNew | None, BeforeValidator(parse.max_new)] = None
    notify: Annotated[tuple[str, ...], BeforeValidator(parse.urls)] = ()
    notify_when: s.NotifyWhen = s.NotifyWhen.CHANGE
    fail_on: s.FailOn = s.FailOn.PROBLEMS
    ping: str | None = None
    metrics: FileName | None = None
    cluster: Annotated[s.Local | s.Remote | None, BeforeValidator(parse.cluster)] = None
    dry_run: StrictBool = False
    plan: FileName | None = None


# These are said for one run at a time, not in a file for every run to come.
_ONE_RUN = {"sandbox_reset", "dry_run", "plan"}
_LEDGER = "bulk_onboard_ledger"
_ADDRESSES = ("bulk_onboard_notify", "bulk_onboard_ping")
_LOGIN = ("leaf_token", "leaf_username", "leaf_password")
_TOML_KEYS = tuple(name for name in Options.model_fields if name not in _ONE_RUN)


class _Surroundings(BaseSettings):
    """Login and app fields. What is passed in comes from the TOML file, so it ranks last."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    leaf_base_url: str = s.DEFAULT_BASE_URL
    leaf_token: SecretStr | None = None
    leaf_username: str = ""
    leaf_password: SecretStr | None = None
    bulk_onboard_ledger: SecretStr | None = None
    bulk_onboard_notify: SecretStr | None = None
    bulk_onboard_ping: SecretStr | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order of the module's first line."""
        return env_settings, dotenv_settings, init_settings


@cache
def _with_settings(names: tuple[str, ...]) -> type[_Surroundings]:
    """Return the model with an optional setting for each of these names of variables."""
    fields: dict[str, Any] = {name.lower(): (SecretStr | None, None) for name in names}
    return create_model("Surroundings", __base__=_Surroundings, **fields)


def _surroundings(providers: Providers) -> type[_Surroundings]:
    return _with_settings(tuple(p.setting(f) for p in providers.values() for f in p.app_fields))


def _warn(text: str) -> None:
    sys.stderr.write(f"bulk-onboard: warning: {text}\n")


def load(
    given: Mapping[str, Any],
    config: Path | None = None,
    *,
    offline: bool = False,
    warn: Callable[[str], None] = _warn,
    is_command_line: bool = True,
) -> s.Settings:
    """The settings of one command line: ``given`` holds the options that were given (None: not given).

    ``offline`` is for commands that never speak to Leaf: its address and our login are not looked at.
    ``is_command_line``: whether other users of the machine can read ``given`` in the list of processes.
    """
    file = config_file.read(config, _TOML_KEYS, warn)
    options_given = {name: value for name, value in given.items() if value is not None}
    if "map" in options_given and isinstance(columns := file.options.get("map"), Mapping):
        options_given["map"] = {**columns, **options_given["map"]}
    options = _validated(Options, {**file.options, **options_given}, config, options_given)
    _refuse_combinations(options, options_given)
    try:
        around = _validated(_surroundings(file.providers), file.surroundings, config, {})
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f".env cannot be read ({type(error).__name__}); it is a text file in UTF-8"
        ) from None
    if "ledger" not in options_given and (place := _ledger(around)):
        options = options.model_copy(update={"ledger": place})
    ring = secret_sources.Keyring()
    if not (offline or options.sandbox):
        around = _with_stored(around, ring)
    leaf = s.LeafSettings() if offline else _leaf(options, around)
    frozen = _frozen(options, around, leaf, file.providers)
    if offline:
        return frozen
    if not options.sandbox:
        frozen = replace(frozen, app=_app_fields(around, file.providers, ring))
    return replace(frozen, night=after_run.settings(options, around, warn if is_command_line else None))


def _ledger(around: _Surroundings) -> s.LedgerPlace | None:
    """Return the ledger's place for all commands; not from the keyring, which some commands do not read."""
    stands = around.bulk_onboard_ledger.get_secret_value() if around.bulk_onboard_ledger else ""
    text = secret_sources.from_files([_LEDGER]).get(_LEDGER, stands)
    try:
        return parse.ledger(text) if text.strip() else None
    except ValueError as error:
        raise UsageError(f"{_LEDGER.upper()}: {error}") from None


def _with_stored(around: _Surroundings, ring: secret_sources.Keyring) -> _Surroundings:
    """Add settings from files, which win over ``.env``, and from the keyring those that are still needed.

    An app field is needed only where rows go to its provider, see `_app_fields`.
    """
    values = secret_sources.from_files(name for name in type(around).model_fields if name != _LEDGER)
    known = {name for name in _Surroundings.model_fields if name in values or getattr(around, name)}
    complete = "leaf_token" in known or {"leaf_username", "leaf_password"} <= known
    wanted = _ADDRESSES if complete else (*_LOGIN, *_ADDRESSES)
    values = ring.values(name for name in wanted if name not in known) | values
    plain = {name for name in values if isinstance(getattr(around, name), str)}
    return around.model_copy(
        update={name: text if name in plain else SecretStr(text) for name, text in values.items()}
    )


def _app_fields(around: _Surroundings, providers: Providers, ring: secret_sources.Keyring) -> s.AppFields:
    def look_up(name: str) -> dict[str, Secret]:
        provider = providers[name]
        known = _app(provider, around)
        settings = {f.name: provider.setting(f).lower() for f in provider.app_fields if f.name not in known}
        stored = ring.values(settings.values())
        secrets = {field: Secret(stored[name].strip()) for field, name in settings.items() if name in stored}
        return known | secrets

    return s.AppFields(providers, look_up)


# --- values into frozen settings --------------------------------------------------------------------


def _refuse_combinations(options: Options, options_given: Collection[str]) -> None:
    for name in () if options.sandbox else ("sandbox_reset", "sandbox_faults"):
        if name in options_given:
            raise UsageError(f"--{name.replace('_', '-')} works only with --sandbox")
    if options.dry_run and options.plan:
        raise UsageError("--dry-run makes a plan and --plan carries one out; use one of them at a time")
    if options.recheck and not options.events:
        raise UsageError("--recheck checks events: leave out --no-events")
    if options.replace_healthy and options.if_exists is not IfExists.REPLACE:
        raise UsageError("--replace-healthy works only with --if-exists replace")
    if options.create_users and options.cluster:
        raise UsageError(
            "--create-users needs a single process: run without --cluster (or with --no-create-users)"
        )
    if options.plan and options.create_users:
        raise UsageError(
            "--plan carries out what is planned for growers with a leafUserId, and --create-users is for"
            " those without; use one of them at a time (--no-create-users)"
        )


def _validated(
    model: type[M], values: Mapping[str, Any], config: Path | None, options_given: Collection[str]
) -> M:
    """Build the model; an error names the file, or the option that a caller of the library gave."""
    try:
        return model(**values)
    except ValidationError as error:
        wrong = error.errors(include_input=False)
        reasons = "; ".join(sorted(_wrong(problem["loc"], problem["msg"]) for problem in wrong))
        if any(problem["loc"][0] in options_given for problem in wrong):
            raise UsageError(reasons) from None
        raise UsageError(f"{config or config_file.DEFAULT_FILE}: {reasons}") from None


def _wrong(keys: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(key) for key in keys)
    return f"{name}: {message.removeprefix('Value error, ')}"


def _frozen(
    options: Options, around: _Surroundings, leaf: s.LeafSettings, providers: Providers
) -> s.Settings:
    app = {name: _app(provider, around) for name, provider in providers.items()}
    if options.sandbox:
        app = {name: stand_ins(providers[name]) | given for name, given in app.items()}
    return s.Settings(
        provider=_provider(options.provider, providers),
        provider_given=options.provider is not None,
        providers=providers,
        app={name: given for name, given in app.items() if given},
        leaf=leaf,
        sandbox=s.SandboxSettings(options.sandbox_reset, options.sandbox_faults) if options.sandbox else None,
        input=s.InputSettings(
            sheets=options.sheet,
            header_row=options.header_row,
            hidden=options.hidden,
            encoding=options.encoding,
            mapping=options.map,
            keep=options.keep,
            limit=options.limit,
            strict=options.strict,
            allow_shared_tokens=options.allow_shared_tokens,
            create_users=options.create_users,
        ),
        pace=s.Pace(_rate(options), options.max_in_flight),
        if_exists=options.if_exists,
        replace_healthy=options.replace_healthy,
        safety=s.Safety(options.canary, options.max_failures, options.min_rows, options.max_new),
        events=s.EventsSettings(options.events, options.events_wait, options.recheck),
        output=s.OutputSettings(options.output.expanduser(), options.ledger, options.format),
        cluster=options.cluster,
        dry_run=options.dry_run,
        plan=options.plan,
        fail_on=options.fail_on,
    )


def _provider(given: str | None, providers: Providers) -> str:
    try:
        return s.DEFAULT_PROVIDER if given is None else parse.provider(given, providers)
    except ValueError as error:
        raise UsageError(f"provider: {error}") from None


def stand_ins(provider: Provider) -> dict[str, Secret]:
    """Return app fields for runs that send nothing to the real Leaf."""
    return {f.name: Secret(f.allowed[0] if f.allowed else f"sandbox-{f.name}") for f in provider.app_fields}


def _rate(options: Options) -> float:
    if options.rate is not None:
        return options.rate
    return s.SANDBOX_RATE if options.sandbox else s.DEFAULT_RATE


def _leaf(options: Options, around: _Surroundings) -> s.LeafSettings:
    """In the sandbox the real address and login are left out, so that no mistake can send them anywhere."""
    if options.sandbox:
        return s.LeafSettings(SANDBOX_URL, SANDBOX_LOGIN, options.timeout)
    try:
        url = parse.base_url(around.leaf_base_url)
    except ValueError as error:
        raise UsageError(f"LEAF_BASE_URL cannot be used: {error}") from None
    login = s.Login(
        _token(around.leaf_token),
        around.leaf_username.strip(),
        _secret("LEAF_PASSWORD", around.leaf_password),
    )
    password = login.password.reveal() if login.password else ""
    parse.refuse_placeholder("LEAF_USERNAME", login.username, "login name")
    parse.refuse_placeholder("LEAF_PASSWORD", password, "login password")
    return s.LeafSettings(url, login, options.timeout, proxy_for(url))


def _app(provider: Provider, around: _Surroundings) -> dict[str, Secret]:
    """Return the app fields of a provider. `require` reports missing ones: most providers are not used."""
    fields = {f.name: getattr(around, provider.setting(f).lower()) for f in provider.app_fields}
    texts = {name: given.get_secret_value().strip() for name, given in fields.items() if given}
    return {name: Secret(text) for name, text in texts.items() if text}


def _token(given: SecretStr | None) -> Secret | None:
    token = _secret("LEAF_TOKEN", given)
    if token is None:
        return None
    text = re.sub(r"\A(Authorization:\s*)?Bearer\s+", "", token.reveal(), flags=re.IGNORECASE)
    if not re.fullmatch(r"[!-~]+", text):
        raise UsageError("LEAF_TOKEN holds a character that no token contains, such as “; was it cut off?")
    parse.refuse_placeholder("LEAF_TOKEN", text)
    return Secret(text)


def _secret(name: str, given: SecretStr | None) -> Secret | None:
    text = given.get_secret_value().strip() if given else ""
    parse.refuse_control_characters(name, text)
    return Secret(text) if text else None
