"""Whatever the file is: an exit code that means something, one line that helps, no traceback, no hang."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bulk_onboard.cli.main import main
from tests.conftest import PLANTED
from tests.readers.bad_input import parquets, texts, workbooks
from tests.readers.bad_input.case import Case

CASES = [*texts.CASES, *workbooks.CASES, *parquets.CASES]
SECONDS = 10


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(case: Case, code: int, out: str, err: str) -> None:
    assert (code, err if code == 3 else "") == (case.code, err if code == 3 else "")
    assert PLANTED not in out + err
    assert "Traceback" not in err
    if code in {0, 1}:
        summary = json.loads(out)
        assert {one["code"]: one["rows"] for one in summary["problems"]} == case.problems
        if case.warnings:
            assert {one["code"]: one["rows"] for one in summary["warnings"]} == case.warnings
        assert case.rows is None or summary["rows"] == case.rows
        return
    lines = err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("bulk-onboard: error: ")
    assert len(lines[0]) < (600 if case.name != "many-columns.csv" else 4000)
    for words in case.words:
        assert words in lines[0]
    error = lines[0].removeprefix("bulk-onboard: error: ")
    assert json.loads(out) == {"exitCode": case.code, "error": error}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_broken_file_is_refused_in_one_line(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case.make(tmp_path / case.name)
    began = time.monotonic()
    code = main(["validate", case.name, "--json", *case.options])
    assert time.monotonic() - began < SECONDS
    check(case, code, *capsys.readouterr())


def test_a_broken_file_in_a_process_of_its_own(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "utf-16.csv")
    case.make(tmp_path / case.name)
    argv = [sys.executable, "-m", "bulk_onboard", "validate", case.name, "--json", *case.options]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=3 * SECONDS, check=False)
    check(case, ran.returncode, ran.stdout, ran.stderr)


def test_names_of_cases_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 80
