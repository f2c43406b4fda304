"""Providers that users add: a table of ``bulk-onboard.toml`` becomes a provider like those built in. Pure.

[providers.my-terminal]
path = "my-terminal-credentials"
fields = [
    { name = "apiKey", scope = "app" },
    { name = "refreshToken", scope = "grower", help = "the grower's refresh token" },
]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bulk_onboard.providers import Field, Provider, Providers, Scope, find

# Of a [providers.NAME] table; its other keys are the settings of the provider.
KEYS = ("path", "embedded", "title", "fields")
_FIELD_KEYS = ("name", "scope", "secret", "required", "allowed", "help", "example")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FIELD_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]*")
# Columns that are ours in every file, and a name whose settings would be those of our own login.
_OUR_COLUMNS = frozenset({"leafuserid", "provider"})
_OUR_NAMES = frozenset({"leaf"})


def defined(name: str, table: Mapping[str, Any], known: Providers) -> Provider:
    """The provider that a table with some of `KEYS` tells of. ``known``: those that there are already.

    What may be left out follows from the name. Raises ValueError with all that is wrong with one part of it.
    """
    name = re.sub(r"[\s_]+", "-", name.strip().lower())
    if (other := find(known, name)) is not None:
        raise ValueError(f"there is a provider {other.name} already; give yours another name")
    if not _NAME.fullmatch(name) or name in _OUR_NAMES:
        raise ValueError("its name is none; take letters, digits and hyphens, such as my-terminal")
    camel = re.sub(r"-(.)", lambda found: found[1].upper(), name)
    provider = Provider(
        name=name,
        title=_text(table, "title", name),
        path=_text(table, "path", f"{name}-credentials"),
        embedded=_text(table, "embedded", f"{camel}Credentials"),
        fields=_fields(table.get("fields")),
    )
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_-]*", provider.path):
        raise ValueError(f"path {provider.path!r} is not one segment of a URL, such as {name}-credentials")
    _refuse_clashes(provider, known)
    return provider


def _text(table: Mapping[str, Any], key: str, otherwise: str = "") -> str:
    value = table.get(key, otherwise)
    if not isinstance(value, str) or not value.isprintable() or not (value or not otherwise):
        raise ValueError(f"{key} is not a text on one line")
    return value


def _fields(tables: object) -> tuple[Field, ...]:
    if not isinstance(tables, list) or not tables or not all(isinstance(each, Mapping) for each in tables):
        raise ValueError(
            'fields is not a list of tables, such as { name = "refreshToken", scope = "grower" }'
        )
    fields = tuple(_field(each) for each in tables)
    names = [field.name.casefold() for field in fields]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two fields are called {twice[0]}")
    if not any(field.scope is Scope.GROWER and field.required for field in fields):
        raise ValueError('no field is of the grower: one needs scope = "grower" and may not be optional')
    return fields


def _field(table: Mapping[str, Any]) -> Field:
    if unknown := [key for key in table if key not in _FIELD_KEYS]:
        raise ValueError(f"a field has no key {unknown[0]}; there are {', '.join(_FIELD_KEYS)}")
    name = _text(table, "name")
    if not _FIELD_NAME.fullmatch(name) or name.casefold() in {*_OUR_COLUMNS, *KEYS}:
        raise ValueError(f"{name!r} cannot be the name of a field; take letters and digits, as Leaf has it")
    if table.get("scope") not in list(Scope):
        raise ValueError(f"the scope of {name} is neither app nor grower")
    allowed = table.get("allowed", [])
    if not isinstance(allowed, list) or not all(isinstance(each, str) and each for each in allowed):
        raise ValueError(f"allowed of {name} is not a list of texts")
    return Field(
        name,
        Scope(table["scope"]),
        secret=_flag(table, "secret", name, otherwise=not allowed),
        required=_flag(table, "required", name, otherwise=True),
        allowed=tuple(allowed),
        help=_text(table, "help"),
        example=_text(table, "example"),
    )


def _flag(table: Mapping[str, Any], key: str, name: str, *, otherwise: bool) -> bool:
    value = table.get(key, otherwise)
    if not isinstance(value, bool):
        raise ValueError(f"{key} of {name} is neither true nor false")
    return value


def _refuse_clashes(provider: Provider, known: Providers) -> None:
    """Two names for one place at Leaf, or one setting for two providers, would mix up what must be apart."""
    for other in known.values():
        if provider.path == other.path:
            raise ValueError(f"{provider.path} is the path of {other.name}")
        if provider.embedded == other.embedded:
            raise ValueError(f"{provider.embedded} is what a user shows of {other.name}")
        if shared := _settings(provider) & _settings(other):
            raise ValueError(f"{min(shared)} would be a setting of {other.name} too; rename the field")


def _settings(provider: Provider) -> set[str]:
    return {provider.setting(field) for field in provider.app_fields}
