"""One file is enough for a new rule, provider, code or input format; it works everywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import bulk_onboard
from bulk_onboard.domain.chunk import text_column
from bulk_onboard.validation.cells import find_suspects
from bulk_onboard.validation.rules import check_cell, rules_of

PACKAGE = Path(bulk_onboard.__file__).parent
ID = "0b9cd62b-4f4d-4c0a-9f0e-1f8f8d0f5a10"
RULE = """
[[rules]]
code = "wrapped-value"
kinds = ["token"]
pattern = 'vault-[0-9]+'
words = "is the number of an entry in the vault, not the token"
"""
PROVIDER = """
[providers.combine-hub]
title = "Combine Hub"
path = "combine-hub-credentials"
embedded = "combineHubCredentials"
fields = [
    { name = "apiKey", scope = "app", kind = "token" },
    { name = "grantCode", scope = "grower", kind = "token", help = "the code of the grower's grant" },
]
"""
CODE = """
[vault-entry]
meaning = "The cell holds the number of an entry in the vault."
hint = "Look the token up in the vault, enter it, and run again."
"""


FORMAT = """
import json

from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.domain.chunk import make_chunk
from bulk_onboard.readers.detect import Format
from bulk_onboard.readers.input_file import FileSource


class JsonLines(FileSource):
    def __init__(self, file, options):
        self._file, self.name = file, file.name
        self._rows = [json.loads(line) for line in file.reader()]
        self.header = tuple(self._rows[0])
        self.description = InputDescription(file.name, "JSON lines")

    def chunks(self, columns, size=1000):
        texts = [[row[self.header[at]] for row in self._rows] for at in columns]
        yield make_chunk(range(2, 2 + len(self._rows)), texts)


FORMAT = Format((".jsonl",), lambda _, head: head.startswith(b"{"), JsonLines)
"""


def run(folder: Path, table: str, addition: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of the package in which one file has an addition."""
    copy = folder / "bulk_onboard"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / table).open("a") as file:
        file.write(addition)
    command = [sys.executable, "-m", "bulk_onboard", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def checked(folder: Path, *arguments: str, table: str, addition: str, rows: str) -> dict[str, Any]:
    """Write a file, validate it with a changed package, and return the result."""
    (folder / "growers.csv").write_text(rows)
    done = run(folder, table, addition, "validate", "growers.csv", "--json", *arguments)
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def test_a_rule_is_added_in_rules_toml(tmp_path: Path) -> None:
    rows = f"leafUserId,refreshToken\n{ID},vault-0815\n{ID[:-1]}1,rt-4f1c-9a\n"
    found = checked(tmp_path, table="validation/rules.toml", addition=RULE, rows=rows)
    (problem,) = found["problems"]
    assert (problem["code"], problem["rows"], found["valid"]) == ("wrapped-value", [2], 1)
    assert problem["message"] == "refreshToken is the number of an entry in the vault, not the token"


def test_a_provider_is_added_in_providers_toml(tmp_path: Path) -> None:
    rows = f"leafUserId,Grant Code\n{ID},gc-4f1c-9a\n{ID[:-1]}1,NULL\n"
    table = "domain/providers.toml"
    found = checked(tmp_path, "--provider", "combine-hub", table=table, addition=PROVIDER, rows=rows)
    assert (found["valid"], found["problems"][0]["code"]) == (1, "placeholder-value")
    assert found["input"]["columns"]["grantCode"] == "Grant Code"


def test_a_provider_of_the_user_is_added_in_the_same_format(tmp_path: Path) -> None:
    (tmp_path / "bulk-onboard.toml").write_text(PROVIDER)
    rows = f"leafUserId,Grant Code\n{ID},gc-4f1c-9a\n{ID[:-1]}1,NULL\n"
    table = "domain/providers.toml"
    found = checked(tmp_path, "--provider", "combine-hub", table=table, addition="", rows=rows)
    assert (found["valid"], found["problems"][0]["code"]) == (1, "placeholder-value")


def test_a_code_is_added_in_codes_toml(tmp_path: Path) -> None:
    done = run(tmp_path, "domain/codes.toml", CODE, "explain", "vault-entry")
    assert "Look the token up in the vault" in done.stdout


def test_an_input_format_is_added_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "growers.jsonl").write_text(json.dumps({"leafUserId": ID, "refreshToken": "rt-4f1c-9a"}))
    table = "readers/formats/json_lines.py"
    data = json.loads(run(tmp_path, table, FORMAT, "validate", "growers.jsonl", "--json").stdout)
    assert (data["valid"], data["input"]["fileType"]) == (1, "JSON lines")
    (tmp_path / "folder").mkdir()
    shutil.copy(tmp_path / "growers.jsonl", tmp_path / "folder")
    command = [sys.executable, "-m", "bulk_onboard", "validate", "folder"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == 0


def test_every_rule_that_applies_to_a_plain_text_says_so() -> None:
    """With a wrong `plain`, a rule does not see plain texts; a mistake that is easy to make."""
    texts = [
        "30-Nov-26", "12kr", "Error2042", "System.Int32", "www.x1.com", "eyJhbGciOiJ9.e30", "0-0", "x-0-x",
        "1.5E3", "a1" * 127 + "b", "eyJhbGciOi", "00", "NULL", "1e-05", "n/a 1", "Object id #5",
        *("a1" * 20 + odd for odd in "é\u2013=.+ \x00\u0660"), "1" * 40, "e1" * 20,
        "x" * 36 + "-0", "0-" * 20 + "x",
    ]  # fmt: skip
    for kind in ("token", "text", "user", "id"):
        assert rules_of(kind)
        for text, suspect in zip(texts, find_suspects(text_column(texts), kind), strict=True):
            assert suspect or check_cell(text, kind) == (text, None, ()), (kind, text)
