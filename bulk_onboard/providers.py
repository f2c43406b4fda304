"""The providers Leaf can connect, as data. Adding one is adding one entry.

Everything else derives from this table: validation, payload, names of settings, sandbox routes, the
``providers`` command. Facts are from Leaf's public API documentation (docs.withleaf.io, 2026).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Scope(StrEnum):
    """Whose a field is: the customer's application (same for every row) or one grower's."""

    APP = "app"
    GROWER = "grower"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a credentials payload.

    ``secret`` fields make up the fingerprint and are masked everywhere; ``allowed`` lists the only
    values Leaf takes, empty for free text.
    """

    name: str
    scope: Scope
    secret: bool = True
    required: bool = True
    allowed: tuple[str, ...] = ()
    help: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: where its credentials live and what they are made of.

    ``path`` is the last segment of ``/users/{leafUserId}/{path}``; ``embedded`` is the key under which
    a Leaf user shows these credentials.
    """

    name: str
    title: str
    path: str
    embedded: str
    fields: tuple[Field, ...]

    @property
    def app_fields(self) -> tuple[Field, ...]:
        """Fields of the customer's application: from a column of that name, else from the settings."""
        return tuple(f for f in self.fields if f.scope is Scope.APP)

    @property
    def grower_fields(self) -> tuple[Field, ...]:
        """Fields that differ per row: always columns of the file."""
        return tuple(f for f in self.fields if f.scope is Scope.GROWER)

    def setting(self, field: Field) -> str:
        """Name of the environment variable of an app field, e.g. ``RAVEN_CLIENT_ID``."""
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field.name)
        return f"{self.name.replace('-', '_')}_{words}".upper()


def _app(name: str, **more: object) -> Field:
    return Field(name, Scope.APP, **more)  # type: ignore[arg-type]


def _grower(name: str, **more: object) -> Field:
    return Field(name, Scope.GROWER, **more)  # type: ignore[arg-type]


_TABLE = (
    Provider(
        name="raven",
        title="Raven",
        path="raven-credentials",
        embedded="ravenCredentials",
        fields=(
            _app("clientId", secret=False, help="client ID of your Raven OAuth application"),
            _app("clientSecret", help="client secret of your Raven OAuth application"),
            _grower("refreshToken", help="the grower's OAuth refresh token", example="rt-4f1c9a…"),
        ),
    ),
    Provider(
        name="raven-slingshot",
        title="Raven Slingshot",
        path="raven-slingshot-credentials",
        embedded="ravenSlingshotCredentials",
        fields=(
            _app("apiKey", help="API key of your Slingshot application"),
            _app("sharedSecret", help="shared secret of your Slingshot application"),
            _grower("accessKey", help="the access key issued for this grower", example="ak-77d0e2…"),
        ),
    ),
)

PROVIDERS: Mapping[str, Provider] = MappingProxyType({p.name: p for p in _TABLE})
