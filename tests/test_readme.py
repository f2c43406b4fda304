"""README cannot drift from the code: its tables and commands are held against what they speak of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bulk_onboard.domain.model import Status
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.errors import ExitCode

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def between(start: str, end: str) -> list[list[str]]:
    """The cells of the table's lines between two markers."""
    text = README.split(f"<!-- {start} -->")[1].split(f"<!-- {end} -->")[0]
    lines = [line for line in text.strip().splitlines() if not set(line) <= set("|- ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_exit_codes_in_readme_are_those_of_the_code() -> None:
    assert between("exit-codes", "/exit-codes") == [[str(int(code)), code.meaning] for code in ExitCode]


def test_the_providers_in_readme_are_those_of_the_table() -> None:
    told = {row[0].strip("`"): row[1:] for row in between("providers", "/providers")[1:]}
    assert list(told) == list(PROVIDERS)
    for name, (settings, columns) in told.items():
        provider = PROVIDERS[name]
        assert re.findall(r"`(\w+)`", settings) == [provider.setting(f) for f in provider.app_fields]
        assert re.findall(r"`(\w+)`", columns) == [f.name for f in provider.grower_fields]


def test_readme_explains_every_status() -> None:
    for status in Status:
        assert f"| `{status}` |" in README


@pytest.mark.parametrize("marker", ["run-command", "test-command"])
def test_a_command_of_readme_is_one_line_that_does_all_of_its_set_up(marker: str) -> None:
    block = README.split(f"<!-- {marker} -->")[1].split("```")[1].removeprefix("sh\n").strip()
    assert "\n" not in block
    assert block.startswith("python3 -m venv .venv && .venv/bin/pip install")


def test_every_file_that_readme_names_exists() -> None:
    for name in re.findall(r"^\| `([a-z/_]+\.py)` \|", README, re.MULTILINE):
        assert (ROOT / "bulk_onboard" / name).is_file(), name


def test_the_changelog_tells_of_the_version() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
