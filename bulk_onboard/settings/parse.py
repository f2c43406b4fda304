"""Texts of options and settings into values. Every function raises ValueError with a message for people."""

from __future__ import annotations

import codecs
import csv
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from bulk_onboard.domain.providers import Providers, find
from bulk_onboard.domain.providers import near as near  # noqa: PLC0414  (for mistyped words of all kinds)
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import Cluster, LedgerPlace, Local, MaxFailures, MaxNew, PostgresUrl, Remote
from bulk_onboard.settings.ledger_url import postgres_url
from bulk_onboard.validation.rules import find_problem

FORMATS = ("csv", "html", "parquet", "jsonl")
# Codecs that are notations rather than encodings of text files.
_NOT_OF_FILES = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
_NUMBER = r"\d+(?:\.\d+)?|\.\d+"
_PER_SECOND = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "min": 60.0,
    "m": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def provider(value: str, providers: Providers) -> str:
    """The name of one of these providers, without regard to case, spaces, ``_`` and ``-``."""
    if (result := find(providers, str(value))) is None:
        close = near(str(value).strip().lower(), providers)
        raise ValueError(f"{value!r} is not a provider{close}; choose from {', '.join(providers)}")
    return result.name


def rate(value: str | float) -> float:
    """Parse requests per second: ``10``, ``5/s``, ``600/min``, ``3600/h``; ``0`` means no ceiling."""
    match = re.fullmatch(rf"({_NUMBER})\s*(?:/\s*([a-z]+))?", str(value).strip().lower())
    unit = (match and match[2]) or "s"
    if isinstance(value, bool) or not match or unit not in _PER_SECOND:
        raise ValueError(f"{str(value)!r} is not a rate, such as 10, 5/s, 600/min or 3600/h (0: no ceiling)")
    return float(match[1]) / _PER_SECOND[unit]


def sheets(value: object) -> tuple[str, ...]:
    """Parse one name of a sheet or several; ``*`` means all."""
    names = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError("a sheet is named by a text, such as Growers, or '*' for all")
    return names


def encoding(value: str) -> str:
    """The name of a text encoding that Python knows, in Python's spelling."""
    name = str(value).strip()
    try:
        codecs.getincrementaldecoder(name)
        codec = codecs.lookup(name).name
        if codec in _NOT_OF_FILES:
            raise LookupError
        with suppress(UnicodeError):  # one byte is half a character of some encodings
            b"a".decode(codec)
    except (LookupError, ValueError):
        raise ValueError(
            f"{name!r} is not a text encoding; name one that Python knows, such as utf-8, cp1252, cp1251 or"
            " cp850"
        ) from None
    return codec


def seconds(value: str | float) -> float:
    """Parse a length of time in seconds: ``30``, ``30s``, ``2m``, ``500ms``."""
    match = re.fullmatch(rf"({_NUMBER})\s*([a-z]*)", str(value).strip().lower())
    if isinstance(value, bool) or not match or match[2] not in _SECONDS:
        raise ValueError(f"{str(value)!r} is not a length of time, such as 30, 30s or 2m")
    return float(match[1]) * _SECONDS[match[2]]


def age(value: str | timedelta | None) -> timedelta | None:
    """Parse an age: ``7d``, ``36h``, ``90m``."""
    if value is None or isinstance(value, timedelta):
        return value
    match = re.fullmatch(rf"({_NUMBER})\s*([dhm])", str(value).strip().lower())
    if not match or not 0 < (length := float(match[1])) < 10_000:
        raise ValueError(f"{str(value)!r} is not an age, such as 7d or 36h")
    return timedelta(**{{"d": "days", "h": "hours", "m": "minutes"}[match[2]]: length})


def timeout(value: str | float) -> float:
    """Parse a timeout: `seconds`, greater than 0."""
    if (length := seconds(value)) > 0:
        return length
    raise ValueError("a timeout of 0 leaves Leaf no time to answer; try 30")


def max_failures(value: str | int | MaxFailures) -> MaxFailures:
    """Parse a limit: ``20`` rows, or ``5%`` of the rows to do."""
    return value if isinstance(value, MaxFailures) else MaxFailures(*_number_or_share(value))


def max_new(value: str | int | MaxNew) -> MaxNew:
    """Parse a limit: ``20`` rows, or ``5%`` of the rows of the file."""
    return value if isinstance(value, MaxNew) else MaxNew(*_number_or_share(value))


def _number_or_share(value: str | int) -> tuple[int | None, float | None]:
    match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)\s*%", str(value).strip())
    if isinstance(value, bool) or not match or (match[2] and float(match[2]) > 100):
        raise ValueError(f"{str(value)!r} is neither a number of rows, such as 20, nor a share, such as 5%")
    return (int(match[1]), None) if match[1] else (None, float(match[2]) / 100)


def names(value: str | Iterable[str]) -> tuple[str, ...]:
    """Comma-separated names, each once; a name with a comma must be in double quotes. A list is allowed."""
    _refuse_other_than_texts(value)
    try:
        cells = next(csv.reader([value], skipinitialspace=True), []) if isinstance(value, str) else value
    except csv.Error:
        raise ValueError(f"{value!r} is not a list of names, such as name,region") from None
    stripped = (cell.strip() for cell in cells)
    return tuple(dict.fromkeys(cell for cell in stripped if cell))


def formats(value: str | Iterable[str]) -> tuple[str, ...]:
    """The formats of the results."""
    result = tuple(dict.fromkeys(name.lower() for name in names(value)))
    if unknown := [name for name in result if name not in FORMATS]:
        raise ValueError(f"{unknown[0]!r} is not a format; choose from {', '.join(FORMATS)}")
    if not result:
        raise ValueError(f"at least one format is needed: {', '.join(FORMATS)}")
    return result


def urls(value: str | Iterable[str]) -> tuple[str, ...]:
    """Parse texts separated by white space, or a list of such texts."""
    _refuse_other_than_texts(value)
    return tuple(word for text in ([value] if isinstance(value, str) else value) for word in text.split())


def mapping(value: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    """Parse ``FIELD=COLUMN`` texts, or a table of the same, as field -> column."""
    _refuse_other_than_texts(value.values() if isinstance(value, Mapping) else value)
    pairs = list(value.items()) if isinstance(value, Mapping) else [_pair(text) for text in value]
    result: dict[str, str] = {}
    for field, column in pairs:
        if result.setdefault(field, column) != column:
            raise ValueError(f"{field} is mapped to two columns, {result[field]!r} and {column!r}")
    return result


def _refuse_other_than_texts(value: object) -> None:
    """Raise if a TOML file has another type, such as a number, where a text belongs."""
    if not isinstance(value, Iterable) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{value!r} is not a text or a list of texts")


def _pair(text: str) -> tuple[str, str]:
    field, equals, column = text.partition("=")
    if not (equals and field.strip() and column.strip()):
        raise ValueError(f"{text!r} is not FIELD=COLUMN, such as refreshToken='Raven token'")
    return field.strip(), column.strip()


def ledger(value: str | Path | PostgresUrl) -> LedgerPlace:
    """A path, or the same as ``sqlite:///PATH``; or a database: ``postgresql+psycopg://USER@HOST/DATABASE``."""
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
            return postgres_url(rest)
        case other:
            # Not the URL itself: it may hold a password.
            raise ValueError(
                f"a ledger at {other}:// is not possible; it is a file (PATH or sqlite:///PATH)"
                " or a database on PostgreSQL (postgresql+psycopg://USER@HOST/DATABASE)"
            )


def _file(path: str, text: str) -> Path:
    if path in ("", "/", ":memory:"):
        raise ValueError(f"{text!r} does not name a file; the ledger is what makes running again safe")
    return Path(path).expanduser()


def cluster(value: str | Cluster) -> Cluster:
    """``local:4`` for 4 processes on this machine, ``tcp://…`` or ``tls://…`` for a running scheduler."""
    if isinstance(value, Local | Remote):
        return value
    text = str(value).strip()
    scheme, _, rest = text.partition(":")
    if scheme == "local" and rest.isascii() and rest.isdigit() and int(rest) > 0:
        return Local(int(rest))
    if scheme in {"tcp", "tls"} and rest.startswith("//") and urlsplit(text).hostname and "@" not in rest:
        return Remote(text)
    # Not the text itself: it may hold a password.
    raise ValueError("it is not a cluster; expected local:N, tcp://HOST:PORT or tls://HOST:PORT")


def base_url(text: str) -> str:
    """Leaf's base URL in one spelling, so that one Leaf has one name: no trailing slash, lower-case host."""
    try:
        parts = urlsplit(text.strip())
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ValueError("it is not a URL, such as https://api.withleaf.io") from None
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\x00-\x1f\\]", text.strip()):
        raise ValueError("it is not a URL, such as https://api.withleaf.io")
    if any(not 0 < len(label) < 64 for label in host.removesuffix(".").split(".")):
        raise ValueError("it is not a URL: no server can have such a name")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a user name or password; these go into LEAF_USERNAME and LEAF_PASSWORD")
    if "?" in text or "#" in text:
        raise ValueError("it holds a query or a fragment (? or #); the plain address is wanted")
    if parts.scheme == "http" and not is_this_machine(host):
        raise ValueError(f"plain http to {host} would expose every secret; use https")
    shown = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    at = "" if port in (None, default) else f":{port}"
    return f"{parts.scheme}://{shown}{at}{parts.path.rstrip('/')}"


def is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def file_name(value: object) -> object:
    """The path of a file to read or to write, not the empty text of an unset variable."""
    if isinstance(value, str | Path) and not Path(value).name:
        raise ValueError(f"{str(value)!r} is not the name of a file")
    return possible_path(value)


def possible_path(value: object) -> object:
    """Raise for a path that the system cannot have; return other values unchanged."""
    if isinstance(value, str | Path):
        try:
            encoded = os.fsencode(value)
        except UnicodeEncodeError:
            encoded = b"\0"
        if b"\0" in encoded:
            raise ValueError(f"{str(value)!a} cannot be the name of a file")
    return value


def refuse_placeholder(name: str, text: str, kind: str = "setting") -> None:
    """Raise UsageError for a placeholder: it would be sent for every grower. ``kind``: see rules.toml."""
    if text and find_problem(text, kind):
        raise UsageError(f"{name} is a placeholder (such as your-secret or TODO); set the real value")


def refuse_control_characters(name: str, text: str) -> None:
    """Raises UsageError if the setting of this name holds one."""
    if any(ord(character) < 32 for character in text):
        raise UsageError(f"{name} holds a line break or another control character; was it cut off?")
