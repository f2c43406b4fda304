"""Settings as a user meets them: what is missing, which one wins, and what never shows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

from bulk_onboard.sandbox import Account, Behaviour
from bulk_onboard.settings.secret_sources import Keyring
from tests.support.cli import APP, PLANTED, Desk, Server, growers, newest, write

Leaf = Callable[..., Server]


def test_missing_settings_are_told_all_at_once_and_nothing_is_written(desk: Desk) -> None:
    ran = desk.run(write(growers(1)))
    assert ran.code == 2
    for name in ("LEAF_TOKEN", "LEAF_USERNAME", "LEAF_PASSWORD", "RAVEN_CLIENT_ID", "RAVEN_CLIENT_SECRET"):
        assert name in ran.err
    assert "--sandbox" in ran.err
    assert not Path("reports").exists()


def test_a_file_that_cannot_be_used_is_told_although_settings_are_missing(desk: Desk) -> None:
    assert desk.run("absent.csv").code == 3


@pytest.mark.parametrize(
    "url",
    [
        "http://api.withleaf.io",
        "http://10.0.0.1:8787",
        "http://127.0.0.1.example.com",
        "ftp://127.0.0.1",
        "leaf",
    ],
)
def test_an_address_that_would_show_secrets_on_the_way_is_refused(desk: Desk, url: str) -> None:
    desk.set("LEAF_BASE_URL", url)
    ran = desk.run(write(growers(1)))
    assert ran.code == 2
    assert "LEAF_BASE_URL" in ran.err
    assert not Path("reports").exists()


def test_the_environment_wins_over_dot_env_and_that_over_the_toml_file(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0, account=Account(username="env@x", password=f"{PLANTED}dotenv")))
    toml = Path("bulk-onboard.toml")
    toml.write_text(
        f"""
        rate = 0
        keep = ["region"]
        limit = 1
        [leaf]
        base_url = "http://127.0.0.1:9"
        username = "toml@x"
        password = "{PLANTED}toml"
        [providers.raven]
        client_id = "{PLANTED}id"
        client_secret = "{PLANTED}secret"
        """
    )
    toml.chmod(0o644)
    Path(".env").write_text(
        f"LEAF_BASE_URL={server.url}\nLEAF_USERNAME=dotenv@x\nLEAF_PASSWORD={PLANTED}dotenv\n"
    )
    desk.set("LEAF_USERNAME", "env@x")
    ran = desk("run", write(growers(3)), "--limit", "2")
    assert ran.code == 0
    assert ran.statuses == {"created": 2}
    assert "as env@x" in ran.err
    assert ran.rows[1]["region"] == "R1"
    assert "chmod 600 bulk-onboard.toml" in ran.err


@pytest.mark.parametrize("argv", [["report"], ["events", "20261123T154500Z-growers", "--sandbox"]])
def test_a_run_is_not_looked_for_in_a_folder_without_a_ledger_and_none_is_made(
    desk: Desk, argv: list[str]
) -> None:
    ran = desk(*argv, "--output", "mistyped")
    assert ran.code == 2
    assert "there is no ledger at mistyped" in ran.err
    assert not Path("mistyped").exists()


@pytest.mark.parametrize("command", ["run", "validate", "events"])
def test_the_empty_name_of_an_unset_variable_is_wrong_usage(desk: Desk, command: str) -> None:
    assert desk(command, "").code == 2


def test_another_file_of_settings_is_named(desk: Desk, leaf: Leaf) -> None:
    desk.at(leaf())
    Path("nightly.toml").write_text('output = "nightly"\nformat = ["csv", "jsonl"]\n')
    ran = desk.run(write(growers(1)), "--config", "nightly.toml")
    assert ran.code == 0
    assert list(Path("nightly").glob("*/results.jsonl"))
    assert not Path("reports").exists()


def test_the_toml_file_of_the_samples_can_be_copied_as_it_is(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    desk.at(server)
    shutil.copy(Path(__file__).parents[2] / "samples/bulk-onboard.toml", "bulk-onboard.toml")
    ran = desk.run(write(growers(1)))
    assert ran.code == 0
    assert {path.suffix for path in ran.folder.iterdir()} == {".csv", ".html", ".json"}
    for name in APP:
        desk.set(name, None)
    ran = desk.run(write(growers(2)))
    assert (ran.code, server.posts) == (2, 1)
    assert "RAVEN_CLIENT_ID" in ran.err


def test_practice_never_mixes_with_the_real_leaf(desk: Desk, leaf: Leaf) -> None:
    server, file = leaf(), write(growers(2))
    desk.at(server)
    practice = desk.run(file, "--sandbox")
    assert practice.statuses == {"created": 2}
    assert "the sandbox at" in practice.err
    assert not server.seen(), "whatever the settings say, practice goes nowhere else"
    real = desk.run(file)
    assert real.statuses == {"created": 2}


class Ring(KeyringBackend):
    """A keyring in memory. Every subclass registers itself, so it must be empty unless a test fills it."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.held: dict[str, str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append(username)
        return self.held.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[username] = password


def test_a_command_asks_the_keyring_once_for_each_secret_it_needs(
    desk: Desk, leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.at(leaf()).set("RAVEN_CLIENT_SECRET", None)
    before, ring = keyring.get_keyring(), Ring()
    keyring.set_keyring(ring)
    keyring.set_password("bulk-onboard", "RAVEN_CLIENT_SECRET", APP["RAVEN_CLIENT_SECRET"])

    def asked(*argv: str) -> list[str]:
        monkeypatch.setattr(Keyring, "_known", {})  # as in a new process
        ring.asked.clear()
        assert desk(*argv).code == 0
        return sorted(ring.asked)

    addresses = ["BULK_ONBOARD_NOTIFY", "BULK_ONBOARD_PING"]
    try:
        assert asked("run", write(growers(3)), "--rate", "0") == [*addresses, "RAVEN_CLIENT_SECRET"]
        run = newest().name
        assert asked("events", run) == addresses
        # A rollback compares the application fields that Leaf shows with the settings.
        assert asked("rollback", run, "--yes") == [*addresses, "RAVEN_CLIENT_SECRET"]
        assert asked("report") == asked("runs") == []
    finally:
        keyring.set_keyring(before)
