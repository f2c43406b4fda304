"""Providers that users define are like those built in, and what is wrong with a definition is said."""

from __future__ import annotations

import pytest

from bulk_onboard.domain.providers import PROVIDERS, Field, FieldKind, Provider, Scope, define_provider

TOKEN = {"name": "refreshToken", "scope": "grower"}


def test_a_table_becomes_a_provider() -> None:
    key = {"name": "apiKey", "scope": "app", "help": "the key", "example": "k-1"}
    mode = {"name": "mode", "scope": "app", "allowed": ["A", "B"], "required": False}
    table = {"path": "mt", "embedded": "mtStored", "title": "My Terminal", "fields": [key, mode, TOKEN]}
    assert define_provider("My Terminal", table, PROVIDERS) == Provider(
        "my-terminal",
        "My Terminal",
        "mt",
        "mtStored",
        (
            Field("apiKey", Scope.APP, help="the key", example="k-1"),
            Field("mode", Scope.APP, secret=False, required=False, allowed=("A", "B")),
            Field("refreshToken", Scope.GROWER),
        ),
    )


def test_defaults_follow_from_the_name() -> None:
    found = define_provider("my-terminal", {"fields": [TOKEN]}, PROVIDERS)
    assert (found.path, found.embedded) == ("my-terminal-credentials", "myTerminalCredentials")


@pytest.mark.parametrize(
    ("name", "table", "told"),
    [
        ("raven", {"fields": [TOKEN]}, "a provider raven already exists"),
        ("John_Deere", {"fields": [TOKEN]}, "a provider john-deere already exists"),
        ("leaf", {"fields": [TOKEN]}, "this name cannot be used"),
        ("a,b", {"fields": [TOKEN]}, "this name cannot be used"),
        ("mine", {"path": "x"}, "fields is not a list of tables"),
        ("mine", {"fields": []}, "fields is not a list of tables"),
        ("mine", {"fields": ["refreshToken"]}, "fields is not a list of tables"),
        (
            "mine",
            {"fields": [{"name": "apiKey", "scope": "app"}]},
            "must have scope",
        ),
        ("mine", {"fields": [TOKEN | {"required": False}]}, "must have scope"),
        ("mine", {"fields": [TOKEN, TOKEN]}, "two fields are called refreshtoken"),
        (
            "mine",
            {"fields": [TOKEN | {"scope": "row"}]},
            "the scope of refreshToken is neither app nor grower",
        ),
        ("mine", {"fields": [TOKEN | {"name": "leafUserId"}]}, "cannot be the name of a field"),
        ("mine", {"fields": [TOKEN | {"name": "Provider"}]}, "cannot be the name of a field"),
        ("mine", {"fields": [TOKEN | {"name": "a b"}]}, "cannot be the name of a field"),
        (
            "mine",
            {"fields": [TOKEN | {"colour": "red"}]},
            "a field has no key colour; choose from name, sc",
        ),
        ("mine", {"fields": [TOKEN | {"secret": "yes"}]}, "secret of refreshToken is neither true nor false"),
        ("mine", {"fields": [TOKEN | {"allowed": "A"}]}, "allowed of refreshToken is not a list of texts"),
        ("mine", {"path": "a/b", "fields": [TOKEN]}, "not one segment of a URL"),
        ("mine", {"path": "events/..", "fields": [TOKEN]}, "not one segment of a URL"),
        ("mine", {"path": "raven-credentials", "fields": [TOKEN]}, "is the path of raven"),
        ("mine", {"embedded": "ravenCredentials", "fields": [TOKEN]}, "ravenCredentials is the key of raven"),
        ("mine", {"title": "a\nb", "fields": [TOKEN]}, "title is not a text on one line"),
        ("mine", {"path": 5, "fields": [TOKEN]}, "path is not a text on one line"),
        (
            "cnhi-field",
            {"fields": [{"name": "opsClientId", "scope": "app"}, TOKEN]},
            "CNHI_FIELD_OPS_CLIENT_ID would be a setting of cnhi-field-ops too",
        ),
    ],
)
def test_an_unusable_definition_says_why(name: str, table: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        define_provider(name, table, PROVIDERS)


def test_built_in_providers_have_distinct_names_and_paths() -> None:
    for what in (
        [p.path for p in PROVIDERS.values()],
        [p.embedded for p in PROVIDERS.values()],
        [p.setting(f) for p in PROVIDERS.values() for f in p.app_fields],
    ):
        assert len(set(what)) == len(what)
    for provider in PROVIDERS.values():
        names = [field.name for field in provider.fields]
        assert len(set(names)) == len(names)
        assert all(field.help and (field.example or field.scope is Scope.APP) for field in provider.fields)


def test_an_environment_is_always_required() -> None:
    having = {name: p.environment for name, p in PROVIDERS.items() if p.environment}
    assert set(having) == {
        *("john-deere", "cnhi", "cnhi-field-ops", "claas", "agvance", "panorama", "lindsay", "agrimatics"),
    }
    for field in having.values():
        assert (field.required, field.secret, field.allowed) == (True, False, ("STAGE", "PRODUCTION"))


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        (TOKEN, FieldKind.TOKEN),
        (TOKEN | {"name": "AccessTokenClient"}, FieldKind.TOKEN),
        (TOKEN | {"secret": False}, FieldKind.TEXT),
        (TOKEN | {"name": "password"}, FieldKind.TEXT),
        (TOKEN | {"name": "accessKey"}, FieldKind.TOKEN),
        (TOKEN | {"name": "password", "kind": "token"}, FieldKind.TOKEN),
        (TOKEN | {"kind": "text"}, FieldKind.TEXT),
        (TOKEN | {"name": "mode", "allowed": ["A"]}, FieldKind.TOKEN),
    ],
)
def test_a_field_has_the_kind_that_it_declares_or_a_cautious_default(field: dict, kind: FieldKind) -> None:
    assert define_provider("mine", {"fields": [field]}, PROVIDERS).fields[0].kind is kind


def test_kinds_of_built_in_fields() -> None:
    kinds = {(field.name, field.kind) for provider in PROVIDERS.values() for field in provider.grower_fields}
    texts = {"username", "password", "organizationName", "organizationCode", "databaseId"}
    assert {name for name, kind in kinds if kind is FieldKind.TEXT} == texts
    assert {name for name, kind in kinds if kind is FieldKind.TOKEN} == {
        "refreshToken",
        "accessToken",
        "accessTokenClient",
        "accessKey",
    }
