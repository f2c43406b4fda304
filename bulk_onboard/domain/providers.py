"""The providers that Leaf can connect, and those that users define, in the same format.

Validation, payloads, fingerprints, names of settings, sandbox routes and the ``providers`` command derive
from these tables. `PROVIDERS` are the built-in ones of ``providers.toml``; `define_provider` reads others:

    [providers.my-terminal]
    path = "my-terminal-credentials"
    fields = [
        { name = "apiKey", scope = "app", kind = "token" },
        { name = "refreshToken", scope = "grower", help = "the grower's refresh token" },
    ]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

ENVIRONMENT = "clientEnvironment"


class Scope(StrEnum):
    """What a field belongs to: the customer's application (same for every row) or one grower."""

    APP = "app"
    GROWER = "grower"


class FieldKind(StrEnum):
    """How the cells of a field are checked and cleaned.

    ``ID``: a UUID. ``TOKEN``: issued by a program, printable ASCII; what surrounds it is removed, and what
    cannot be a token is refused. ``TEXT``: chosen by a person, e.g. a password; sent exactly as typed.
    """

    ID = "id"
    TOKEN = "token"  # noqa: S105
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a credentials payload.

    ``secret`` fields are masked everywhere; ``allowed`` lists the only values that Leaf takes, empty for any;
    ``format``: "jwt" or "opaque" if all tokens of the provider are, or are not, JSON web tokens.
    """

    name: str
    scope: Scope
    secret: bool = True
    required: bool = True
    allowed: tuple[str, ...] = ()
    help: str = ""
    example: str = ""
    kind: FieldKind = FieldKind.TOKEN
    format: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: where its credentials are stored and what they are made of.

    ``path`` is the last segment of ``/users/{leafUserId}/{path}``; ``embedded`` is the key under which
    a Leaf user shows these credentials.
    """

    name: str
    title: str
    path: str
    embedded: str
    fields: tuple[Field, ...]

    @property
    def app_fields(self) -> tuple[Field, ...]:
        """Fields of the customer's application: from a column of that name, else from the settings."""
        return tuple(f for f in self.fields if f.scope is Scope.APP)

    @property
    def grower_fields(self) -> tuple[Field, ...]:
        """Fields that differ per row: always columns of the file. All of them make up a row's fingerprint."""
        return tuple(f for f in self.fields if f.scope is Scope.GROWER)

    def setting(self, field: Field) -> str:
        """Name of the environment variable of an app field, e.g. ``RAVEN_CLIENT_ID``."""
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field.name)
        return f"{self.name.replace('-', '_')}_{words}".upper()

    def instructions(self, field: Field) -> tuple[str, ...]:
        """Return sentences for a person who fills in a column of the field."""
        parts = [f"{field.help[:1].upper()}{field.help[1:]}."] if field.help else []
        if field.allowed:
            parts.append(f"One of {', '.join(field.allowed)}.")
        if field.scope is Scope.APP:
            parts.append(f"May stay empty if {self.setting(field)} is set.")
        elif not field.required:
            parts.append("May stay empty.")
        if field.example:
            parts.append(f"For example {field.example}")
        return tuple(parts)

    def template(self, *, app_fields: bool = False, users: bool = False) -> tuple[Field, ...]:
        """Return the columns of a file to fill in.

        ``app_fields``: with those that usually come from the settings; ``users``: with those for growers that
        may not have a Leaf user yet.
        """
        columns = _table()["user"]["columns"]
        first = [
            Field(**column, scope=Scope.GROWER, secret=False, required=not users)
            for column in (columns if users else columns[:1])
        ]
        return (*first, *self.grower_fields, *(self.app_fields if app_fields else ()))

    @property
    def environment(self) -> Field | None:
        """The field that selects one of the provider's environments; None if it has only one."""
        return next((field for field in self.fields if field.name == ENVIRONMENT), None)


Providers = Mapping[str, Provider]


def normal_name(name: str) -> str:
    """Return a provider's name without case and separators: ``John_Deere`` is ``johndeere``."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def find_provider(providers: Providers, spelled: str) -> Provider | None:
    """The provider of this name, however it is spelled; None if there is none."""
    return next(
        (provider for name, provider in providers.items() if normal_name(name) == normal_name(spelled)), None
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` where one of the known words is close, else nothing."""
    import difflib  # noqa: PLC0415  (only a mistyped word needs it)

    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


# Keys of a [providers.NAME] table that define the provider; its other keys are the provider's settings.
KEYS = ("path", "embedded", "title", "fields")
_FIELD_KEYS = ("name", "scope", "kind", "secret", "required", "allowed", "help", "example", "format")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FIELD_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]*")
# Columns that every file may have, and a provider name that would share the settings of our own login.
_RESERVED_COLUMNS = frozenset({"leafuserid", "provider"})
_RESERVED_NAMES = frozenset({"leaf"})


def define_provider(name: str, table: Mapping[str, Any], known: Providers) -> Provider:
    """The provider that a table with some of `KEYS` defines; ``known``: the providers that already exist.

    Omitted keys are derived from the name. Raises ValueError with the first fault of the definition.
    """
    name = re.sub(r"[\s_]+", "-", name.strip().lower())
    if (other := find_provider(known, name)) is not None:
        raise ValueError(f"a provider {other.name} already exists; give yours another name")
    if not _NAME.fullmatch(name) or name in _RESERVED_NAMES:
        raise ValueError("this name cannot be used; use letters, digits and hyphens, such as my-terminal")
    camel = re.sub(r"-(.)", lambda letter: letter[1].upper(), name)
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


def _text(table: Mapping[str, Any], key: str, default: str = "") -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or not value.isprintable() or not (value or not default):
        raise ValueError(f"{key} is not a text on one line")
    return value


def _fields(tables: object) -> tuple[Field, ...]:
    if not isinstance(tables, list) or not tables or not all(isinstance(table, Mapping) for table in tables):
        raise ValueError(
            'fields is not a list of tables, such as { name = "refreshToken", scope = "grower" }'
        )
    fields = tuple(_field(table) for table in tables)
    names = [field.name.casefold() for field in fields]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two fields are called {twice[0]}")
    if not any(field.scope is Scope.GROWER and field.required for field in fields):
        raise ValueError('at least one required field must have scope = "grower"')
    return fields


def _field(table: Mapping[str, Any]) -> Field:
    if unknown := [key for key in table if key not in _FIELD_KEYS]:
        raise ValueError(f"a field has no key {unknown[0]}; choose from {', '.join(_FIELD_KEYS)}")
    name = _text(table, "name")
    if not _FIELD_NAME.fullmatch(name) or name.casefold() in {*_RESERVED_COLUMNS, *KEYS}:
        raise ValueError(f"{name!r} cannot be the name of a field; use letters and digits, as Leaf does")
    if (format_ := table.get("format", "")) not in ("", "jwt", "opaque"):
        raise ValueError(f"the format of {name} is neither jwt nor opaque")
    if table.get("scope") not in list(Scope):
        raise ValueError(f"the scope of {name} is neither app nor grower")
    allowed = table.get("allowed", [])
    if not isinstance(allowed, list) or not all(isinstance(value, str) and value for value in allowed):
        raise ValueError(f"allowed of {name} is not a list of texts")
    secret = _flag(table, "secret", name, default=not allowed)
    return Field(
        name,
        Scope(table["scope"]),
        secret=secret,
        required=_flag(table, "required", name, default=True),
        allowed=tuple(allowed),
        help=_text(table, "help"),
        example=_text(table, "example"),
        kind=_kind(table, name, secret=secret, allowed=bool(allowed)),
        format=format_,
    )


def _kind(table: Mapping[str, Any], name: str, *, secret: bool, allowed: bool) -> FieldKind:
    """A secret token, key or secret by its name is a token, and so is a fixed value; all else is text."""
    is_token = allowed or (secret and re.search("token|key|secret", name, re.IGNORECASE) is not None)
    kind = table.get("kind", FieldKind.TOKEN if is_token else FieldKind.TEXT)
    if kind not in list(FieldKind):
        raise ValueError(f"the kind of {name} is none of {', '.join(FieldKind)}")
    return FieldKind(kind)


def _flag(table: Mapping[str, Any], key: str, name: str, *, default: bool) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise ValueError(f"{key} of {name} is neither true nor false")
    return value


def _refuse_clashes(provider: Provider, known: Providers) -> None:
    """Raise if two providers share a path, a key of a user or a setting: they would be mixed up."""
    for other in known.values():
        if provider.path == other.path:
            raise ValueError(f"{provider.path} is the path of {other.name}")
        if provider.embedded == other.embedded:
            raise ValueError(f"{provider.embedded} is the key of {other.name} in a Leaf user")
        if shared := _settings(provider) & _settings(other):
            raise ValueError(f"{min(shared)} would be a setting of {other.name} too; rename the field")


def _settings(provider: Provider) -> set[str]:
    return {provider.setting(field) for field in provider.app_fields}


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _built_in() -> Providers:
    providers: dict[str, Provider] = {}
    for name, table in _table()["providers"].items():
        providers[name] = define_provider(name, table, providers)
    return MappingProxyType(providers)


PROVIDERS: Providers = _built_in()
