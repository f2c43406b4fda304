"""Settings in files, as Docker and Kubernetes provide them, and in the system's keyring."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from bulk_onboard.domain.model import Secret
from bulk_onboard.domain.providers import Providers
from bulk_onboard.errors import UsageError

SERVICE = "bulk-onboard"
_LARGEST = 1 << 16


def content(variable: str, path: Path) -> str:
    """Return the secret in a file that a variable names.

    Raises UsageError if it cannot be read or is empty.
    """
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
    """The system's keyring.

    Each name is looked up once per process, and no name after a refusal, because each lookup may open a
    dialog.
    """

    _known: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self._refuses = importlib.util.find_spec("keyring") is None

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """Return the secrets with these names in the service `SERVICE`; none if there is no keyring."""
        return {name: text for name in names if (text := self._value(name))}

    def _value(self, name: str) -> str:
        if name not in self._known and not self._refuses:
            import keyring  # noqa: PLC0415  (an extra, loaded when used)
            from keyring.errors import KeyringError  # noqa: PLC0415

            try:
                self._known[name] = keyring.get_password(SERVICE, name) or ""
            except (KeyringError, RuntimeError, OSError):  # locked, or there is none, as under a scheduler
                self._refuses = True
        return self._known.get(name, "")


class AppFields(Mapping[str, Mapping[str, Secret]]):
    """App fields by provider.

    The fields of a provider are looked up in the keyring when they are first needed.
    """

    def __init__(
        self, providers: Providers, known: Mapping[str, Mapping[str, Secret]], keyring: Keyring
    ) -> None:
        self._providers, self._keyring = providers, keyring
        self._known, self._complete = dict(known), dict[str, Mapping[str, Secret]]()

    def __getitem__(self, name: str) -> Mapping[str, Secret]:
        """Raises KeyError for an unknown provider."""
        if name not in self._complete:
            provider, known = self._providers[name], self._known.get(name, {})
            missing = {provider.setting(f): f.name for f in provider.app_fields if f.name not in known}
            stored = self._keyring.values(missing)
            self._complete[name] = {
                **known,
                **{missing[n]: Secret(text.strip()) for n, text in stored.items()},
            }
        return self._complete[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._providers)

    def __len__(self) -> int:
        return len(self._providers)
