"""Parsers for the texts of options and settings. Every parser raises ValueError with a message for people."""

from __future__ import annotations

import codecs
import csv
import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bulk_onboard.domain.model import Secret
from bulk_onboard.domain.providers import Providers, find_provider
from bulk_onboard.domain.providers import did_you_mean as did_you_mean  # noqa: PLC0414  (for other modules)
from bulk_onboard.settings.ledger_url import ledger as ledger  # noqa: PLC0414  (is one of these functions)
from bulk_onboard.validation.rules import find_problem

FORMATS = ("csv", "html", "parquet", "jsonl")
# Python codecs that are not encodings of text files.
_NOT_OF_FILES = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
_NUMBER = r"\d+(?:\.\d+)?|\.\d+"
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_PER_SECOND = {"sec": 1.0, "second": 1.0, "minute": 60.0, "hour": 3600.0, "s": 1.0, "m": 60.0}
_PER_SECOND |= {"min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class RowLimit:
    """A number of rows, or a share of the rows (0 to 1)."""

    count: int | None = None
    share: float | None = None

    def passed(self, number: int, rows: int) -> bool:
        """Return whether ``number`` of ``rows`` rows exceed the limit."""
        if self.count is not None:
            return number > self.count
        return self.share is not None and number > self.share * rows + 1e-9  # 29 % of 100 is 28.99…


@dataclass(frozen=True, slots=True)
class Local:
    """A number of worker processes on this machine."""

    workers: int


@dataclass(frozen=True, slots=True)
class Remote:
    """A running cluster, by the address of its scheduler: ``tcp://…`` or ``tls://…``."""

    address: str


Cluster = Local | Remote


def provider(value: str, providers: Providers) -> str:
    """Return the name of one of these providers, without regard to case, spaces, ``_`` and ``-``."""
    if (result := find_provider(providers, str(value))) is None:
        close = did_you_mean(str(value).strip().lower(), providers)
        raise ValueError(f"{value!r} is not a provider{close}; choose from {', '.join(providers)}")
    return result.name


def flag(value: object) -> bool:
    """Return a boolean as it is; texts and numbers are refused."""
    if not isinstance(value, bool):
        raise ValueError("it is neither true nor false")
    return value


def number_from(least: int) -> Callable[[object], int]:
    """Return a parser for whole numbers of at least ``least``."""

    def parse(value: object) -> int:
        text = str(value).strip()
        if isinstance(value, bool | float) or not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < least:
            raise ValueError(f"{str(value)!r} is not a whole number of {least} or more")
        return int(text)

    return parse


def text(value: object) -> str:
    """Return a text unchanged."""
    if not isinstance(value, str):
        raise ValueError("it is not a text")
    return value


def rate(value: str | float) -> float:
    """Parse requests per second: ``10``, ``5/s``, ``600/min``, ``3600/h``; ``0`` means no ceiling."""
    match = re.fullmatch(rf"({_NUMBER})\s*(?:/\s*([a-z]+))?", str(value).strip().lower())
    unit = (match and match[2]) or "s"
    if isinstance(value, bool) or not match or unit not in _PER_SECOND:
        raise ValueError(f"{str(value)!r} is not a rate, such as 10, 5/s, 600/min or 3600/h (0: no ceiling)")
    return float(match[1]) / _PER_SECOND[unit]


def sheets(value: object) -> tuple[str, ...]:
    """Parse one sheet name or several; ``*`` means all sheets."""
    names = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError("the name of a sheet is a text, such as Growers, or '*' for all sheets")
    return names


def encoding(value: str) -> str:
    """Return the name of a text encoding, in Python's spelling."""
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
            f"{name!r} is not a text encoding; use one that Python supports, such as utf-8, cp1252, cp1251 or"
            " cp850"
        ) from None
    return codec


def seconds(value: str | float) -> float:
    """Parse a duration in seconds, or with a unit: ``30``, ``30s``, ``2m``, ``500ms``."""
    match = re.fullmatch(rf"({_NUMBER})\s*([a-z]*)", str(value).strip().lower())
    if isinstance(value, bool) or not match or match[2] not in _SECONDS:
        raise ValueError(f"{str(value)!r} is not a duration, such as 30, 30s or 2m")
    return float(match[1]) * _SECONDS[match[2]]


def timeout(value: str | float) -> float:
    """Parse a duration greater than 0."""
    if (length := seconds(value)) > 0:
        return length
    raise ValueError("a timeout of 0 gives Leaf no time to answer; try 30")


def age(value: str | timedelta) -> timedelta:
    """Parse an age: ``7d``, ``36h``, ``90m``."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(rf"({_NUMBER})\s*([dhm])", str(value).strip().lower())
    if not match or not 0 < (length := float(match[1])) < 10_000:
        raise ValueError(f"{str(value)!r} is not an age, such as 7d or 36h")
    return timedelta(**{{"d": "days", "h": "hours", "m": "minutes"}[match[2]]: length})


def row_limit(value: str | int | RowLimit) -> RowLimit:
    """Parse a limit: ``20`` rows, or ``5%`` of the rows."""
    if isinstance(value, RowLimit):
        return value
    match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)\s*%", str(value).strip())
    if isinstance(value, bool) or not match or (match[2] and float(match[2]) > 100):
        raise ValueError(f"{str(value)!r} is neither a number of rows, such as 20, nor a share, such as 5%")
    return RowLimit(int(match[1])) if match[1] else RowLimit(share=float(match[2]) / 100)


def names(value: str | Iterable[str]) -> tuple[str, ...]:
    """Parse comma-separated names without repeats; a name with a comma must be in double quotes.

    Names in a list are used unchanged.
    """
    _refuse_other_than_texts(value)
    try:
        cells = next(csv.reader([value], skipinitialspace=True), []) if isinstance(value, str) else value
    except csv.Error:
        raise ValueError(f"{value!r} is not a list of names, such as name,region") from None
    stripped = (cell.strip() for cell in cells)
    return tuple(dict.fromkeys(cell for cell in stripped if cell))


def formats(value: str | Iterable[str]) -> tuple[str, ...]:
    """Parse the names of formats of the results."""
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
    _refuse_other_than_texts([*value, *value.values()] if isinstance(value, Mapping) else value)
    texts = [value] if isinstance(value, str) else value
    pairs = list(value.items()) if isinstance(value, Mapping) else [_pair(text) for text in texts]
    result: dict[str, str] = {}
    for field, column in pairs:
        if result.setdefault(field, column) != column:
            raise ValueError(f"{field} is mapped to two columns, {result[field]!r} and {column!r}")
    return result


def _refuse_other_than_texts(value: object) -> None:
    """Raise ValueError if a TOML file has another type, such as a number, in place of a text."""
    if not isinstance(value, Iterable) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{value!r} is not a text or a list of texts")


def _pair(text: str) -> tuple[str, str]:
    field, equals, column = text.partition("=")
    if not (equals and field.strip() and column.strip()):
        raise ValueError(f"{text!r} is not FIELD=COLUMN, such as refreshToken='Raven token'")
    return field.strip(), column.strip()


def cluster(value: str | Cluster) -> Cluster:
    """Parse ``local:4`` (processes on this machine), ``tcp://…`` or ``tls://…`` (a running scheduler)."""
    if isinstance(value, Local | Remote):
        return value
    text = str(value).strip()
    scheme, _, rest = text.partition(":")
    if scheme == "local" and rest.isascii() and rest.isdigit() and int(rest) > 0:
        return Local(int(rest))
    if scheme in {"tcp", "tls"} and rest.startswith("//") and urlsplit(text).hostname and "@" not in rest:
        return Remote(text)
    # The message does not quote the text: it may contain a password.
    raise ValueError("it is not a cluster; expected local:N, tcp://HOST:PORT or tls://HOST:PORT")


def base_url(text: str) -> str:
    """Return Leaf's base URL in its normal form, so that the same Leaf always has the same URL.

    It has no trailing slash and a lower-case host.
    """
    if not isinstance(text, str):
        raise ValueError("it is not a URL, such as https://api.withleaf.io")
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
        raise ValueError("it contains a user name or a password; set LEAF_USERNAME and LEAF_PASSWORD instead")
    if "?" in text or "#" in text:
        raise ValueError("it contains a query or a fragment (? or #); use the address without them")
    if parts.scheme == "http" and not is_this_machine(host):
        raise ValueError(f"plain http to {host} would expose every secret; use https")
    shown = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    at = "" if port in (None, default) else f":{port}"
    return f"{parts.scheme}://{shown}{at}{parts.path.rstrip('/')}"


def is_this_machine(host: str) -> bool:
    """Return whether a host name refers to this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def ping_url(value: object) -> Secret:
    """Parse the URL of a ping. The error message does not repeat it: its path is a secret."""
    text = value.reveal() if isinstance(value, Secret) else value
    url = text.strip() if isinstance(text, str) else ""
    try:
        parts = urlsplit(url)
        host, scheme, _ = parts.hostname or "", parts.scheme.lower(), parts.port
    except ValueError:
        host = scheme = ""
    if scheme not in {"http", "https"} or not host or re.search(r"\s", url):
        raise ValueError("it is not a URL, such as https://hc-ping.com/your-check")
    if scheme == "http" and not is_this_machine(host):
        raise ValueError(f"plain http to {host} would expose the address; use https")
    return Secret(url)


def addresses(value: object) -> tuple[Secret, ...]:
    """Parse Apprise URLs, from a text or a list.

    The error message does not repeat them: they contain secrets.
    """
    texts: Iterable[Any] = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    try:
        return tuple(map(Secret, urls([t.reveal() if isinstance(t, Secret) else t for t in texts])))
    except ValueError:
        raise ValueError("it is not a text or a list of texts") from None


def file_name(value: object) -> Path:
    """Return the path of a file to read or to write; an empty text (an unset variable) is refused."""
    if isinstance(value, str | Path) and not Path(value).name:
        raise ValueError(f"{str(value)!r} is not the name of a file")
    return path(value)


def existing_file(value: object) -> Path:
    """Return the path of a file that exists."""
    if not (file := file_name(value)).is_file():
        raise ValueError(f"there is no file {str(file)!r}")
    return file


def path(value: object) -> Path:
    """Return a path that the operating system allows."""
    if not isinstance(value, str | Path):
        raise ValueError("it is not a path")
    try:
        encoded = os.fsencode(value)
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        raise ValueError(f"{str(value)!a} cannot be the name of a file")
    return Path(value).expanduser()


def secret(value: object) -> Secret:
    """Return a secret without surrounding spaces. No message repeats it."""
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("this is not a text")
    refuse_control_characters(value.strip())
    return Secret(value.strip())


def app_field(value: object) -> Secret:
    """Return an app field unchanged; `requirements` checks it when it is needed."""
    return value if isinstance(value, Secret) else Secret(text(value).strip())


def token(value: object) -> Secret:
    """Return the token of our login, without a scheme such as "Bearer"."""
    stripped = re.sub(r"\A(Authorization:\s*)?Bearer\s+", "", secret(value).reveal(), flags=re.IGNORECASE)
    if not re.fullmatch(r"[!-~]+", stripped):
        raise ValueError("this contains a character that no token contains, such as “; was it cut off?")
    refuse_placeholder(stripped)
    return Secret(stripped)


def username(value: object) -> str:
    """Return the user name of our login."""
    name = secret(value).reveal()
    refuse_placeholder(name, "login name")
    return name


def password(value: object) -> Secret:
    """Return the password of our login."""
    hidden = secret(value)
    refuse_placeholder(hidden.reveal(), "login password")
    return hidden


def refuse_placeholder(text: str, kind: str = "setting") -> None:
    """Refuse a placeholder, which would be sent for every grower. ``kind``: see rules.toml."""
    if text and find_problem(text, kind):
        raise ValueError("this is a placeholder (such as your-secret or TODO); set the real value")


def refuse_control_characters(text: str) -> None:
    """Refuse a text with a line break or another control character."""
    if any(ord(character) < 32 for character in text):
        raise ValueError("this contains a line break or another control character; was it cut off?")
