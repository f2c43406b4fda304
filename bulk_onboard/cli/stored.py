"""Settings kept elsewhere: in files, as Docker and Kubernetes hand them over, and in the system's keyring."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bulk_onboard.errors import UsageError

SERVICE = "bulk-onboard"
_LARGEST = 1 << 16


def from_files(names: Iterable[str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the files say that ``NAME_FILE`` leads to, by name; of names that are not set themselves.

    Raises UsageError for a file that cannot be read or is empty: a secret that was meant to be there is not.
    """
    found = {}
    for name in names:
        path = environment.get(f"{name.upper()}_FILE", "").strip()
        if path and not environment.get(name.upper(), "").strip():
            found[name] = _content(f"{name.upper()}_FILE", Path(path).expanduser())
    return found


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


def from_keyring(names: Iterable[str]) -> dict[str, str]:
    """What the keyring holds for the service `SERVICE` under these names. Without a keyring, nothing."""
    if importlib.util.find_spec("keyring") is None:
        return {}
    import keyring  # noqa: PLC0415  (an extra, loaded when used)
    from keyring.errors import KeyringError  # noqa: PLC0415

    found: dict[str, str] = {}
    for name in names:
        try:
            text = keyring.get_password(SERVICE, name.upper())
        except (KeyringError, RuntimeError, OSError):  # locked, or there is none, as under a scheduler
            return found
        if text:
            found[name] = text
    return found
