"""Files as people have them: what `validate` says about each, and what `run` sends."""

from __future__ import annotations

import csv
import json
import shutil
import threading
import tomllib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bulk_onboard.cli.main import main

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


def _validate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """The exit code, everything that was printed (for people and as JSON), and the JSON if there is any."""
    code = main(["validate", *arguments])
    text = "".join(capsys.readouterr())
    for name in ("fixed.csv", "marked.xlsx"):
        if name in arguments[1:]:
            Path(name).unlink()
    assert main(["validate", *arguments, "--json"]) == code
    out, err = capsys.readouterr()
    return code, text + err, json.loads(out) if code in {0, 1} else {}


@pytest.mark.parametrize("case", _parameters("file", "xfail"))
def test_validate(case: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, text, data = _validate(capsys, _copy(case), *case.get("options", ()))
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


class _Leaf(BaseHTTPRequestHandler):
    """A Leaf that stores whatever is posted and remembers it in the server's ``stored``."""

    protocol_version = "HTTP/1.1"
    server: _LeafServer

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _reply(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        user, _, kind = self.path.partition("?")[0].partition("/users/")[2].partition("/")
        if not user:
            self._reply(200, [])
        elif user in self.server.stored or not kind:
            self._reply(200, self.server.stored.get(user, {"id": user}))
        else:
            self._reply(404, {"title": "Not Found", "status": 404})

    def do_POST(self) -> None:
        user, _, kind = self.path.partition("/users/")[2].partition("/")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        credential = {"id": str(uuid.uuid4()), "createdTime": created, "status": "OK", **body}
        self.server.stored[user] = credential
        self.server.posts.append((user, {"kind": kind, **body}))
        self._reply(201, credential)


class _LeafServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Leaf)
        self.stored: dict[str, dict[str, Any]] = {}
        self.posts: list[tuple[str, dict[str, str]]] = []


@pytest.fixture
def leaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[_LeafServer]:
    """A Leaf on this machine that every setting points to."""
    for name in (*APP.split(), "LEAF_TOKEN"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.setenv("JOHN_DEERE_CLIENT_ENVIRONMENT", "STAGE")
    with _LeafServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("LEAF_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("case", _parameters("sent", "xfail_run"))
def test_what_run_sends(case: dict[str, Any], leaf: _LeafServer, capsys: pytest.CaptureFixture[str]) -> None:
    options = [option for option in case.get("options", ()) if option not in {"--fix", "fixed.csv"}]
    code = main(["run", _copy(case), *options, "--rate", "0", "--no-events", "-q"])
    assert code == case["exit"], capsys.readouterr().err
    assert len(leaf.posts) == len({user for user, _ in leaf.posts}) == case.get("valid", len(case["sent"]))
    for user, sent in leaf.posts:
        expected = case["sent"].get(user[-4:])
        assert expected is None or {key: sent[key] for key in expected} == expected
    assert case["sent"].keys() <= {user[-4:] for user, _ in leaf.posts}
