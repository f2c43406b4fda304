"""Settings kept elsewhere: in files, as Docker and Kubernetes hand them over, and in the system's keyring."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from bulk_onboard.errors import UsageError

SERVICE = "bulk-onboard"
_LARGEST = 1 << 16


def from_files(names: Iterable[str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the files say that ``NAME_FILE`` leads to, by name; of names that are not set themselves.

    Raises UsageError for a file that cannot be read or is empty: a secret that was meant to be there is not.
    """
    secrets = {}
    for name in names:
        path = environment.get(f"{name.upper()}_FILE", "").strip()
        if path and not environment.get(name.upper(), "").strip():
            secrets[name] = _content(f"{name.upper()}_FILE", Path(path).expanduser())
    return secrets


def _content(variable: str, path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(_LARGEST).strip()
    except OSError as error:
        raise UsageError(f"{variable}: {path} cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise UsageError(f"{variable}: {path} is not text in UTF-8") from None
    if not text:
        raise UsageError(f"{variable}: {path} is empty")
    return text


class Keyring:
    """The system's keyring, for one loading of the settings.

    It is asked once for each name in the life of the process, and no more once it refuses: each question may
    open a dialog.
    """

    _known: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self._refuses = importlib.util.find_spec("keyring") is None

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """Return what it holds for the service `SERVICE` under these names. Without a keyring, nothing."""
        return {name: text for name in names if (text := self._value(name.upper()))}

    def _value(self, name: str) -> str:
        if name not in self._known and not self._refuses:
            import keyring  # noqa: PLC0415  (an extra, loaded when used)
            from keyring.errors import KeyringError  # noqa: PLC0415

            try:
                self._known[name] = keyring.get_password(SERVICE, name) or ""
            except (KeyringError, RuntimeError, OSError):  # locked, or there is none, as under a scheduler
                self._refuses = True
        return self._known.get(name, "")
