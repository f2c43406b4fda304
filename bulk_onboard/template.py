"""The columns of a file to fill in, from the table of providers."""

from __future__ import annotations

from dataclasses import dataclass

from bulk_onboard.header import LEAF_USER_ID
from bulk_onboard.providers import Field, Provider, Scope

_USER = Field(
    LEAF_USER_ID,
    Scope.GROWER,
    secret=False,
    help="the ID of the grower's Leaf user, a UUID of 36 characters",
    example="0b9cd62b-4f4d-4c0a-9f0e-1f8f8d0f5a11",
)


@dataclass(frozen=True, slots=True)
class TemplateColumn:
    """One column: its header, what to say of it, and the only values it takes, if there are such."""

    name: str
    words: tuple[str, ...]
    allowed: tuple[str, ...]


def template_columns(provider: Provider, *, app_fields: bool = False) -> tuple[TemplateColumn, ...]:
    """The columns to fill in, in order. ``app_fields``: with those that usually come from the settings."""
    fields = (_USER, *provider.grower_fields, *(provider.app_fields if app_fields else ()))
    return tuple(TemplateColumn(f.name, _words(f, provider), f.allowed) for f in fields)


def _words(field: Field, provider: Provider) -> tuple[str, ...]:
    parts = [f"{field.help[:1].upper()}{field.help[1:]}."] if field.help else []
    if field.allowed:
        parts.append(f"One of {', '.join(field.allowed)}.")
    if field.scope is Scope.APP:
        parts.append(f"May stay empty if {provider.setting(field)} is set.")
    elif not field.required:
        parts.append("May stay empty.")
    if field.example:
        parts.append(f"For example {field.example}")
    return tuple(parts)
