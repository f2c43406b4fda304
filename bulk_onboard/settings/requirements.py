"""Which settings a run needs: all that are missing are named before it starts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bulk_onboard.domain.providers import Provider
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import Login, Settings, config_file, parse


def _refuse_unusable(settings: Settings, provider: Provider) -> None:
    """Refuse app fields that can never be sent. No value is shown: it may be a secret in the wrong place."""
    for field in provider.app_fields:
        text = secret.reveal() if (secret := settings.app_of(provider.name).get(field.name)) else ""
        parse.refuse_control_characters(provider.setting(field), text)
        parse.refuse_placeholder(provider.setting(field), text)
        if text and field.allowed and text not in field.allowed:
            raise UsageError(f"{provider.setting(field)} is neither {' nor '.join(field.allowed)}")


def missing_settings(
    settings: Settings, providers: Sequence[Provider], header_fields: Collection[str]
) -> list[str]:
    """What a run still needs, by name.

    ``providers``: those that rows are sent to; ``header_fields`` have a column in the file.
    """
    missing = _missing_login(settings.leaf.login) if settings.sandbox is None else []
    for provider in providers:
        asked = [f for f in provider.app_fields if f.required and f.name not in header_fields]
        missing += [provider.setting(f) for f in asked if f.name not in settings.app_of(provider.name)]
    return missing


def _missing_login(login: Login) -> list[str]:
    if login.complete:
        return []
    if login.username:
        return ["LEAF_PASSWORD (or LEAF_TOKEN)"]
    return [
        "LEAF_USERNAME (or LEAF_TOKEN)"
        if login.password
        else "LEAF_TOKEN (or LEAF_USERNAME and LEAF_PASSWORD)"
    ]


def require(
    settings: Settings, providers: Sequence[Provider] = (), header_fields: Collection[str] = ()
) -> None:
    """Refuse to start with settings missing, and name them all."""
    for provider in providers:
        _refuse_unusable(settings, provider)
    missing = missing_settings(settings, providers, header_fields)
    if missing:
        verb = "setting is" if len(missing) == 1 else "settings are"
        raise UsageError(
            f"{len(missing)} {verb} missing: {', '.join(missing)}. Set them in the environment, in .env or "
            f"in {config_file.DEFAULT_FILE}; to practise without any, add --sandbox"
        )
