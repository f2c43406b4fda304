"""Settings as a user meets them: what is missing, which one wins, and what never shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.cli import APP, Desk, Leaf, growers, write


def test_all_missing_settings_are_reported_at_once(desk: Desk) -> None:
    ran = desk.run(write(growers(1)))
    assert ran.code == 2
    for name in ("LEAF_TOKEN", "LEAF_USERNAME", "LEAF_PASSWORD", "RAVEN_CLIENT_ID", "RAVEN_CLIENT_SECRET"):
        assert name in ran.err
    assert "--sandbox" in ran.err
    assert not Path("reports").exists()


def test_an_unusable_file_is_reported_before_missing_settings(desk: Desk) -> None:
    assert desk.run("absent.csv").code == 3


@pytest.mark.parametrize("command", ["run", "validate", "events"])
def test_an_empty_file_name_is_wrong_usage(desk: Desk, command: str) -> None:
    assert desk(command, "").code == 2


def test_config_names_another_settings_file(desk: Desk, leaf: Leaf) -> None:
    desk.at(leaf())
    Path("nightly.toml").write_text('output = "nightly"\nformat = ["csv", "jsonl"]\n')
    ran = desk.run(write(growers(1)), "--config", "nightly.toml")
    assert ran.code == 0
    assert list(Path("nightly").glob("*/results.jsonl"))
    assert not Path("reports").exists()


def test_the_sample_settings_file_works_unchanged(desk: Desk, leaf: Leaf) -> None:
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


def test_sandbox_runs_and_real_runs_never_share_data(desk: Desk, leaf: Leaf) -> None:
    server, file = leaf(), write(growers(2))
    desk.at(server)
    practice = desk.run(file, "--sandbox")
    assert practice.statuses == {"created": 2}
    assert "the sandbox at" in practice.err
    assert not server.seen(), "whatever the settings say, practice goes nowhere else"
    real = desk.run(file)
    assert real.statuses == {"created": 2}
