"""Settings of notification, ping and metrics. An address is a secret, so an option should name a variable."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from bulk_onboard import settings as s
from bulk_onboard.domain.model import Secret
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import parse

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Messages to these need no secret unless there is a password in the address.
_OPEN = {"json", "jsons", "xml", "xmls", "form", "forms", "syslog", "dbus", "gnome", "macosx", "windows"}


class Given(Protocol):
    """The options."""

    @property
    def notify(self) -> tuple[str, ...]: ...
    @property
    def notify_when(self) -> s.NotifyWhen: ...
    @property
    def ping(self) -> str | None: ...
    @property
    def metrics(self) -> Path | None: ...


class Surroundings(Protocol):
    """The settings from the environment and the files."""

    @property
    def bulk_onboard_notify(self) -> SecretStr | None: ...
    @property
    def bulk_onboard_ping(self) -> SecretStr | None: ...


def settings(given: Given, surroundings: Surroundings, warn: Callable[[str], None] | None) -> s.NightSettings:
    """Return the options, and for an address without an option the setting. Raises UsageError.

    ``warn`` gets a line about a secret that the list of processes shows; None where the options are not
    those of a command line.
    """
    notify = [_named(text, "--notify", warn) for text in given.notify] or [
        _text(surroundings.bulk_onboard_notify)
    ]
    ping = _named(given.ping, "--ping", warn) if given.ping else _text(surroundings.bulk_onboard_ping)
    return s.NightSettings(
        notify=tuple(map(Secret, parse.urls(notify))),
        when=given.notify_when,
        ping=Secret(_pinged(ping.strip())) if ping.strip() else None,
        metrics=given.metrics.expanduser() if given.metrics else None,
    )


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _named(text: str, option: str, warn: Callable[[str], None] | None) -> str:
    """Return the address, or the value of the variable of that name."""
    if not _NAME.fullmatch(text):
        if warn and _shows_secret(text, option):
            warn(
                f"the address given to {option} can be read in the list of processes;"
                f" put it into a variable and name that: {option} NAME"
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


def _pinged(url: str) -> str:
    """The address of the ping. The message does not repeat it: its path is a secret."""
    try:
        parts = urlsplit(url)
        host, scheme = parts.hostname or "", parts.scheme.lower()
        _ = parts.port
    except ValueError:
        host = scheme = ""
    if scheme not in {"http", "https"} or not host or _has_blank(url):
        raise UsageError("--ping is not a URL, such as https://hc-ping.com/your-check")
    if scheme == "http" and not parse.is_this_machine(host):
        raise UsageError(f"--ping: plain http to {host} would expose the address; use https")
    return url


def _has_blank(text: Iterable[str]) -> bool:
    return any(character.isspace() for character in text)
