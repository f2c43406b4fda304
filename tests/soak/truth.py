"""What the files of a round say, held against what its Leaf has seen and holds. Every complaint is a text."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.colleague import Act
from tests.soak.plan import Fate, Line, Plan
from tests.soak.store import Store

CONNECTED = {"created", "existing"}
NOTHING_STORED = {"failed", "rejected", "invalid"}
STATUSES = CONNECTED | NOTHING_STORED | {"duplicate", "unresolved", "not_attempted"}
# The code of a row that was connected, and of which the run says that it does not know whether it still is.
UNKNOWN = "check-failed"
# Growers with an intent without an outcome, or with one that could not be settled.
OPEN = "SELECT count(*) FROM grower WHERE status IS NULL OR status = 'unresolved'"


# How old a response may be when a POST relies on it, and how late a request may reach Leaf; in seconds.
FRESH, ON_ITS_WAY = 5.0, 1.0


@dataclass(frozen=True, slots=True)
class Paused:
    """What Leaf says: its requests, credential ids by grower, and the growers that had some from the start.

    ``acts``: what a colleague did meanwhile.
    """

    requests: list[dict[str, Any]]
    ids: Mapping[str, str | None]
    before: Mapping[str, str | None]
    before_prints: frozenset[str] = frozenset()
    acts: list[Act] = field(default_factory=list)

    @property
    def posts(self) -> list[dict[str, Any]]:
        """The POSTs of credentials, in the order in which they were settled."""
        return [seen for seen in self.requests if seen["method"] == "POST" and seen["provider"]]

    def acts_on(self, leaf_user_id: str) -> list[Act]:
        """What the colleague did to a grower's credentials, in order."""
        return [act for act in self.acts if act.leaf_user_id == leaf_user_id]

    def looks(self, leaf_user_id: str) -> list[dict[str, Any]]:
        """The GETs of a grower's credentials that nothing went wrong with."""
        return [
            seen
            for seen in self.requests
            if seen["leafUserId"] == leaf_user_id
            and seen["method"] == "GET"
            and seen["path"].endswith("-credentials")
            and not seen["fault"]
            and seen["status"] in {200, 204, 404}
        ]


def results(folder: Path) -> list[dict[str, str]]:
    """The lines of a run's results."""
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def about_posts(held: Paused, *, replaces: bool = False) -> Iterator[str]:
    """Nothing is sent again once it is stored, and existing credentials are left alone unless replaced."""
    stored: dict[tuple[str, str], int] = {}
    for seen in held.posts:
        key = seen["leafUserId"], seen["fingerprint"]
        if key in stored:
            yield f"twice: {key[0]} was POSTed again (request {seen['index']}) after {stored[key]} stored it"
        if seen["stored"]:
            stored[key] = seen["index"]
        if replaces:
            continue
        if seen["leafUserId"] in held.before and seen["fingerprint"] not in held.before_prints:
            yield f"touched: {key[0]} had credentials before and was POSTed (request {seen['index']})"
    for leaf_user_id, credential_id in held.before.items():
        if not replaces and held.ids.get(leaf_user_id) != credential_id:
            yield f"touched: the credentials that {leaf_user_id} had before were replaced"


def about_deletes(held: Paused, *, replaces: bool) -> Iterator[str]:
    """Only what is to be replaced is deleted: what was there from the start, and nothing that we stored."""
    ours: set[str] = set()
    for seen in held.requests:
        grower = seen["leafUserId"]
        if seen["method"] == "DELETE" and (not replaces or grower not in held.before or grower in ours):
            yield f"touched: a DELETE was sent for {grower} (request {seen['index']})"
        if seen["method"] == "POST" and seen["stored"] and seen["fingerprint"] not in held.before_prints:
            ours.add(grower)


def about_colleague(plan: Plan, held: Paused) -> Iterator[str]:
    """What the colleague stored stays, and no POST is sent once it could be known.

    Between the last look and the POST it cannot be known; a Leaf that then overwrites is beyond us.
    """
    for grower in dict.fromkeys(act.leaf_user_id for act in held.acts):
        acts = held.acts_on(grower)
        posts = [seen for seen in held.posts if seen["leafUserId"] == grower]
        for number, act in enumerate(acts):
            end = acts[number + 1].index if number + 1 < len(acts) else len(held.requests)
            during = [seen for seen in posts if act.id and act.index <= seen["index"] < end]
            for seen in during:
                if why := _known(plan, act, seen, held):
                    yield f"touched: {grower} was POSTed (request {seen['index']}) {why}"
            is_last = act is acts[-1] and act.id and not any(seen["stored"] for seen in during)
            if is_last and held.ids.get(grower) != act.id:
                yield f"touched: the credentials that a colleague stored for {grower} are gone"


def _known(plan: Plan, act: Act, post: Mapping[str, Any], held: Paused) -> str:
    """Why the sender of a POST knew, or had to know, what the colleague had stored; "" if it did not."""
    sent = post["monotonic"] - plan.at_work - ON_ITS_WAY
    shows = act.monotonic + plan.unknowns.credential_lag
    if any(shows < look["monotonic"] < sent for look in held.looks(act.leaf_user_id)):
        return "after a look had shown a colleague's credentials"
    if sent > shows + FRESH + plan.timeout:
        return f"{sent - shows:.1f} s after a colleague's credentials could be seen"
    return ""


def about_run(plan: Plan, folder: Path, held: Paused, code: int, since: int = 0) -> Iterator[str]:
    """A run that ended by itself tells the truth, whatever the weather was.

    ``since``: the index of its first request.
    """
    rows = results(folder)
    summary = json.loads((folder / "summary.json").read_text())
    yield from _about_files(folder)
    yield from _about_counts(plan, rows, summary, code)
    for line, row in zip(plan.lines, rows, strict=True):
        acts = held.acts_on(line.leaf_user_id) if line.fate is not Fate.DUPLICATE else []
        # A look may lag behind the reply to our POST, so credentials that a colleague deletes are pending.
        unknown = row["code"] == UNKNOWN or row["health"] == "pending"
        unknown = unknown or _is_later(acts, held, since, plan.unknowns.credential_lag)
        if acts and unknown:
            wrong = _about_claim(row, held, acts)
        else:
            wrong = _about_row(line, row, held, replaces=plan.replaces) or _about_claim(row, held, acts)
        if wrong:
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


def _is_later(acts: list[Act], held: Paused, since: int, lag: float) -> bool:
    """Whether the colleague acted so late that none of the run's looks at the grower could show it."""
    if not acts:
        return False
    act = acts[-1]
    looks = [seen for seen in held.looks(act.leaf_user_id) if seen["index"] >= since]
    return not looks or looks[-1]["monotonic"] <= act.monotonic + lag


def _about_claim(row: Mapping[str, str], held: Paused, acts: list[Act]) -> str:
    """A colleague's credentials are not called ours, unless they have our app and we sent a POST."""
    posts = [seen for seen in held.posts if seen["leafUserId"] == row["leafUserId"]]
    if not acts or row["status"] != "created" or any(seen["stored"] for seen in posts):
        return ""
    if posts and any(act.same_app for act in acts):
        return ""
    return f"is created/{row['code']}, but only a colleague stored credentials"


def _about_row(line: Line, row: Mapping[str, str], held: Paused, *, replaces: bool) -> str:
    status, there = row["status"], held.ids.get(line.leaf_user_id)
    if status not in STATUSES:
        return f"has no status ({status!r})"
    if (line.fate is Fate.INVALID) != (status == "invalid"):
        return f"is {status}"
    if (line.fate is Fate.DUPLICATE) != (status == "duplicate"):
        return f"is {status}"
    if row["code"] == "credentials-gone":
        return f"is called gone, Leaf holds {there!r}" if there else ""
    if status in CONNECTED and (there is None or there != row["credentialId"]):
        return f"is {status} with credentials {row['credentialId']!r}, Leaf holds {there!r}"
    if status in NOTHING_STORED and line.fate.is_sent and there is not None:
        return f"is {status}/{row['code']}, but Leaf holds {there!r}"
    if line.fate is Fate.HELD and status == "created" and not replaces:
        return "is created, but was there before"
    return ""


def about_end(plan: Plan, folder: Path, held: Paused, ledger: Store) -> Iterator[str]:
    """After the last run every row is where it belongs, and nothing is open."""
    for line, row in zip(plan.lines, results(folder), strict=True):
        if row["status"] not in _wanted(plan, line, held):
            yield f"lost: row {row['row']} ({line.fate.name}) is {row['status']}/{row['code']}"
    stored = Counter(
        seen["leafUserId"]
        for seen in held.posts
        if seen["stored"] and seen["fingerprint"] not in held.before_prints
    )
    for line in plan.lines:
        wanted = int(line.fate.is_sent or (line.fate is Fate.HELD and plan.replaces))
        least = 0 if held.acts_on(line.leaf_user_id) else wanted
        if line.fate is not Fate.DUPLICATE and not least <= stored[line.leaf_user_id] <= wanted:
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


def _wanted(plan: Plan, line: Line, held: Paused) -> frozenset[str]:
    """The statuses that a row may have in the end."""
    if line.fate is Fate.HELD and plan.replaces:
        return frozenset(CONNECTED)
    visited = line.fate in {Fate.STORED, Fate.UNHEALTHY, Fate.REJECTED} and held.acts_on(line.leaf_user_id)
    return _WANTED[line.fate] | CONNECTED if visited else _WANTED[line.fate]


def is_over(plan: Plan, folder: Path, held: Paused) -> bool:
    """Whether nothing is left to do."""
    rows = zip(plan.lines, results(folder), strict=True)
    return all(row["status"] in _wanted(plan, line, held) for line, row in rows)
