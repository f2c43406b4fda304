"""The settings that a run needs: an error before the start names all that are missing or unusable."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from bulk_onboard.domain.providers import Provider
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import Login, Settings, config_file, parse


def require(
    settings: Settings, providers: Sequence[Provider] = (), header_fields: Collection[str] = ()
) -> None:
    """Raise a UsageError that names all missing and unusable settings, if there are any.

    ``providers``: the providers of the rows; ``header_fields``: fields that have a column in the file.
    """
    problems = [problem for provider in providers for problem in _unusable(settings, provider)]
    if missing := missing_settings(settings, providers, header_fields):
        verb = "setting is" if len(missing) == 1 else "settings are"
        problems.append(
            f"{len(missing)} {verb} missing: {', '.join(missing)}. Set them in the environment, in .env or "
            f"in {config_file.DEFAULT_FILE}; to practise without any, add --sandbox"
        )
    if problems:
        raise UsageError("; ".join(problems))


def _unusable(settings: Settings, provider: Provider) -> Iterator[str]:
    """Yield problems of app fields. No value is shown: it may be a secret in the wrong place."""
    for field in provider.app_fields:
        name = provider.setting(field)
        text = secret.reveal() if (secret := settings.app_of(provider.name).get(field.name)) else ""
        try:
            parse.refuse_control_characters(text)
            parse.refuse_placeholder(text)
        except ValueError as error:
            yield f"{name}: {error}"
        else:
            if text and field.allowed and text not in field.allowed:
                yield f"{name} is neither {' nor '.join(field.allowed)}"


def missing_settings(
    settings: Settings, providers: Sequence[Provider], header_fields: Collection[str]
) -> list[str]:
    """Return the names of the settings that a run still needs, see `require`."""
    missing = _missing_login(settings.leaf.login) if settings.sandbox is None else []
    for provider in providers:
        required = [f for f in provider.app_fields if f.required and f.name not in header_fields]
        missing += [provider.setting(f) for f in required if f.name not in settings.app_of(provider.name)]
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
