"""``bulk-onboard providers [NAME]``."""

from __future__ import annotations

import click

from bulk_onboard.cli import parse
from bulk_onboard.cli.options import parsed
from bulk_onboard.providers import PROVIDERS, Field, Provider

_EPILOG = """\b
Examples:
  bulk-onboard providers
  bulk-onboard providers raven
"""


@click.command("providers", epilog=_EPILOG)
@click.argument("name", required=False, callback=parsed(parse.provider))
def command(name: str | None) -> int:
    """Show the providers, or the columns and the settings of one."""
    click.echo(described(PROVIDERS[name]) if name else listed())
    return 0


def listed() -> str:
    """Every provider with its columns and its settings."""
    return "\n\n".join(_brief(provider) for provider in PROVIDERS.values())


def _brief(provider: Provider) -> str:
    columns = ", ".join(["leafUserId", *(field.name for field in provider.grower_fields)])
    needed = ", ".join(provider.setting(field) for field in provider.app_fields)
    return f"{provider.name}  ({provider.title})\n  columns   {columns}\n  settings  {needed}"


def described(provider: Provider) -> str:
    """One provider at length."""
    user = "  leafUserId: the ID of the grower's Leaf user, a UUID"
    columns = [user, *(f"  {_told(field, field.name)}" for field in provider.grower_fields)]
    settings = [
        f"  {_told(field, provider.setting(field))} (or a column {field.name})"
        for field in provider.app_fields
    ]
    return "\n".join(
        [f"{provider.title}: --provider {provider.name}", "", "Columns", *columns, "", "Settings", *settings]
    )


def _told(field: Field, name: str) -> str:
    parts = [field.help] if field.help else []
    parts += [] if field.required else ["optional"]
    parts += [f"one of {', '.join(field.allowed)}"] if field.allowed else []
    parts += [f"such as {field.example}"] if field.example else []
    return f"{name}: {'; '.join(parts)}" if parts else name
