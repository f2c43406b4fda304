"""Every command of README and docs/ is executed, page by page, as a reader would type it."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pandas as pd
import pytest

from bulk_onboard.cli.main import cli, main
from tests.docs.pages import PAGES, ROOT, blocks, commands
from tests.support.cli import PLANTED, Server, grower, growers, serving, write

RUN_ID = "20261123T154500Z-growers"
TOKENS = ["eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", ""]
# The exit codes of a command unless the page says "exit code N" above it: 1, if rows need attention.
FINE = {0, 1}
_COMMAND = re.compile(r"(^|\| |&& \.venv/bin/)bulk-onboard ")


def shell_lines(page: Path, *, runnable: bool) -> list[tuple[str, set[int]]]:
    """The commands of bulk-onboard in the shell blocks of a page, and their exit codes.

    ``runnable``: only those to execute.
    """
    return [
        (line, {int(block.note[10:])} if block.note.startswith("exit code ") else FINE)
        for block in blocks(page)
        if block.language == "sh"
        and not (runnable and block.note and not block.note.startswith("exit code "))
        for line in commands(block.text)
        if _COMMAND.search(line)
    ]


def arguments(line: str) -> list[str]:
    """The arguments of bulk-onboard in a line of a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|><&")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = [word.removeprefix(".venv/bin/") for word in lexer]
    words = words[words.index("bulk-onboard") + 1 :]
    return words[: next((n for n, word in enumerate(words) if set(word) <= set("|>&")), len(words))]


@pytest.fixture(scope="module")
def leaf() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages name."""
    folder = tmp_path_factory.mktemp("files")
    with contextlib.chdir(folder):
        write_files()
    return folder


@pytest.fixture
def folder(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaf: Server) -> None:
    """Make a copy of the files the current folder, and set a Leaf."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name, value in leaf.environment.items():
        monkeypatch.setenv(name, value)
        if name.startswith("RAVEN_"):
            monkeypatch.setenv(name.replace("RAVEN", "CNHI_FIELD_OPS"), value)
    monkeypatch.setenv("CNHI_FIELD_OPS_SUBSCRIPTION_KEY", f"{PLANTED}key")
    monkeypatch.setenv("CNHI_FIELD_OPS_CLIENT_ENVIRONMENT", "PRODUCTION")


def write_files() -> None:
    """Write the files that the pages name to the current folder."""
    Path("bulk-onboard.toml").write_text("rate = 0\nevents-wait = 1\n")
    shutil.copytree(ROOT / "samples", "samples")
    Path("exports").mkdir()
    table = pd.read_csv(write(growers(6)), dtype=str)
    table.to_excel("growers.xlsx", index=False)
    table.to_parquet("exports/growers.parquet", index=False)
    renamed = table.rename(columns={"refreshToken": "Raven token"})
    renamed.assign(**{"Raven token": "N/A"}).to_excel("partner.xlsx", index=False)
    table.assign(refreshToken=' "quoted" ').to_csv("partner.csv", index=False)
    table[["leafUserId"]].head(1).to_csv("wrong.csv", index=False)
    cnh = pd.DataFrame(
        {"leafUserId": [grower(1), grower(2)], "refreshToken": TOKENS, "growerName": ["S", "I"]}
    )
    cnh.to_csv("cnh.csv", index=False)


def executed(line: str) -> int:
    """The exit code of a line; a run id stands for the latest run of growers."""
    found = sorted(Path("reports").glob("2*Z-growers"))
    run_id = found[-1].name if found else RUN_ID
    # The pages speak of a million growers; here are six.
    return main([argument.replace(RUN_ID, run_id).replace("900000", "1") for argument in arguments(line)])


PAGES_WITH_COMMANDS = [page for page in PAGES if shell_lines(page, runnable=True)]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=lambda page: page.stem)
def test_the_commands_of_a_page_work(page: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for line, codes in shell_lines(page, runnable=True):
        code = executed(line)
        shown = capfd.readouterr()
        assert code in codes, f"{line}\n{shown.err}"
        assert PLANTED not in shown.out + shown.err


def inline_commands(page: Path) -> list[str]:
    """The commands in running text; an ellipsis stands for options that do not matter."""
    return re.findall(
        r"`(bulk-onboard [^`…]+)`", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_is_understood(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = Path("reports", RUN_ID, "plan.csv")
    plan.parent.mkdir(parents=True)
    plan.touch(0o600)
    context = click.Context(cli, info_name="bulk-onboard")
    for line in [*(line for line, _ in shell_lines(page, runnable=False)), *inline_commands(page)]:
        name, *rest = arguments(line)
        command = cli.get_command(context, name)
        assert command or name == "--version", line
        if command and rest:
            command.make_context(name, rest, parent=context, resilient_parsing="--help" in rest)


def masked(text: str) -> str:
    """The text without what differs between runs: run ids, times, and how often events were asked for."""
    text = re.sub(r"\d{8}T\d{6}Z", "RUN", text)
    return re.sub(r"\d+ to Leaf in [\d.]+ s, [\d.]+ per second", "REQUESTS", text)


@pytest.mark.usefixtures("folder")
def test_the_demo_in_readme_ends_as_shown(capfd: pytest.CaptureFixture[str]) -> None:
    [shown] = [block for block in blocks(ROOT / "README.md") if block.note == "output of the demo"]
    [(demo, _)] = [pair for pair in shell_lines(ROOT / "README.md", runnable=False) if "--sandbox" in pair[0]]
    assert main([*arguments(demo), "--rate", "0"]) == 0
    assert masked(shown.text.strip()) in masked(capfd.readouterr().err)


@pytest.mark.usefixtures("folder")
def test_the_python_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                names: dict[str, object] = {}
                exec(compile(block.text, page.name, "exec"), names)
                assert "'created': 20" in capsys.readouterr().out
                assert len(names["problems"]) > 10  # type: ignore[arg-type]
