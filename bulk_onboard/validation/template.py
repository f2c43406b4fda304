"""The columns of a file to fill in, from the table of providers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bulk_onboard.domain.providers import Field, Provider, Scope
from bulk_onboard.validation.columns import LEAF_USER_ID

_USER = Field(
    LEAF_USER_ID,
    Scope.GROWER,
    secret=False,
    help="the ID of the grower's Leaf user, a UUID of 36 characters",
    example="7d1f3c2a-5b8e-4e6d-9a41-2c8b6f0e9d17",
)


def _of_user(name: str, help_text: str, example: str, *, required: bool = False) -> Field:
    return Field(name, Scope.GROWER, secret=False, required=required, help=help_text, example=example)


_USER_COLUMNS = (
    _of_user(
        "externalId", "your own ID of the grower, by which the Leaf user is looked up first", "GROWER-0001"
    ),
    _of_user("email", "the grower's email, by which the Leaf user is looked up then", "ada@example.com"),
    _of_user("name", "the grower's name, needed where there is no Leaf user yet", "Ada Ackermann"),
    _of_user("phone", "the grower's phone number, for a new Leaf user", "+49 30 5550101"),
    _of_user("address", "the grower's address, for a new Leaf user", "Am Feld 1, 14979 Grossbeeren"),
)


@dataclass(frozen=True, slots=True)
class TemplateColumn:
    """One column: its header, what to say of it, and the only values it takes, if there are such."""

    name: str
    words: tuple[str, ...]
    allowed: tuple[str, ...]


def template_columns(
    provider: Provider, *, app_fields: bool = False, users: bool = False
) -> tuple[TemplateColumn, ...]:
    """Return the columns to fill in. ``app_fields``: also those that usually come from the settings.

    ``users``: also those for growers that may not have a Leaf user yet.
    """
    first = (replace(_USER, required=False), *_USER_COLUMNS) if users else (_USER,)
    fields = (*first, *provider.grower_fields, *(provider.app_fields if app_fields else ()))
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
