"""What the files of a round say, held against what its Leaf has seen and holds. Every complaint is a text."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.soak.plan import Fate, Line, Plan
from tests.soak.store import Store

CONNECTED = {"created", "existing"}
NOTHING_STORED = {"failed", "rejected", "invalid"}
STATUSES = CONNECTED | NOTHING_STORED | {"duplicate", "unresolved", "not_attempted"}
# Newest entry of a grower: an intent without an outcome, or one that could not be settled.
OPEN = """
SELECT count(*) FROM entry AS e WHERE leaf_user_id != '' AND (status IS NULL OR status = 'unresolved')
AND NOT EXISTS (SELECT 1 FROM entry AS later WHERE later.leaf_user_id = e.leaf_user_id
                AND later.scope_id = e.scope_id AND later.run_no > e.run_no)
"""


@dataclass(frozen=True, slots=True)
class Held:
    """What Leaf says: its requests, credential ids by grower, and the growers who had some from the start."""

    requests: list[dict[str, Any]]
    ids: Mapping[str, str | None]
    before: Mapping[str, str | None]
    before_prints: frozenset[str] = frozenset()

    @property
    def posts(self) -> list[dict[str, Any]]:
        """The POSTs of credentials, in the order in which they were settled."""
        return [seen for seen in self.requests if seen["method"] == "POST" and seen["provider"]]


def results(folder: Path) -> list[dict[str, str]]:
    """The lines of a run's results."""
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def about_posts(held: Held) -> Iterator[str]:
    """Nothing is sent again once it is stored, and who has credentials is left alone."""
    stored: dict[tuple[str, str], int] = {}
    for seen in held.posts:
        key = seen["leafUserId"], seen["fingerprint"]
        if key in stored:
            yield f"twice: {key[0]} was POSTed again (request {seen['index']}) after {stored[key]} stored it"
        if seen["stored"]:
            stored[key] = seen["index"]
        if seen["leafUserId"] in held.before and seen["fingerprint"] not in held.before_prints:
            yield f"touched: {key[0]} had credentials before and was POSTed (request {seen['index']})"
    for leaf_user_id, credential_id in held.before.items():
        if held.ids.get(leaf_user_id) != credential_id:
            yield f"touched: the credentials that {leaf_user_id} had before were replaced"


def about_run(plan: Plan, folder: Path, held: Held, code: int) -> Iterator[str]:
    """A run that ended by itself tells the truth, whatever the weather was."""
    rows = results(folder)
    summary = json.loads((folder / "summary.json").read_text())
    yield from _about_files(folder)
    yield from _about_counts(plan, rows, summary, code)
    for line, row in zip(plan.lines, rows, strict=True):
        if wrong := _about_row(line, row, held):
            yield f"{folder.name} row {row['row']} ({line.fate.name}): {wrong}"


def _about_files(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.suffix == ".part":
            yield f"draft: {path} was left behind by a complete run"
        if path.stat().st_mode & 0o077:
            yield f"mode: {path} can be read by others"


def _about_counts(
    plan: Plan, rows: list[dict[str, str]], summary: Mapping[str, Any], code: int
) -> Iterator[str]:
    counts = Counter(row["status"] for row in rows)
    said = {status: count for status, count in summary["counts"].items() if count}
    if counts != said or sum(said.values()) != summary["rows"] or len(rows) != len(plan.lines):
        yield f"counts: {dict(counts)} in results, {said} in summary, {len(plan.lines)} rows in the file"
    if summary["exitCode"] != code:
        yield f"exit: the command ended with {code}, summary.json says {summary['exitCode']}"
    if [int(row["row"]) for row in rows] != list(range(2, len(rows) + 2)):
        yield "order: the rows are not those of the file in their order"


def _about_row(line: Line, row: Mapping[str, str], held: Held) -> str:
    status, there = row["status"], held.ids.get(line.leaf_user_id)
    if status not in STATUSES:
        return f"has no status ({status!r})"
    if (line.fate is Fate.INVALID) != (status == "invalid"):
        return f"is {status}"
    if (line.fate is Fate.DUPLICATE) != (status == "duplicate"):
        return f"is {status}"
    if status in CONNECTED and (there is None or there != row["credentialId"]):
        return f"is {status} with credentials {row['credentialId']!r}, Leaf holds {there!r}"
    if status in NOTHING_STORED and line.fate.is_sent and there is not None:
        return f"is {status}/{row['code']}, but Leaf holds {there!r}"
    if line.fate is Fate.HELD and status == "created":
        return "is created, but was there before"
    return ""


def about_end(plan: Plan, folder: Path, held: Held, ledger: Store) -> Iterator[str]:
    """After the last run every row is where it belongs, and nothing is open."""
    for line, row in zip(plan.lines, results(folder), strict=True):
        if row["status"] not in _WANTED[line.fate]:
            yield f"lost: row {row['row']} ({line.fate.name}) is {row['status']}/{row['code']}"
    stored = Counter(seen["leafUserId"] for seen in held.posts if seen["stored"])
    for line in plan.lines:
        wanted = int(line.fate.is_sent)
        if line.fate not in {Fate.DUPLICATE, Fate.HELD} and stored[line.leaf_user_id] != wanted:
            yield f"stored: {line.leaf_user_id} ({line.fate.name}) {stored[line.leaf_user_id]} times"
    if left := ledger.ask(OPEN)[0][0]:
        yield f"open: {left} growers have an intent without an outcome"


_WANTED: Mapping[Fate, frozenset[str]] = {
    Fate.STORED: frozenset(CONNECTED),
    Fate.UNHEALTHY: frozenset(CONNECTED),
    Fate.HELD: frozenset({"existing"}),
    Fate.REJECTED: frozenset({"rejected"}),
    Fate.INVALID: frozenset({"invalid"}),
    Fate.DUPLICATE: frozenset({"duplicate"}),
}


def is_over(plan: Plan, folder: Path) -> bool:
    """Whether nothing is left to do."""
    return all(r["status"] in _WANTED[li.fate] for li, r in zip(plan.lines, results(folder), strict=True))
