"""The entry: help, usage errors, and every way to end as an exit code."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import bulk_onboard
from bulk_onboard import errors
from bulk_onboard.cli import main as entry
from bulk_onboard.cli.main import COMMANDS, main
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.errors import ExitCode

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | int], int]:
    """Run a command that ends as the test says."""

    def run(end: BaseException | int) -> int:
        @click.command("run")
        def command() -> int:
            if isinstance(end, int):
                return end
            raise end

        monkeypatch.setattr(entry.LazyGroup, "get_command", lambda *_: command)
        return main(["run"])

    return run


def test_help_lists_every_command_and_every_exit_code(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    for word in (*COMMANDS, *(str(code.value) for code in ExitCode), *(code.meaning for code in ExitCode)):
        assert word in told


def test_the_version_is_that_of_the_package(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"bulk-onboard {bulk_onboard.__version__}\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["frobnicate"],
        ["run"],
        ["run", "a.csv", "--nonsense"],
        ["run", "a.csv", "--rate", "fast"],
        ["run", "a.csv", "--if-exists", "maybe"],
        ["run", "a.csv", "--limit", "0"],
        ["run", "a.csv", "--map", "refreshToken"],
        ["run", "a.csv", "--format", "xml"],
        ["run", "a.csv", "--config", "absent.toml"],
        ["run", "a.csv", "--sandbox-reset"],
        ["run", "a.csv", "-v", "-q"],
        ["run", "a.csv", "--ledger", "mysql://db/x"],
        ["providers", "ravne"],
        ["events", "absent.csv"],
    ],
)
def test_wrong_usage_is_2(argv: list[str], capsys: Capture) -> None:
    assert main(argv) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bulk-onboard: error: ")


def test_no_command_shows_the_help_and_is_2(capsys: Capture) -> None:
    assert main([]) == ExitCode.USAGE
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "kind",
    [errors.UsageError, errors.InputError, errors.LoginRefused, errors.StoppedForSafety, errors.LedgerBusy],
)
def test_each_error_has_its_exit_code_and_one_line(
    kind: type[errors.BulkOnboardError], ending: Callable[[BaseException], int], capsys: Capture
) -> None:
    assert ending(kind("the sea is rough.")) == kind.exit_code
    assert capsys.readouterr().err == "bulk-onboard: error: the sea is rough.\n"


def test_an_error_in_an_exception_group_is_found(ending: Callable[[BaseException], int]) -> None:
    group = BaseExceptionGroup(
        "tasks", [ValueError("x"), BaseExceptionGroup("t", [errors.LedgerBusy("held")])]
    )
    assert ending(BaseExceptionGroup("tasks", [errors.LedgerBusy("held")])) == ExitCode.BUSY
    assert ending(group) == ExitCode.BUG


def test_a_bug_is_70_and_reveals_no_values(ending: Callable[[BaseException], int], capsys: Capture) -> None:
    assert ending(ValueError("refresh token hunter2")) == ExitCode.BUG
    told = capsys.readouterr().err
    assert "ValueError at bulk_onboard/cli/main.py:" in told
    assert "report" in told
    assert "hunter2" not in told
    assert "Traceback" not in told


@pytest.mark.parametrize("end", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_130(end: BaseException, ending: Callable[[BaseException], int]) -> None:
    assert ending(end) == ExitCode.INTERRUPTED


@pytest.mark.parametrize("code", list(ExitCode))
def test_what_a_command_returns_is_the_exit_code(code: ExitCode, ending: Callable[[int], int]) -> None:
    assert ending(code) == code


@pytest.mark.parametrize(("argument", "code"), [(None, 0), (0, 0), (5, 5), ("a reason", 1)])
def test_a_systemexit_keeps_its_code(
    argument: object, code: int, ending: Callable[[BaseException], int]
) -> None:
    assert ending(SystemExit(argument)) == code


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "a.csv", "--nonsense"],
        ["run", "a.csv", "--rate", "fast"],
        ["run", "a.csv", "--provider", "ravne"],
        ["events", "absent.csv"],
        ["rollback", "absent.csv"],
        ["report", "20260101T000000Z-absent"],
    ],
)
def test_errors_are_objects_with_json(argv: list[str], capsys: Capture) -> None:
    code = main([*argv, "--log-format=json"])
    out, err = capsys.readouterr()
    error = json.loads(err)
    assert (out, code) == ("", ExitCode.USAGE)
    assert (error["fact"], error["exit_code"]) == ("Error", ExitCode.USAGE)
    assert main([*argv, "--json"]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert json.loads(out)["exitCode"] == ExitCode.USAGE
    assert json.loads(out)["error"] in err


def test_providers_are_shown_with_their_columns_and_settings(capsys: Capture) -> None:
    assert main(["providers"]) == 0
    told = capsys.readouterr().out
    assert [name for name in PROVIDERS if not re.search(rf"^{name} ", told, re.MULTILINE)] == []
    assert "RAVEN_SLINGSHOT_SHARED_SECRET" in told
    assert max(map(len, told.splitlines())) <= 80
    assert main(["providers", "raven"]) == 0
    told = capsys.readouterr().out
    for word in ("leafUserId", "refreshToken", "RAVEN_CLIENT_ID", "RAVEN_CLIENT_SECRET", "clientSecret"):
        assert word in told


def test_a_reader_that_closes_the_pipe_is_not_an_error() -> None:
    program = "import sys; from bulk_onboard.cli.main import main; sys.exit(main(['providers']))"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait() == 0
    assert told == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to offer")
@pytest.mark.parametrize("arguments", [["--help"], ["explain", "no-answer", "--json"]])
def test_an_output_that_cannot_be_written_is_5(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "bulk_onboard", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ran.returncode == 5
    assert b"standard output cannot be written: No space left" in ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_a_sigterm_before_the_run_begins_is_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def terminated(*_arguments: object, **_options: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(entry.cli, "main", terminated)
    assert main(["validate", "growers.csv"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupt_during_imports_shows_no_traceback() -> None:
    program = """
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from bulk_onboard.__main__ import main
sys.exit(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, "bulk-onboard: interrupted; nothing was done\n")
