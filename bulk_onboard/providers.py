"""The providers Leaf can connect, as data. Adding one is adding one entry, and its sample.

Everything else derives from this table: validation, payload, fingerprints, names of settings, sandbox routes,
the ``providers`` command. Facts are from Leaf's public API documentation (docs.withleaf.io, 2026).
`PROVIDERS` are those built in; users add their own (see `custom`), so whoever needs providers is handed them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

ENVIRONMENT = "clientEnvironment"


class Scope(StrEnum):
    """Whose a field is: the customer's application (same for every row) or one grower's."""

    APP = "app"
    GROWER = "grower"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a credentials payload.

    ``secret`` fields are masked everywhere; ``allowed`` lists the only values Leaf takes, empty for any text.
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
        """Fields that differ per row: always columns of the file. All of them make up a row's fingerprint."""
        return tuple(f for f in self.fields if f.scope is Scope.GROWER)

    def setting(self, field: Field) -> str:
        """Name of the environment variable of an app field, e.g. ``RAVEN_CLIENT_ID``."""
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field.name)
        return f"{self.name.replace('-', '_')}_{words}".upper()

    @property
    def environment(self) -> Field | None:
        """The field that says which of the provider's environments is meant, None if there is but one."""
        return next((field for field in self.fields if field.name == ENVIRONMENT), None)


Providers = Mapping[str, Provider]


def plain(name: str) -> str:
    """A provider's name without what does not matter in it: ``John_Deere`` is ``john-deere``."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def find(providers: Providers, spelled: str) -> Provider | None:
    """The provider of this name, however it is spelled; None if there is none."""
    return next((each for name, each in providers.items() if plain(name) == plain(spelled)), None)


def near(word: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` where one of the known words is close, else nothing."""
    import difflib  # noqa: PLC0415  (only a mistyped word needs it)

    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _app(name: str, told: str, *, secret: bool = True) -> Field:
    return Field(name, Scope.APP, secret, help=told)


def _grower(name: str, told: str, example: str, *, secret: bool = True, required: bool = True) -> Field:
    return Field(name, Scope.GROWER, secret, required, help=told, example=example)


# Leaf takes it for STAGE where it is left out of some, which would make a production run a silent no-op:
# so here nobody may leave it out.
_ENVIRONMENT = Field(
    ENVIRONMENT,
    Scope.APP,
    secret=False,
    allowed=("STAGE", "PRODUCTION"),
    help="the environment of your application at the provider",
    example="PRODUCTION",
)
_REFRESH_TOKEN = _grower("refreshToken", "the grower's OAuth refresh token", "rt-4f1c9a…")
_USERNAME = _grower("username", "the grower's user name at the provider", "grower@example.com", secret=False)
_PASSWORD = _grower("password", "the grower's password at the provider", "correct horse…")


def _oauth(at: str) -> tuple[Field, Field]:
    return (
        _app("clientId", f"client ID of your {at} OAuth application", secret=False),
        _app("clientSecret", f"client secret of your {at} OAuth application"),
    )


def _cnh(at: str) -> tuple[Field, ...]:
    key = _app("subscriptionKey", f"subscription key of your {at} application")
    return (*_oauth(at), key, _ENVIRONMENT, _REFRESH_TOKEN)


_TABLE = (
    Provider(
        name="raven",
        title="Raven",
        path="raven-credentials",
        embedded="ravenCredentials",
        fields=(*_oauth("Raven"), _REFRESH_TOKEN),
    ),
    Provider(
        name="raven-slingshot",
        title="Raven Slingshot",
        path="raven-slingshot-credentials",
        embedded="ravenSlingshotCredentials",
        fields=(
            _app("apiKey", "API key of your Slingshot application"),
            _app("sharedSecret", "shared secret of your Slingshot application"),
            _grower("accessKey", "the access key issued for this grower", "ak-77d0e2…"),
        ),
    ),
    Provider(
        name="john-deere",
        title="John Deere",
        path="john-deere-credentials",
        embedded="johnDeereCredentials",
        fields=(
            _app("clientKey", "client key of your John Deere application", secret=False),
            _app("clientSecret", "client secret of your John Deere application"),
            _ENVIRONMENT,
            _REFRESH_TOKEN,
        ),
    ),
    Provider(
        name="climate-field-view",
        title="Climate FieldView",
        path="climate-field-view-credentials",
        embedded="climateFieldViewCredentials",
        fields=(
            *_oauth("FieldView"),
            _app("apiKey", "API key of your FieldView application"),
            _REFRESH_TOKEN,
        ),
    ),
    Provider(
        name="cnhi",
        title="CNHi AFS Connect (legacy)",
        path="cnhi-credentials",
        embedded="cnhiCredentials",
        fields=_cnh("CNHi"),
    ),
    Provider(
        name="cnhi-field-ops",
        title="CNHi FieldOps",
        path="cnhi-field-ops-credentials",
        embedded="cnhiFieldOpsCredentials",
        fields=_cnh("FieldOps"),
    ),
    Provider(
        name="claas",
        title="CLAAS",
        path="claas-credentials",
        embedded="claasCredentials",
        fields=(
            _app("clientKey", "client key of your CLAAS application", secret=False),
            _app("clientSecret", "client secret of your CLAAS application"),
            _ENVIRONMENT,
            _REFRESH_TOKEN,
        ),
    ),
    Provider(
        name="trimble",
        title="Trimble",
        path="trimble-credentials",
        embedded="trimbleCredentials",
        fields=(*_oauth("Trimble"), _REFRESH_TOKEN),
    ),
    Provider(
        name="ag-leader",
        title="Ag Leader",
        path="ag-leader-credentials",
        embedded="agLeaderCredentials",
        fields=(
            _app("publicKey", "public key of your AgFiniti application", secret=False),
            _app("privateKey", "private key of your AgFiniti application"),
            _REFRESH_TOKEN,
            _grower("accessToken", "the grower's access token", "at-90b3d7…", required=False),
        ),
    ),
    Provider(
        name="stara",
        title="Stara",
        path="stara-credentials",
        embedded="staraCredentials",
        fields=(
            _app("apiKey", "API key of your Stara application"),
            _grower("accessToken", "the grower's access token", "at-90b3d7…"),
            _grower("accessTokenClient", "the access token of the grower's client", "ac-2e8f61…"),
            _REFRESH_TOKEN,
        ),
    ),
    Provider(
        name="sentera",
        title="Sentera",
        path="sentera-credentials",
        embedded="senteraCredentials",
        fields=(
            _USERNAME,
            _PASSWORD,
            _grower("organizationName", "the grower's organization at Sentera", "Hill Farm", secret=False),
        ),
    ),
    Provider(
        name="agvance",
        title="Agvance",
        path="agvance-credentials",
        embedded="agvanceCredentials",
        fields=(
            _app("apiKey", "API key of your Agvance application"),
            _ENVIRONMENT,
            _grower("databaseId", "ID of the database that holds the grower", "db-31007", secret=False),
            _USERNAME,
            _PASSWORD,
        ),
    ),
    Provider(
        name="panorama",
        title="Panorama",
        path="panorama-credentials",
        embedded="panoramaCredentials",
        fields=(
            _app("clientId", "client ID of your Panorama application", secret=False),
            _app("username", "user name of your Panorama application", secret=False),
            _app("password", "password of your Panorama application"),
            _ENVIRONMENT,
            _grower("organizationCode", "code of the grower's organization", "ORG-4711", secret=False),
            _REFRESH_TOKEN,
        ),
    ),
    Provider(
        name="lindsay",
        title="Lindsay",
        path="lindsay-credentials",
        embedded="lindsayCredentials",
        fields=(*_oauth("Lindsay"), _ENVIRONMENT, _REFRESH_TOKEN),
    ),
    Provider(
        name="valley",
        title="Valley",
        path="valley-credentials",
        embedded="valleyCredentials",
        fields=(
            _app("apid", "API ID of your Valley application"),
            _app("initializationVector", "initialization vector of your Valley application"),
            _app("key", "encryption key of your Valley application"),
            _USERNAME,
            _PASSWORD,
        ),
    ),
    Provider(
        name="agrimatics",
        title="Agrimatics",
        path="agrimatics-credentials",
        embedded="agrimaticsCredentials",
        fields=(
            *_oauth("Agrimatics"),
            _ENVIRONMENT,
            _grower("accessToken", "the grower's access token", "at-90b3d7…"),
        ),
    ),
)

PROVIDERS: Providers = MappingProxyType({p.name: p for p in _TABLE})
