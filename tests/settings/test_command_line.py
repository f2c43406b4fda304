"""The command that the refusal of a header suggests works when it is pasted into a shell."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.cli.main import main
from bulk_onboard.settings.command_line import check_and_run, command, with_columns, without_secrets

ID = "0b9cd62b-4f4d-4c0a-9f0e-1f8f8d0f5a10"


def _in_shell(command: str) -> list[str]:
    """The arguments that a shell passes to bulk-onboard."""
    script = f"bulk-onboard() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    ended = subprocess.run(["/bin/bash", "-c", script], capture_output=True, check=True, timeout=5)
    return ended.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["validate", "my file.csv"], ["validate", "my file.csv", "--map", "refreshToken=Ann's $token"]),
        (["run", "--", "-x.csv"], ["run", "--map", "refreshToken=Ann's $token", "--", "-x.csv"]),
        (
            ["run", "a.csv", "--map", "refresh_token=Tokn", "--map=leafUserId=ID", "--rate", "5"],
            ["run", "a.csv", "--map=leafUserId=ID", "--rate", "5", "--map", "refreshToken=Ann's $token"],
        ),
        (["run", "a.csv", "--map=refreshToken=Tokn"], ["run", "a.csv", "--map", "refreshToken=Ann's $token"]),
    ],
)
def test_the_command_keeps_all_other_options(arguments: list[str], expected: list[str]) -> None:
    text = with_columns(arguments, {"refreshToken": "Ann's $token"})
    assert _in_shell(text.removeprefix("run: ")) == expected


def test_an_option_that_may_hold_a_secret_is_not_repeated() -> None:
    text = with_columns(["run", "a.csv", "--ping=https://hc.example/secret"], {"refreshToken": "Token"})
    assert text == "add: --map refreshToken=Token"


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), max_size=4),
    st.text(" '\"$`\\#é", max_size=8),
)
def test_any_text_is_quoted(texts: list[str], column: str) -> None:
    arguments = ["validate", *(text for text in texts if not text.startswith("-"))]
    command = with_columns(arguments, {"refreshToken": f"T{column}"}).removeprefix("run: ")
    assert shlex.split(command) == ["bulk-onboard", *arguments, "--map", f"refreshToken=T{column}"]


def test_a_command_is_made_of_values_of_settings() -> None:
    options = {
        "rate": "5/s", "map": {"refreshToken": "Ann's $token"}, "header_row": 0,
        "sheet": ("North", "South East"), "hidden": None,
        "encoding": "", "create_users": True, "strict": False, "keep": (),
    }  # fmt: skip
    words = _in_shell(command("run", "my file.csv", options, "--dry-run"))
    assert words == [
        "run", "my file.csv", "--sheet", "North", "--sheet", "South East", "--header-row", "0",
        "--map", "refreshToken=Ann's $token", "--create-users", "--rate", "5/s", "--dry-run",
    ]  # fmt: skip


def test_a_copy_in_another_form_is_read_without_the_options_of_the_original_form() -> None:
    options = {"sheet": ("North",), "header_row": 3, "encoding": "cp850", "provider": "claas"}
    same = "out.xlsx --provider claas --sheet North --header-row 3 --encoding cp850"
    assert check_and_run("out.xlsx", options, same_form=True) == (
        f"bulk-onboard validate {same}",
        f"bulk-onboard run {same}",
    )
    assert (
        check_and_run("out.xlsx", options, same_form=False)[1] == "bulk-onboard run out.xlsx --provider claas"
    )


@pytest.mark.parametrize(
    ("content", "extra"),
    [
        (f"Grower,Leaf ID,Raven Token\nAnn,{ID},rt-1\n", []),
        (f"Nom;Jeton d'actualisation;Nr\nAnn;rt-1;{ID}\n", ["--keep", "Nom"]),
        (f"$x,`token`\n{ID},rt-made-up-1\n", []),
        (f"leafUserId,\u202bToken\u202c\n{ID},rt-1\n", ["--map", "refreshToken=Tokn"]),
        (f"Report\nleafUserId,Refresh # Token\n{ID},rt-1\n", []),
    ],
)
def test_the_suggested_command_works(
    content: str,
    extra: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("growers of may.csv").write_text(content, encoding="utf-8")
    assert main(["validate", "growers of may.csv", *extra]) == 3
    command = capsys.readouterr().err.rstrip("\n").partition("if so, run: ")[2]
    assert main(_in_shell(command)) == 0, command


def test_the_mapping_of_a_settings_file_stays_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bulk-onboard.toml").write_text('[map]\nleafUserId = "Kunde"\nrefreshToken = "old name"\n')
    Path("growers.csv").write_text(f"Kunde,Token\n{ID},rt-1\n")
    assert main(["validate", "growers.csv"]) == 3
    command = capsys.readouterr().err.rstrip("\n").partition("if so, run: ")[2]
    assert _in_shell(command) == ["validate", "growers.csv", "--map", "refreshToken=Token"]
    assert main(_in_shell(command)) == 0


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["a b.csv", "--rate", "50", "--strict"], "bulk-onboard run 'a b.csv' --rate 50 --strict"),
        (["g.csv", "--no-events", "--map", "refreshToken=Raven token"], "--map 'refreshToken=Raven token'"),
        (["g.csv", "--keep", "name,region"], "--keep name,region"),
        (["g.csv", "--ledger", "here/l.sqlite3"], "--ledger here/l.sqlite3"),
        (["g.csv", "--ledger", "postgresql://me:hidden-word@db/x"], "--ledger ..."),
        (["https://files.example/g.csv?sig=hidden-word"], "bulk-onboard run ..."),
        (
            ["g.csv", "--notify", "slack://hidden-word", "--ping", "https://ping.example/hidden-word"],
            "--ping ...",
        ),
        (["g.csv", "--notify", "hidden-word"], "--notify ..."),
        (["caf\udce9.csv", "--output", "a\x1b[31m"], "bulk-onboard run 'caf\\xe9.csv' --output 'a\\x1b[31m'"),
    ],
)
def test_the_command_is_shown_without_secrets(arguments: list[str], shown: str) -> None:
    text = without_secrets(["run", *arguments])
    assert shown in text
    assert "hidden-word" not in text
