"""The file ``bulk-onboard.toml``: options as keys, tables ``[leaf]``, ``[map]`` and ``[providers.NAME]``."""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bulk_onboard.domain.providers import KEYS, PROVIDERS, Provider, Providers, define_provider
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import SETTINGS, parse

LOG = logging.getLogger("bulk_onboard")
DEFAULT_FILE = Path("bulk-onboard.toml")
_PATHS = {setting.key: setting.path for setting in SETTINGS if setting.key}
_SECRETS = {setting.path for setting in SETTINGS if setting.variable} - {
    _PATHS["leaf.base_url"], _PATHS["leaf.username"], _PATHS["ledger"]
}  # fmt: skip


class Given(NamedTuple):
    """A value with its name and its place, for messages."""

    name: str
    value: Any
    place: str = ""

    def problem(self, reason: str) -> str:
        """Return what is wrong with the value, in one line. It must not quote a secret."""
        return f"{self.place}{': ' if self.place else ''}{self.name}: {reason}"


# The settings of one source, by their path in the tree of settings.
Layer = dict[tuple[str, ...], Given]


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The content of the file. ``providers``: the built-in ones and those that the file defines."""

    layer: Layer = field(default_factory=dict)
    providers: Providers = field(default_factory=lambda: PROVIDERS)


def read(config: Path | None) -> ConfigFile:
    """Read the given file, or the default file if it exists. Raises UsageError.

    Warn if the file contains a secret and others can read it.
    """
    path = config or DEFAULT_FILE
    if config is None and not path.is_file():
        return ConfigFile()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise UsageError(f"{path} is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        # Use only the place from the parser's message: the rest may quote a secret.
        place = re.search(r"\(at .*\)", str(error))
        raise UsageError(f"{path} is not valid TOML {place[0] if place else ''}".rstrip()) from None
    file = _sorted(table, path)
    if _holds_secret(file) and os.name == "posix" and path.stat().st_mode & 0o077:
        LOG.warning(f"others can read {path}, which contains a secret; protect it with: chmod 600 {path}")
    return file


def _sorted(table: Mapping[str, Any], path: Path) -> ConfigFile:
    table = {_snake(key): value for key, value in table.items()}
    leaf = _table(table.pop("leaf", {}), "[leaf]", path)
    tables = _table(table.pop("providers", {}), "[providers]", path)
    table.pop("partners", None)  # mappings that the page saved
    options = [key for key in _PATHS if "." not in key]
    _refuse_unknown(table, (*options, "leaf", "providers"), str(path))
    of_leaf = [key.removeprefix("leaf.") for key in _PATHS if "." in key]
    _refuse_unknown(leaf, of_leaf, f"[leaf] in {path}")
    keys = table | {f"leaf.{key}": value for key, value in leaf.items() if value != ""}
    layer = {_PATHS[key]: Given(key, value, str(path)) for key, value in keys.items()}
    providers = dict(PROVIDERS)
    for name, fields in tables.items():
        where = f"[providers.{name}] in {path}"
        given = _table(fields, f"[providers.{name}]", path)
        provider = _of_table(name, given, providers, where)
        providers[provider.name] = provider
        layer |= _app_fields(provider, given, where)
    return ConfigFile(layer, providers)


def _of_table(name: str, table: Mapping[str, Any], providers: Providers, where: str) -> Provider:
    """Return the provider of a table: one of these, or a new one that the table defines."""
    try:
        if any(key in table for key in KEYS):
            return define_provider(name, table, providers)
        return providers[parse.provider(name, providers)]
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None


def _app_fields(provider: Provider, table: Mapping[str, Any], where: str) -> Layer:
    """Return the app fields in a provider's table."""
    known = {_snake(field.name): field.name for field in provider.app_fields}
    given = {key: value for key, value in table.items() if key not in KEYS}
    _refuse_unknown(given, known, where)
    return {
        ("app", provider.name, known[key]): Given(key, value, where)
        for key, value in given.items()
        if value != ""
    }


def _snake(name: str) -> str:
    """Return a key in snake case: ``clientId``, ``client-id`` and ``client_id`` are one key."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def _table(value: object, where: str, path: Path) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} in {path} is not a table of keys and values")
    return {_snake(key): item for key, item in value.items()}


def _refuse_unknown(given: Collection[str], known: Collection[str], where: str) -> None:
    if unknown := [f"{key}{parse.did_you_mean(key, known)}" for key in given if key not in known]:
        raise UsageError(f"{where} has an unknown key: {', '.join(unknown)}")


def _holds_secret(file: ConfigFile) -> bool:
    public = {
        ("app", name, field.name)
        for name, provider in file.providers.items()
        for field in provider.app_fields
        if not field.secret
    }
    return any(path in _SECRETS or path[0] == "app" for path in file.layer.keys() - public)
