"""``bulk-onboard providers [NAME]``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import Any

import click

from bulk_onboard.cli import completion, options
from bulk_onboard.domain.providers import Field, Provider, Providers
from bulk_onboard.settings import config_file, parse

LINE = 80  # columns
_EPILOG = """\b
Examples:
  bulk-onboard providers
  bulk-onboard providers john-deere

\b
Define a provider that is not built in, in bulk-onboard.toml:
  [providers.my-terminal]
  path = "my-terminal-credentials"
  fields = [
    { name = "apiKey", scope = "app" },
    { name = "refreshToken", scope = "grower" },
  ]
"""


@click.command("providers", cls=options.Command, epilog=_EPILOG)
@click.argument("name", required=False, shell_complete=completion.providers)
@options.config
@options.plain_json
def command(name: str | None, config: Path | None, *, as_json: bool) -> int:
    """Show the providers, or the columns and the settings of one."""
    providers = config_file.read(config).providers
    if as_json:
        one = providers[_named(name, providers)] if name else None
        data = as_data(one) if one else [as_data(provider) for provider in providers.values()]
        click.echo(json.dumps(data, indent=2))
        return 0
    click.echo(described(providers[_named(name, providers)]) if name else listed(providers))
    return 0


def _named(name: str, providers: Providers) -> str:
    try:
        return parse.provider(name, providers)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def as_data(provider: Provider) -> dict[str, Any]:
    """Return what ``--json`` prints about a provider."""
    return {
        "name": provider.name,
        "title": provider.title,
        "columns": [_field_data(field, field.name) for field in provider.grower_fields],
        "settings": [_field_data(field, provider.setting(field)) for field in provider.app_fields],
    }


def _field_data(field: Field, name: str) -> dict[str, Any]:
    data = {"name": name, "field": field.name, "required": field.required, "secret": field.secret}
    return {**data, "allowed": list(field.allowed), "help": field.help}


def listed(providers: Providers) -> str:
    """Return a list of all providers with their columns and settings."""
    width = max(map(len, providers)) + 2
    lines = [line for provider in providers.values() for line in _brief(provider, width)]
    title = f"{'provider':{width}}columns besides leafUserId; below them, the settings"
    return "\n".join([title, "", *lines, "", "`bulk-onboard providers NAME` explains each of them."])


def _brief(provider: Provider, width: int) -> Iterator[str]:
    columns = (field.name + ("" if field.required else " (optional)") for field in provider.grower_fields)
    settings = (provider.setting(field) for field in provider.app_fields)
    lines = [line for names in (columns, settings) for line in wrap(", ".join(names), LINE - width)]
    for name, line in zip_longest([provider.name], lines, fillvalue=""):
        yield f"{name:{width}}{line}"


def described(provider: Provider) -> str:
    """Return the full description of a provider."""
    user = "  leafUserId: the ID of the grower's Leaf user, a UUID"
    columns = [user, *(f"  {_explained(field, field.name)}" for field in provider.grower_fields)]
    settings = [
        f"  {_explained(field, provider.setting(field))} (or a column {field.name})"
        for field in provider.app_fields
    ]
    return "\n".join(
        [
            f"{provider.title}: --provider {provider.name}",
            *("", "Columns", *columns),
            *("", "Settings", *(settings or ["  none"])),
        ]
    )


def _explained(field: Field, name: str) -> str:
    parts = [field.help] if field.help else []
    parts += [] if field.required else ["optional"]
    parts += [f"{' or '.join(field.allowed)}"] if field.allowed else []
    parts += [f"such as {field.example}"] if field.example and not field.allowed else []
    return f"{name}: {'; '.join(parts)}" if parts else name
