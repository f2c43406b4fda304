"""The address of a ledger on PostgreSQL: what is passed to libpq, and what people may see of it."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

from bulk_onboard.domain.model import Secret
from bulk_onboard.settings import DEFAULT_SCHEMA, PostgresUrl

_HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._~%-]*)(?::\d*)?")
_DATABASE = re.compile(r"[^\s/@:#\x00-\x1f]*")
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
# Of the parameters, what tells one place from another.
_SHOWN = ("host", "port", "dbname", "service", "schema")


def postgres_url(rest: str) -> PostgresUrl:
    """Parse what follows ``postgresql://``. A ValueError does not repeat the text: it may hold a password.

    All parameters of libpq are allowed: several hosts, ``sslmode``, ``service``. ``schema`` is ours.
    """
    before, _, query = rest.partition("?")
    authority, _, database = before.partition("/")
    login, _, hosts = authority.rpartition("@")
    parameters = dict(_pairs(query))
    if not all(_HOST.fullmatch(host) for host in hosts.split(",")) or not _DATABASE.fullmatch(database):
        raise _unreadable()
    schema = parameters.pop("schema", DEFAULT_SCHEMA)
    if not _SCHEMA.fullmatch(schema):
        raise ValueError("the schema of a ledger has a name of small letters, digits and _")
    user = login.partition(":")[0]
    shown = {name: value for name, value in {**parameters, "schema": schema}.items() if name in _SHOWN}
    if schema == DEFAULT_SCHEMA:
        del shown["schema"]
    return PostgresUrl(
        Secret(f"postgresql://{before}{_query(parameters)}"),
        f"postgresql://{user}{'@' if user else ''}{hosts}/{database}{_query(shown)}",
        schema,
    )


def holds_password(place: PostgresUrl) -> bool:
    """Return whether the address contains a password."""
    before, _, query = place.url.reveal().removeprefix("postgresql://").partition("?")
    return ":" in before.partition("/")[0].rpartition("@")[0] or "password" in query.lower()


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise _unreadable() from None


def _query(parameters: dict[str, str]) -> str:
    # As a whole it is read by libpq, for which a plus is a plus.
    return f"?{urlencode(parameters, safe='/,:').replace('+', '%20')}" if parameters else ""


def _unreadable() -> ValueError:
    return ValueError(
        "it is not an address like postgresql+psycopg://USER@HOST/DATABASE; special characters of a password"
        " are written as %40 for @, %2F for /, %3A for :, %3F for ?"
    )
