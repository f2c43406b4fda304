"""Files as people have them: what `validate` says about each, and what `run` sends."""

from __future__ import annotations

import csv
import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulk_onboard.cli.main import main
from tests.support.sandbox import Server, serving

HERE = Path(__file__).parent
CASES: list[dict[str, Any]] = tomllib.loads((HERE / "cases.toml").read_text("utf-8"))["case"]
APP = "RAVEN_CLIENT_ID RAVEN_CLIENT_SECRET VALLEY_APID VALLEY_INITIALIZATION_VECTOR VALLEY_KEY"
APP += " JOHN_DEERE_CLIENT_KEY JOHN_DEERE_CLIENT_SECRET"


def _parameters(key: str, xfail: str) -> list[Any]:
    """One parameter per case that has this key; a case with the key ``xfail`` must fail."""
    return [
        pytest.param(
            case,
            id=case["file"],
            marks=[pytest.mark.xfail(reason=case[xfail], strict=True)] if xfail in case else [],
        )
        for case in CASES
        if key in case
    ]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _copy(case: dict[str, Any]) -> str:
    """Copy the input of a case to the current folder and return its name."""
    top = case["file"].split("/")[0]
    (shutil.copytree if (HERE / top).is_dir() else shutil.copy)(HERE / top, top)
    return str(case["file"])


def _validate(
    capsys: pytest.CaptureFixture[str], *arguments: str, readable: bool = False
) -> tuple[int, str, dict[str, Any]]:
    """The exit code, everything that was printed (``readable``: for people too), and the JSON if any."""
    text = ""
    if readable:
        main(["validate", *arguments])
        text = "".join(capsys.readouterr())
        for name in ("fixed.csv", "marked.xlsx"):
            if name in arguments[1:]:
                Path(name).unlink()
    code = main(["validate", *arguments, "--json"])
    out, err = capsys.readouterr()
    return code, text + err, json.loads(out) if code in {0, 1} else {}


@pytest.mark.parametrize("case", _parameters("file", "xfail"))
def test_validate(case: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    readable = bool(case.keys() & {"words", "never"})
    code, text, data = _validate(capsys, _copy(case), *case.get("options", ()), readable=readable)
    assert code == case.get("exit", code), text
    assert [word for word in case.get("words", ()) if word not in " ".join(text.split())] == []
    assert [word for word in case.get("never", ()) if word in text] == []
    if code in {0, 1}:
        _check_data(case, data)
    if "then" in case:
        code, text, data = _validate(capsys, *case["then"])
        assert (code, data["valid"]) == (case["then_exit"], case["then_valid"]), text


def _check_data(case: dict[str, Any], data: dict[str, Any]) -> None:
    assert {key: data[key] for key in ("valid", "invalid") if key in case} == {
        key: case[key] for key in ("valid", "invalid") if key in case
    }
    if "codes" in case:
        assert _codes(Path(data["file"])) == case["codes"]
    if "warnings" in case:
        assert sorted({row for group in data["warnings"] for row in group["rows"]}) == case["warnings"]
    if "input" in case:
        assert {key: data["input"][key] for key in case["input"]} == case["input"]
    if "skipped" in case:
        assert [line["row"] for line in data["input"]["skippedLines"]] == case["skipped"]
    if "skipped_count" in case:
        assert len(data["input"]["skippedLines"]) == case["skipped_count"]


def _codes(problems: Path) -> dict[str, list[int]]:
    """Code -> rows of `problems.csv`, each row once."""
    found: dict[str, list[int]] = {}
    with problems.open(newline="", encoding="utf-8-sig") as file:
        for line in csv.DictReader(file):
            if int(line["row"]) not in found.setdefault(line["code"], []):
                found[line["code"]].append(int(line["row"]))
    return found


@pytest.fixture
def leaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A Leaf on this machine that every setting points to."""
    with serving() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        for name in APP.split():
            monkeypatch.setenv(name, "made-up")
        monkeypatch.setenv("JOHN_DEERE_CLIENT_ENVIRONMENT", "STAGE")
        yield server


@pytest.mark.parametrize("case", _parameters("sent", "xfail_run"))
def test_what_run_sends(case: dict[str, Any], leaf: Server, capsys: pytest.CaptureFixture[str]) -> None:
    options = [option for option in case.get("options", ()) if option not in {"--fix", "fixed.csv"}]
    code = main(["run", _copy(case), *options, "--rate", "0", "--no-events", "-q"])
    assert code == case["exit"], capsys.readouterr().err
    users = [user for user, _, _ in leaf.bodies]
    assert len(users) == len(set(users)) == case.get("valid", len(case["sent"]))
    for user, path, body in leaf.bodies:
        expected, sent = case["sent"].get(user[-4:]), body | {"kind": path}
        assert expected is None or {key: sent[key] for key in expected} == expected
    assert case["sent"].keys() <= {user[-4:] for user in users}
