"""The place of a ledger: an SQLite file, or a PostgreSQL database (its address may contain a password)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from bulk_onboard.domain.model import Secret

DEFAULT_SCHEMA = "bulk_onboard"
_HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._~%-]*)(?::\d*)?")
_DATABASE = re.compile(r"[^\s/@:#\x00-\x1f]*")
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
# The parameters that distinguish one place from another.
_SHOWN = ("host", "port", "dbname", "service", "schema")


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A PostgreSQL database with a ledger in it.

    ``url`` is passed to libpq. ``shown`` is the URL without secrets, for people. ``schema`` contains only the
    ledger.
    """

    url: Secret
    shown: str
    schema: str = DEFAULT_SCHEMA

    @property
    def address(self) -> Secret:
        """The value of ``--ledger`` that names this ledger."""
        text = self.url.reveal()
        return Secret(f"{text}{'&' if '?' in text else '?'}schema={self.schema}")

    @property
    def holds_password(self) -> bool:
        """Whether the address contains a password."""
        before, _, query = self.url.reveal().removeprefix("postgresql://").partition("?")
        return ":" in before.partition("/")[0].rpartition("@")[0] or "password" in query.lower()

    def __str__(self) -> str:
        return self.shown


# An SQLite file, or a database on a server. The text of both can be shown: it contains no password.
LedgerPlace = Path | PostgresUrl


def ledger(value: str | Path | PostgresUrl) -> LedgerPlace:
    """Return the place that a path, ``sqlite:///PATH`` or ``postgresql://USER@HOST/DATABASE`` names.

    Raises ValueError; the message never repeats an address, which may hold a password.
    """
    if isinstance(value, PostgresUrl):
        return value
    text = str(value).strip()
    scheme, marker, rest = text.partition("://")
    if not marker:
        return _file(text, text)
    match scheme.lower():
        case "sqlite":
            return _file(rest.removeprefix("/"), text)
        case "postgresql" | "postgresql+psycopg" | "postgres":
            return _postgres_url(rest)
        case other:
            raise ValueError(
                f"a ledger cannot be at {other}://; it is a file (PATH or sqlite:///PATH)"
                " or a database on PostgreSQL (postgresql+psycopg://USER@HOST/DATABASE)"
            )


def _file(path: str, text: str) -> Path:
    if path in ("", "/", ":memory:"):
        raise ValueError(f"{text!r} does not name a file; without a ledger, running again is not safe")
    return Path(path).expanduser()


def _postgres_url(rest: str) -> PostgresUrl:
    """Parse the text after ``postgresql://``: everything that libpq allows, and the parameter ``schema``."""
    before, _, query = rest.partition("?")
    authority, _, database = before.partition("/")
    login, _, hosts = authority.rpartition("@")
    parameters = dict(_pairs(query))
    if not all(_HOST.fullmatch(host) for host in hosts.split(",")) or not _DATABASE.fullmatch(database):
        raise _unreadable()
    schema = parameters.pop("schema", DEFAULT_SCHEMA)
    if not _SCHEMA.fullmatch(schema):
        raise ValueError("the name of a ledger's schema consists of lower-case letters, digits and _")
    user = login.partition(":")[0]
    shown = {name: value for name, value in {**parameters, "schema": schema}.items() if name in _SHOWN}
    if schema == DEFAULT_SCHEMA:
        del shown["schema"]
    return PostgresUrl(
        Secret(f"postgresql://{before}{_query(parameters)}"),
        f"postgresql://{user}{'@' if user else ''}{hosts}/{database}{_query(shown)}",
        schema,
    )


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise _unreadable() from None


def _query(parameters: dict[str, str]) -> str:
    # libpq reads the whole URL and does not decode a plus sign.
    return f"?{urlencode(parameters, safe='/,:').replace('+', '%20')}" if parameters else ""


def _unreadable() -> ValueError:
    return ValueError(
        "it is not an address like postgresql+psycopg://USER@HOST/DATABASE; special characters of a password"
        " are written as %40 for @, %2F for /, %3A for :, %3F for ?"
    )
