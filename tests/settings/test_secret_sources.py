"""Settings from files and from the keyring, and which of them goes before which."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from bulk_onboard.domain.model import Secret
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import secret_sources as stored
from bulk_onboard.settings.load import load
from bulk_onboard.settings.requirements import require


class Ring(KeyringBackend):
    """A keyring in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append(username)
        if self.locked:
            raise KeyringLocked("no")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ring]:
    before, found = keyring.get_keyring(), Ring()
    monkeypatch.setattr(stored.Keyring, "_known", {})
    keyring.set_keyring(found)
    yield found
    keyring.set_keyring(before)


def secret_file(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def test_the_order_is_environment_file_dotenv_toml_keyring(
    monkeypatch: pytest.MonkeyPatch, ring: Ring
) -> None:
    def token() -> Secret | None:
        return load({}).leaf.login.token

    ring.set_password("bulk-onboard", "LEAF_TOKEN", "keyring")
    assert token() == Secret("keyring")
    Path("bulk-onboard.toml").touch(mode=0o600)
    Path("bulk-onboard.toml").write_text("[leaf]\ntoken = 'toml'\n")
    assert token() == Secret("toml")
    Path(".env").write_text("LEAF_TOKEN=dotenv\n")
    assert token() == Secret("dotenv")
    monkeypatch.setenv("LEAF_TOKEN_FILE", secret_file("token", "file\n"))
    assert token() == Secret("file")
    monkeypatch.setenv("LEAF_TOKEN", "environment")
    assert token() == Secret("environment")


def test_each_setting_may_come_from_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {
        "LEAF_USERNAME": "me@example.com",
        "LEAF_PASSWORD": "planted-word",
        "RAVEN_CLIENT_SECRET": "planted-secret",
        "CNHI_FIELD_OPS_SUBSCRIPTION_KEY": "planted-key",
        "BULK_ONBOARD_PING": "https://host/planted-check",
    }
    for name, text in told.items():
        monkeypatch.setenv(f"{name}_FILE", secret_file(name, f"\ufeff{text}\r\n"))
    settings = load({})
    assert (settings.leaf.login.username, settings.leaf.login.password) == (
        "me@example.com", Secret("planted-word"),
    )  # fmt: skip
    assert settings.app["raven"]["clientSecret"] == Secret("planted-secret")
    assert settings.app["cnhi-field-ops"]["subscriptionKey"] == Secret("planted-key")
    assert settings.night.ping == Secret("https://host/planted-check")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "cannot be read"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: path.write_text("\n"), "is empty"),
        (lambda path: path.write_bytes(b"\xff\xfe\xfaplanted"), "is not text"),
    ],
)
def test_an_unusable_secret_file_is_named(monkeypatch: pytest.MonkeyPatch, make: object, told: str) -> None:
    make(Path("secret"))  # type: ignore[operator]
    monkeypatch.setenv("LEAF_PASSWORD_FILE", "secret")
    with pytest.raises(UsageError, match=f"LEAF_PASSWORD_FILE: secret {told}") as error:
        load({})
    assert "planted" not in str(error.value)


def test_offline_and_sandbox_read_no_secret_files_and_no_keyring(
    monkeypatch: pytest.MonkeyPatch, ring: Ring
) -> None:
    monkeypatch.setenv("LEAF_PASSWORD_FILE", "absent")
    load({}, offline=True)
    load({"sandbox": True})
    assert ring.asked == []


def test_the_keyring_is_asked_once_for_each_needed_secret(
    monkeypatch: pytest.MonkeyPatch, ring: Ring
) -> None:
    for name, text in {"LEAF_PASSWORD": "word", "RAVEN_CLIENT_SECRET": "planted-secret"}.items():
        ring.set_password("bulk-onboard", name, text)
    monkeypatch.setenv("LEAF_USERNAME", "me")
    for _ in range(2):
        settings = load({})
        require(settings, [settings.providers["raven"]], {"clientId"})
    assert (settings.leaf.login.password, settings.app_of("raven")["clientSecret"]) == (
        Secret("word"), Secret("planted-secret"),
    )  # fmt: skip
    addresses = ["BULK_ONBOARD_NOTIFY", "BULK_ONBOARD_PING"]
    login = ["LEAF_TOKEN", "LEAF_PASSWORD"]
    assert sorted(ring.asked) == sorted([*login, *addresses, "RAVEN_CLIENT_ID", "RAVEN_CLIENT_SECRET"])


def test_the_keyring_is_not_asked_for_known_settings(monkeypatch: pytest.MonkeyPatch, ring: Ring) -> None:
    monkeypatch.setenv("LEAF_TOKEN", "environment")
    monkeypatch.setenv("RAVEN_CLIENT_ID", "id")
    monkeypatch.setenv("RAVEN_CLIENT_SECRET_FILE", secret_file("secret", "file"))
    monkeypatch.setenv("BULK_ONBOARD_NOTIFY", "json://localhost")
    assert set(load({}).app_of("raven")) == {"clientId", "clientSecret"}
    assert ring.asked == ["BULK_ONBOARD_PING"]


def test_a_locked_keyring_is_ignored(ring: Ring) -> None:
    ring.set_password("bulk-onboard", "LEAF_TOKEN", "keyring")
    ring.locked = True
    settings = load({})
    assert (settings.leaf.login.token, settings.app_of("raven")) == (None, {})
    assert len(ring.asked) == 1


def test_without_keyring_installed_settings_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert load({}).leaf.login.token is None
