"""A setting is declared in one place, and every door to it follows from there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
import pytest

from bulk_onboard.cli.run import command
from bulk_onboard.domain.model import Secret
from bulk_onboard.settings import SETTINGS, Setting, Settings
from bulk_onboard.settings.load import load

OPTIONS = [setting for setting in SETTINGS if setting.option]
# A value of each option that is not its default.
OTHER = {
    "sheet": "S", "header_row": 2, "hidden": "skip", "encoding": "cp1251", "map": {"a": "b"}, "keep": "c",
    "limit": 3, "rate": 7, "max_in_flight": 4, "timeout": 5, "cluster": "local:2", "provider": "stara",
    "if_exists": "replace", "canary": 1, "max_failures": "2%", "min_rows": 9, "max_new": 8,
    "events_wait": 6, "recheck": "7d", "output": "o", "ledger": "l", "format": "csv", "notify": "json://x",
    "notify_when": "always", "ping": "https://x/y", "metrics": "m.prom", "fail_on": "never",
    "sandbox_faults": "rainy", "plan": "plan.csv",
}  # fmt: skip
# Which others an option cannot be without.
NEEDED = {"replace_healthy": {"if_exists": "replace"}}
NEEDED |= {name: {"sandbox": True} for name in ("sandbox", "sandbox_reset", "sandbox_faults")}


def value_of(settings: Settings, setting: Setting) -> object:
    found: object = settings
    for name in setting.path:
        found = getattr(found, name)
    return found


def test_no_two_settings_share_a_name_and_each_is_explained() -> None:
    names = Counter(name for one in SETTINGS for name in (one.option, one.variable, one.key) if name)
    assert not [name for name, count in names.items() if count > 2]
    assert all(setting.help.endswith((".", "]")) and setting.group for setting in SETTINGS)


@pytest.mark.parametrize("setting", OPTIONS, ids=lambda setting: setting.option)
def test_an_option_of_the_library_reaches_its_place_in_the_tree(setting: Setting) -> None:
    Path("plan.csv").touch()
    other = OTHER.get(setting.option, not setting.default)
    settings = load({**NEEDED.get(setting.option, {}), setting.option: other}, is_command_line=False)
    assert value_of(settings, setting) != setting.default


@pytest.mark.parametrize("setting", OPTIONS, ids=lambda setting: setting.option)
def test_the_command_line_has_each_option_with_its_help_and_default(setting: Setting) -> None:
    [option] = [param for param in command.params if setting.flag in param.opts]
    assert isinstance(option, click.Option)
    context = command.make_context("run", ["growers.csv"])
    assert context.params[setting.option] is None, "what is not given is decided elsewhere"
    assert option.help is not None
    assert setting.help in option.help
    assert (f"[default: {setting.shown}]" in option.help) == bool(setting.shown)


def test_the_file_of_settings_takes_all_but_what_is_said_for_one_run() -> None:
    assert {setting.option for setting in SETTINGS if not setting.key} == {"sandbox_reset", "dry_run", "plan"}


def test_an_address_may_be_given_by_the_name_of_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHT_PING", "https://hc-ping.com/planted")
    monkeypatch.setenv("NIGHT_MAIL", "json://one json://two")
    given = ["growers.csv", "--ping", "NIGHT_PING", "--notify", "NIGHT_MAIL", "--notify", "xml://three"]
    params = command.make_context("run", given).params
    night = load({name: params[name] for name in ("ping", "notify")}).night
    assert night.ping == Secret("https://hc-ping.com/planted")
    assert night.notify == (Secret("json://one"), Secret("json://two"), Secret("xml://three"))
