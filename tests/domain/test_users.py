"""Fingerprints of listed fields are compared with the row's own, and say nothing under another key."""

from __future__ import annotations

from bulk_onboard.domain.model import Echo, Payload
from bulk_onboard.domain.providers import Field, Scope
from bulk_onboard.domain.users import Prints

PRINTS = Prints(b"key")


def test_visible_parts_of_echoed_secrets_are_compared() -> None:
    ours = Payload({"refreshToken": "a", "accessToken": "b"})
    fields = [Field(name, Scope.GROWER) for name in ("refreshToken", "accessToken", "more")]
    same, other = PRINTS.of("a"), PRINTS.of("z")
    assert PRINTS.echo((0, 0, 0), fields, ours) is Echo.UNKNOWN
    assert PRINTS.echo((0, 0, other), fields, ours) is Echo.UNKNOWN
    assert PRINTS.echo((same, 0, other), fields, ours) is Echo.SAME
    assert PRINTS.echo((same, PRINTS.of("b"), 0), fields, ours) is Echo.SAME
    assert PRINTS.echo((same, other, 0), fields, ours) is Echo.DIFFERENT


def test_the_same_secrets_of_another_user_name_are_other_credentials() -> None:
    ours = Payload({"username": "Hill@Example.com", "password": "Secret"})
    name, secret = Field("username", Scope.GROWER, secret=False), Field("password", Scope.GROWER)
    same, other = PRINTS.of_field(name, "hill@example.COM"), PRINTS.of_field(name, "dale@example.com")
    theirs = PRINTS.of_field(secret, "Secret")
    assert PRINTS.echo((same, theirs), (name, secret), ours) is Echo.SAME
    assert PRINTS.echo((other, theirs), (name, secret), ours) is Echo.DIFFERENT
    assert PRINTS.echo((other, 0), (name, secret), ours) is Echo.DIFFERENT
    assert PRINTS.echo((same, 0), (name, secret), ours) is Echo.UNKNOWN
    assert PRINTS.echo((same, PRINTS.of_field(secret, "secret")), (name, secret), ours) is Echo.DIFFERENT


def test_another_application_or_environment_is_recognised() -> None:
    ours = Payload({"clientEnvironment": "PRODUCTION", "clientSecret": "a", "refreshToken": "b"})
    place, app = Field("clientEnvironment", Scope.APP, secret=False), Field("clientSecret", Scope.APP)
    fields = (place, app, Field("refreshToken", Scope.GROWER))
    same, other = PRINTS.of_field(place, "production"), PRINTS.of_field(place, "STAGE")
    assert not PRINTS.is_other_app((same, PRINTS.of("a"), PRINTS.of("z")), fields, ours)
    assert not PRINTS.is_other_app((0, 0, 0), fields, ours)
    assert PRINTS.is_other_app((other, 0, 0), fields, ours)
    assert PRINTS.is_other_app((same, PRINTS.of("z"), 0), fields, ours)
    assert PRINTS.echo((other, PRINTS.of("z"), PRINTS.of("b")), fields, ours) is Echo.SAME


def test_prints_of_another_key_do_not_match() -> None:
    assert PRINTS.of("a") != Prints(b"other").of("a")
