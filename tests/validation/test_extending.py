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


def test_rules_codes_providers_and_formats_are_added_in_one_file_each(tmp_path: Path) -> None:
    """In a copy of the package, in a process of its own."""
    shutil.copytree(PACKAGE, tmp_path / "bulk_onboard", ignore=shutil.ignore_patterns("__pycache__"))
    for name, addition in {
        "validation/rules.toml": RULE,
        "domain/providers.toml": PROVIDER,
        "domain/codes.toml": CODE,
        "readers/formats/json_lines.py": FORMAT,
    }.items():
        with (tmp_path / "bulk_onboard" / name).open("a") as file:
            file.write(addition)
    (tmp_path / "rule.csv").write_text(f"leafUserId,refreshToken\n{ID},vault-0815\n{ID[:-1]}1,rt-4f1c-9a\n")
    (tmp_path / "hub.csv").write_text(f"leafUserId,Grant Code\n{ID},gc-4f1c-9a\n{ID[:-1]}1,NULL\n")
    (tmp_path / "folder").mkdir()
    for name in ("growers.jsonl", "folder/growers.jsonl"):
        (tmp_path / name).write_text(json.dumps({"leafUserId": ID, "refreshToken": "rt-4f1c-9a"}))
    commands = ["validate rule.csv", "validate hub.csv --provider combine-hub", "validate growers.jsonl"]
    commands += ["validate folder", "explain vault-entry"]
    calls = [f"main({[*command.split(), '--json']})" for command in commands]
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(["from bulk_onboard.cli.main import main", *calls])],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    texts, found, decode = ran.stdout, list[dict[str, Any]](), json.JSONDecoder().raw_decode
    while texts := texts.lstrip():
        data, end = decode(texts)
        found.append(data)
        texts = texts[end:]
    rule, hub, lines, folder, code = found
    (problem,) = rule["problems"]
    assert (problem["code"], problem["rows"], rule["valid"]) == ("wrapped-value", [2], 1)
    assert problem["message"] == "refreshToken is the number of an entry in the vault, not the token"
    assert (hub["valid"], hub["problems"][0]["code"]) == (1, "placeholder-value")
    assert hub["input"]["columns"]["grantCode"] == "Grant Code"
    assert (lines["valid"], lines["input"]["fileType"], folder["valid"]) == (1, "JSON lines", 1)
    assert "Look the token up in the vault" in str(code)


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
