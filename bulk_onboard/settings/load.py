"""Load the settings from all sources; the first source that has a setting decides.

Their order: option, environment, the file that ``NAME_FILE`` names, ``.env``, ``bulk-onboard.toml``, the
system's keyring, default.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bulk_onboard.domain.model import IfExists, Secret
from bulk_onboard.domain.providers import Provider, Providers
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import DEFAULT_PROVIDER, SETTINGS, Login, PostgresUrl, Settings, parse
from bulk_onboard.settings.config_file import ConfigFile, Given, Layer, read
from bulk_onboard.settings.secret_sources import AppFields, Keyring, content

LOG = logging.getLogger("bulk_onboard")
LOG.addHandler(logging.NullHandler())  # for programs that use the library without logging
App = Mapping[str, str | Mapping[str, str]]
# `engine/opening` replaces this dummy address with the address of the sandbox that it starts.
SANDBOX_URL = "http://127.0.0.1:9"
SANDBOX_RATE = 100.0
_OPTIONS = {setting.option: setting for setting in SETTINGS if setting.option}
_VARIABLES = {setting.variable: setting.path for setting in SETTINGS if setting.variable}
_LEDGER = _OPTIONS["ledger"].path
_LOGIN = ("leaf", "login")
_ADDRESSES = [_OPTIONS[name].path for name in ("notify", "ping")]
# For these, an address contains no secret unless it contains a password.
_OPEN = {"json", "jsons", "xml", "xmls", "form", "forms", "syslog", "dbus", "gnome", "macosx", "windows"}


def load(
    given: Mapping[str, Any],
    config: Path | None = None,
    *,
    login: Login | None = None,
    app: App | None = None,
    offline: bool = False,
    is_command_line: bool = True,
) -> Settings:
    """Return the settings of one command. Raises UsageError, which names every setting that is wrong.

    ``given``: options by name (None: not given). ``config``: the settings file, if one was given. ``login``
    and ``app`` replace those from the other sources. ``offline``: the command ignores Leaf and notifications.
    ``is_command_line``: whether other users of the machine can read ``given`` in the list of processes.
    """
    file, problems = read(config), list[str]()
    options = _options(given, is_command_line=is_command_line)
    merged = file.layer | options
    provider = _provider(merged, file.providers, problems)
    options |= _login(login) | _app(provider, app)
    sources = _Sources(
        options, file, offline=offline, practice=_is_practice(merged), own_login=login is not None
    )
    settings = sources.validated(problems)
    settings = replace(
        settings,
        provider=provider,
        provider_given=_OPTIONS["provider"].path in merged,
        providers=file.providers,
    )
    _refuse_combinations(settings, given)
    if not sources.is_live:
        return settings
    leaf = replace(settings.leaf, proxy=proxy_for(settings.leaf.base_url))
    return replace(settings, leaf=leaf, app=AppFields(file.providers, settings.app, sources.keyring))


def _provider(given: Layer, providers: Providers, problems: list[str]) -> str:
    """Return the name of the provider; an unknown name is added to the problems."""
    named = given.get(_OPTIONS["provider"].path, Given("provider", DEFAULT_PROVIDER))
    try:
        return parse.provider(named.value, providers)
    except ValueError as error:
        problems.append(named.problem(str(error)))
        return DEFAULT_PROVIDER


def _is_practice(given: Layer) -> bool:
    return _OPTIONS["sandbox"].path in given and given[_OPTIONS["sandbox"].path].value is not False


def _refuse_combinations(settings: Settings, given: Mapping[str, Any]) -> None:
    for name in () if settings.sandbox else ("sandbox_reset", "sandbox_faults"):
        if given.get(name) is not None:
            raise UsageError(f"{_OPTIONS[name].flag} works only with --sandbox")
    if settings.dry_run and settings.plan:
        raise UsageError("--dry-run makes a plan and --plan carries one out; use one of them at a time")
    if settings.events.recheck and not settings.events.check:
        raise UsageError("--recheck checks events; leave out --no-events")
    if settings.replace_healthy and settings.if_exists is not IfExists.REPLACE:
        raise UsageError("--replace-healthy works only with --if-exists replace")
    if settings.input.create_users and settings.cluster:
        raise UsageError(
            "--create-users needs a single process: run without --cluster (or with --no-create-users)"
        )
    if settings.plan and settings.input.create_users:
        raise UsageError(
            "--plan works only for growers with a leafUserId, and --create-users is for growers without"
            " one; use one of them at a time (--no-create-users)"
        )


# --- options from a caller or a command line -----------------------------------------------------------


def _options(given: Mapping[str, Any], *, is_command_line: bool) -> Layer:
    """Return the options. Warn of each secret that is visible in the list of processes."""
    if unknown := [f"{name}{parse.did_you_mean(name, _OPTIONS)}" for name in given if name not in _OPTIONS]:
        raise UsageError(f"there is no option {', '.join(unknown)}")
    values = {name: value for name, value in given.items() if value is not None}
    for name in ("notify", "ping"):
        if name in values:
            values[name] = _addresses(values[name], _OPTIONS[name].flag, is_public=is_command_line)
    with suppress(ValueError):  # validation reports the error
        values |= {"map": parse.mapping(values["map"])} if "map" in values else {}
    if is_command_line and isinstance(ledger := values.get("ledger"), PostgresUrl) and ledger.holds_password:
        LOG.warning(
            "the password given with --ledger can be read in the list of processes;"
            " put the address into BULK_ONBOARD_LEDGER, or the password into PGPASSWORD or ~/.pgpass"
        )
    return {
        _OPTIONS[name].path: Given(_OPTIONS[name].flag if is_command_line else name, value)
        for name, value in values.items()
    }


def _addresses(value: object, option: str, *, is_public: bool) -> object:
    """Return addresses; the name of a variable is replaced by its value."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return value
    found = [_named(word, option, is_public=is_public) for text in texts for word in text.split()]
    return "\n".join(found) if found or option == "--notify" else value


def _named(text: str, option: str, *, is_public: bool) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        if is_public and _shows_secret(text, option):
            LOG.warning(
                f"the address given to {option} can be read in the list of processes;"
                f" put it into a variable and give its name: {option} NAME"
            )
        return text
    if value := os.environ.get(text, "").strip():
        return value
    raise UsageError(f"{option} {text}: this variable is not set in the environment, or is empty")


def _shows_secret(url: str, option: str) -> bool:
    if option == "--ping":
        return True
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return parts.scheme.lower() not in _OPEN or "@" in parts.netloc


def _login(login: object) -> Layer:
    if login is None:
        return {}
    if not isinstance(login, Login):
        raise UsageError("login is not a Login of a user name, a token and a password")
    values = {name: getattr(login, name) for name in ("token", "username", "password")}
    return {(*_LOGIN, name): Given(f"login.{name}", value) for name, value in values.items() if value}


def _app(provider: str, app: object) -> Layer:
    """Return app fields from the caller; fields without a provider's name belong to ``provider``."""
    if app is None:
        return {}
    layer: Layer = {}
    for name, value in app.items() if isinstance(app, Mapping) else [("", None)]:
        if not isinstance(name, str) or not isinstance(value, str | Mapping):
            raise UsageError(
                "app is neither a mapping of field names to texts nor a mapping of providers to such mappings"
            )
        fields = {name: value} if isinstance(value, str) else value
        owner = provider if isinstance(value, str) else name
        layer |= {("app", owner, field): Given(f"app.{field}", text) for field, text in fields.items()}
    return layer


# --- the sources, in their order --------------------------------------------------------------------


class _Loader(BaseSettings):
    """Merges the sources and validates all values at once."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    settings: Settings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in the order that the module's docstring gives."""
        assert isinstance(init_settings, InitSettingsSource)  # noqa: S101  (tells mypy)
        assert isinstance(env_settings, EnvSettingsSource)  # noqa: S101
        assert isinstance(dotenv_settings, EnvSettingsSource)  # noqa: S101
        sources: _Sources = init_settings.init_kwargs["sources"]
        return sources.in_order(settings_cls, env_settings.env_vars, dotenv_settings.env_vars)


class _Source(PydanticBaseSettingsSource):
    """A source of settings, read after the sources before it."""

    def __init__(
        self, settings_cls: type[BaseSettings], look_up: Callable[[Mapping[str, Any]], Layer]
    ) -> None:
        super().__init__(settings_cls)
        self._look_up = look_up
        self.layer: Layer = {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Not used: the source returns all of its settings at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        self.layer = self._look_up(self.current_state.get("settings", {}))
        tree: dict[str, Any] = {}
        for path, given in self.layer.items():
            place = tree
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = given.value
        return {"settings": tree}


class _Sources:
    """Describes which settings each source may have.

    In the sandbox and offline, those of the real Leaf are left out.
    """

    def __init__(
        self, options: Layer, file: ConfigFile, *, offline: bool, practice: bool, own_login: bool
    ) -> None:
        self._file, self._practice = file, practice
        self.is_live = not (offline or practice)
        self.keyring = Keyring()
        self._asked: tuple[_Source, ...] = ()
        unwanted = set() if practice else {one.path for one in SETTINGS if one.path[0] == "sandbox"}
        unwanted |= set() if self.is_live else {path for path in _VARIABLES.values() if path[0] == "leaf"}
        unwanted |= set(_ADDRESSES) if offline else set()
        self._options = {path: given for path, given in options.items() if path not in unwanted}
        unwanted |= {path for path in _VARIABLES.values() if path[:2] == _LOGIN} if own_login else set()
        self._in_file = {path: given for path, given in file.layer.items() if path not in unwanted}
        fields = {
            provider.setting(field): ("app", provider.name, field.name)
            for provider in file.providers.values()
            for field in provider.app_fields
        }
        self._variables = {
            name: path for name, path in {**_VARIABLES, **fields}.items() if path not in unwanted
        }

    def in_order(
        self,
        settings_cls: type[BaseSettings],
        environment: Mapping[str, str | None],
        dotenv: Mapping[str, str | None],
    ) -> tuple[_Source, ...]:
        """Return the sources; the first one that has a setting decides."""
        look_ups: list[Callable[[Mapping[str, Any]], Layer]] = [
            lambda _state: self._options,
            lambda _state: self._from_variables(environment),
            lambda _state: self._from_files(environment),
            lambda _state: self._from_variables(dotenv),
            lambda _state: self._in_file,
            self._from_keyring,
            lambda _state: self._of_sandbox(),
        ]
        self._asked = tuple(_Source(settings_cls, look_up) for look_up in look_ups)
        return self._asked

    def validated(self, problems: list[str]) -> Settings:
        """Return the settings. Raises UsageError with these problems and those of the values."""
        try:
            loaded = _Loader(sources=self)  # type: ignore[call-arg]
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False, include_context=False)
            problems += [self._given_at(one["loc"][1:]).problem(_reason(one["msg"])) for one in wrong]
        except (OSError, UnicodeError) as error:
            raise UsageError(
                f".env cannot be read ({type(error).__name__}); it is a text file in UTF-8"
            ) from None
        if problems:
            raise UsageError("; ".join(sorted(problems)))
        return loaded.settings

    def _given_at(self, location: tuple[int | str, ...]) -> Given:
        """Return the value at a place in the tree, from the first source that has it."""
        for source in self._asked:
            for path, given in source.layer.items():
                if location[: len(path)] == path:
                    return given
        return Given(".".join(map(str, location)), None)

    def _from_variables(self, values: Mapping[str, str | None]) -> Layer:
        found = {name: (values.get(name.lower()) or "").strip() for name in self._variables}
        return {self._variables[name]: Given(name, text) for name, text in found.items() if text}

    def _from_files(self, environment: Mapping[str, str | None]) -> Layer:
        """Return the settings in files of ``NAME_FILE``.

        In the sandbox and offline, only the ledger's file is read.
        """
        layer = {}
        for name, path in self._variables.items():
            file = (environment.get(f"{name.lower()}_file") or "").strip()
            is_set = (environment.get(name.lower()) or "").strip()
            if file and not is_set and (self.is_live or path == _LEDGER):
                variable = f"{name}_FILE"
                layer[path] = Given(variable, content(variable, Path(file).expanduser()))
        return layer

    def _from_keyring(self, state: Mapping[str, Any]) -> Layer:
        """Return the settings that are still needed; for app fields see `AppFields`."""
        if not self.is_live:
            return {}
        known, night = state.get("leaf", {}).get("login", {}), state.get("night", {})
        complete = "token" in known or {"username", "password"} <= known.keys()
        wanted = {
            name: path
            for name, path in self._variables.items()
            if (path[:2] == _LOGIN and not complete and path[-1] not in known)
            or (path in _ADDRESSES and path[-1] not in night)
        }
        stored = self.keyring.values(wanted)
        return {wanted[name]: Given(name, text) for name, text in stored.items()}

    def _of_sandbox(self) -> Layer:
        """Return the fixed settings of a sandbox run."""
        if not self._practice:
            return {}
        login = Login(Secret("practice"), "practice", Secret("practice"))
        values: dict[tuple[str, ...], Any] = {
            ("pace", "rate"): SANDBOX_RATE, ("leaf", "base_url"): SANDBOX_URL, _LOGIN: login
        }  # fmt: skip
        for provider in self._file.providers.values():
            values |= {("app", provider.name, field): text for field, text in stand_ins(provider).items()}
        return {path: Given(path[-1], value) for path, value in values.items()}


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")


def stand_ins(provider: Provider) -> dict[str, str]:
    """Return app fields for runs that send nothing to the real Leaf."""
    return {f.name: f.allowed[0] if f.allowed else f"sandbox-{f.name}" for f in provider.app_fields}


def proxy_for(base_url: str) -> Secret | None:
    """Return the proxy for Leaf, from HTTPS_PROXY (unless NO_PROXY exempts Leaf) or the system's settings.

    Plain http is allowed only to this machine, and never uses a proxy. Raises UsageError.
    """
    url = urlsplit(base_url)
    proxy = getproxies().get("https", "").strip()
    if url.scheme != "https" or not proxy or proxy_bypass(url.hostname or ""):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not re.match(r"https?://[^/]", proxy):
        raise UsageError("HTTPS_PROXY cannot be used: it must be the URL of an HTTP proxy, http://host:port")
    return Secret(proxy)
