"""Whether a worker is set up as the leader is: told by keyed digests, so that no setting travels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

from bulk_onboard.domain.providers import Provider
from bulk_onboard.settings import Settings


def marks_of(settings: Settings, providers: Iterable[Provider], key: bytes, owner: str) -> dict[str, str]:
    """A digest of each setting that must be the same everywhere. ``key`` is the ledger's, ``owner`` the API
    owner's name. In the sandbox there is nothing to mix up.
    """
    if settings.sandbox is not None:
        return {}
    return {name: _mark(name, text, key) for name, text in _settings(settings, providers, owner)}


def differing(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """The names of the settings that are not the same on both sides."""
    return [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]


def _settings(settings: Settings, providers: Iterable[Provider], owner: str) -> Iterator[tuple[str, str]]:
    yield "LEAF_BASE_URL", settings.leaf.base_url
    yield "the login (LEAF_USERNAME or LEAF_TOKEN)", owner
    for provider in providers:
        for field in provider.app_fields:
            secret = settings.app_of(provider.name).get(field.name)
            yield provider.setting(field), secret.reveal() if secret else ""


def _mark(name: str, text: str, key: bytes) -> str:
    return blake2b(f"{name}\n{text}".encode(), key=key, digest_size=8).hexdigest()
