"""The file ``bulk-onboard.toml``: options as keys, tables ``[leaf]``, ``[map]`` and ``[providers.NAME]``."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bulk_onboard.domain.providers import KEYS, PROVIDERS, Provider, Providers, define_provider
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import parse

DEFAULT_FILE = Path("bulk-onboard.toml")
_ADDRESSES = {"notify", "ping"}
_LEAF_KEYS = ("base_url", "token", "username", "password")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What the file says: options, and settings by the lower-case names of their environment variables.

    ``providers`` are those built in and those that the file defines.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    surroundings: Mapping[str, Any] = field(default_factory=dict)
    providers: Providers = field(default_factory=lambda: PROVIDERS)


def read(
    config: Path | None, keys: Collection[str] | None, warn: Callable[[str], None] = lambda _text: None
) -> ConfigFile:
    """The file that was named, or the default one if there is one.

    ``keys`` are the options it may hold; None if they are of no interest.
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
        # Of the parser's message only the place: the rest may quote a secret.
        place = re.search(r"\(at .*\)", str(error))
        raise UsageError(f"{path} is not valid TOML {place[0] if place else ''}".rstrip()) from None
    file = _sorted(table, keys, path)
    if _holds_secret(file) and os.name == "posix" and path.stat().st_mode & 0o077:
        warn(f"others can read {path}, which holds a secret; close it with: chmod 600 {path}")
    return file


def _sorted(table: Mapping[str, Any], keys: Collection[str] | None, path: Path) -> ConfigFile:
    table = {_snake(key): value for key, value in table.items()}
    leaf = _table(table.pop("leaf", {}), "[leaf]", path)
    tables = _table(table.pop("providers", {}), "[providers]", path)
    if keys is not None:
        _refuse_unknown(table, (*keys, "leaf", "providers"), str(path))
    _refuse_unknown(leaf, _LEAF_KEYS, f"[leaf] in {path}")
    surroundings = {f"leaf_{key}": value for key, value in leaf.items()}
    # Addresses that are secrets: the environment goes before the file, as with all of them.
    for key in _ADDRESSES & table.keys():
        surroundings[f"bulk_onboard_{key}"] = _lines(table.pop(key))
    providers = dict(PROVIDERS)
    for name, fields in tables.items():
        where = f"[providers.{name}] in {path}"
        given = _table(fields, f"[providers.{name}]", path)
        provider = _of_table(name, given, providers, where)
        providers[provider.name] = provider
        surroundings |= _app_settings(provider, given, where)
    return ConfigFile(table, {key: value for key, value in surroundings.items() if value != ""}, providers)


def _lines(value: object) -> object:
    return "\n".join(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value


def _of_table(name: str, table: Mapping[str, Any], providers: Providers, where: str) -> Provider:
    """The provider that a table is of: one of these, or one that it defines."""
    try:
        if any(key in table for key in KEYS):
            return define_provider(name, table, providers)
        return providers[parse.provider(name, providers)]
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None


def _app_settings(provider: Provider, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings in a provider's table, by the names of their variables."""
    known = {_snake(field.name): provider.setting(field).lower() for field in provider.app_fields}
    given = {key: value for key, value in table.items() if key not in KEYS}
    _refuse_unknown(given, known, where)
    return {known[key]: value for key, value in given.items()}


def _snake(name: str) -> str:
    """Return a key in snake case: ``clientId``, ``client-id`` and ``client_id`` are one key."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def _table(value: object, where: str, path: Path) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} in {path} is not a table of keys and values")
    return {_snake(key): item for key, item in value.items()}


def _refuse_unknown(given: Collection[str], known: Collection[str], where: str) -> None:
    if unknown := [f"{key}{parse.near(key, known)}" for key in given if key not in known]:
        raise UsageError(f"{where} has an unknown key: {', '.join(unknown)}")


def _holds_secret(file: ConfigFile) -> bool:
    public = {p.setting(f).lower() for p in file.providers.values() for f in p.app_fields if not f.secret}
    return bool(set(file.surroundings) - public - {"leaf_base_url", "leaf_username"})
