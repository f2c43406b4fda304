"""The file ``bulk-onboard.toml``: options as keys, tables ``[leaf]``, ``[map]`` and ``[providers.NAME]``."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bulk_onboard.cli import parse
from bulk_onboard.errors import UsageError
from bulk_onboard.providers import PROVIDERS

DEFAULT_FILE = Path("bulk-onboard.toml")
_LEAF_KEYS = ("base_url", "token", "username", "password")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What the file says: options, and settings by the lower-case names of their environment variables."""

    options: Mapping[str, Any] = field(default_factory=dict)
    surroundings: Mapping[str, Any] = field(default_factory=dict)


def read(config: Path | None, keys: Collection[str], warn: Callable[[str], None]) -> ConfigFile:
    """The file that was named, or the default one if there is one. ``keys`` are the options it may hold."""
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
    if _holds_secret(file.surroundings) and os.name == "posix" and path.stat().st_mode & 0o077:
        warn(f"others can read {path}, which holds a secret; close it with: chmod 600 {path}")
    return file


def _sorted(table: Mapping[str, Any], keys: Collection[str], path: Path) -> ConfigFile:
    table = {_snake(key): value for key, value in table.items()}
    leaf = _table(table.pop("leaf", {}), "[leaf]", path)
    providers = _table(table.pop("providers", {}), "[providers]", path)
    _refuse_unknown(table, (*keys, "leaf", "providers"), str(path))
    _refuse_unknown(leaf, _LEAF_KEYS, f"[leaf] in {path}")
    surroundings = {f"leaf_{key}": value for key, value in leaf.items()}
    for name, fields in providers.items():
        surroundings |= _of_provider(name, fields, path)
    return ConfigFile(table, {key: value for key, value in surroundings.items() if value != ""})


def _of_provider(name: str, fields: object, path: Path) -> dict[str, Any]:
    where = f"[providers.{name}]"
    try:
        provider = PROVIDERS[parse.provider(name)]
    except ValueError as error:
        raise UsageError(f"{where} in {path}: {error}") from None
    prefix = len(provider.setting(provider.fields[0])) - len(_snake(provider.fields[0].name))
    known = {provider.setting(f).lower()[prefix:]: provider.setting(f).lower() for f in provider.app_fields}
    given = _table(fields, where, path)
    _refuse_unknown(given, known, f"{where} in {path}")
    return {known[key]: value for key, value in given.items()}


def _snake(name: str) -> str:
    """``clientId``, ``client-id`` and ``client_id`` are one key."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def _table(value: object, where: str, path: Path) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} in {path} is not a table of keys and values")
    return {_snake(key): each for key, each in value.items()}


def _refuse_unknown(given: Collection[str], known: Collection[str], where: str) -> None:
    if unknown := [f"{key}{parse.near(key, known)}" for key in given if key not in known]:
        raise UsageError(f"{where} has a key that is not known: {', '.join(unknown)}")


def _holds_secret(surroundings: Collection[str]) -> bool:
    public = {p.setting(f).lower() for p in PROVIDERS.values() for f in p.app_fields if not f.secret}
    return bool(set(surroundings) - public - {"leaf_base_url", "leaf_username"})
