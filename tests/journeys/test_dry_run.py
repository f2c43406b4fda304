"""A dry run tells what would happen and changes nothing; its plan is carried out exactly, or says why not."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.run_events import RunInfo
from bulk_onboard.engine.opening import find_run, scopes_of
from bulk_onboard.ledger import Ledger
from bulk_onboard.sandbox import Behaviour, Unknowns, User
from tests.support.cli import PLANTED, Desk, Leaf, Ran, Rows, Server, grower, growers, write

ROWS, LISTED, CONNECTED = 60, 120, 20


def _leaf(leaf: Leaf, **answers: Any) -> Server:
    known = tuple(User(grower(n)) for n in range(LISTED))
    return leaf(Behaviour(unknowns=Unknowns(**{"users": "listed", **answers}), event_delay=0, users=known))


def _connect(desk: Desk, rows: Rows) -> None:
    """They have been connected by somebody else."""
    file = write(rows, "before.csv")
    assert desk.run(file, "--output", "before", "--no-events", "--if-exists", "overwrite").code == 0


def _changes(server: Server, since: int) -> list[str]:
    """Requests that are no questions."""
    return [each["method"] for each in server.seen()[since:] if each["method"] != "GET"]


def _plan(ran: Ran) -> Path:
    return ran.folder / "plan.csv"


def _actions(plan: Path) -> dict[str, str]:
    with plan.open(newline="", encoding="utf-8") as file:
        return {line["row"]: line["action"] for line in csv.DictReader(file)}


def _mixed() -> list[tuple[str, str]]:
    """Good rows, one that repeats another, one that is invalid and one of no user."""
    rows = growers(ROWS)
    return [*rows, rows[0], (grower(LISTED + 1), ""), (grower(LISTED + 2), f"{PLANTED}nobody")]


def test_a_dry_run_predicts_each_row_and_only_reads(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf)
    _connect(desk.at(server), growers(ROWS)[::3])
    before, held = len(server.seen()), server.held
    ran = desk.run(write(_mixed()), "--dry-run")
    assert ran.code == 1
    assert _changes(server, before) == []
    assert server.held == held
    told = {"would_create": ROWS - CONNECTED, "existing": CONNECTED}
    told |= {"duplicate": 1, "invalid": 1, "no_such_user": 1}
    assert ran.statuses == told
    assert Counter(_actions(_plan(ran)).values()) == told
    counts = ran.summary["counts"]
    assert {name: counts[name] for name in told} == told
    assert counts["would_replace"] == counts["created"] == 0
    text = " ".join(ran.err.split())
    assert "Dry run: nothing was changed. 40 growers would be connected, 20 are connected already" in text
    assert "Dry run, nothing is changed: about to check 61 rows" in text
    assert "to do exactly this" in text
    # The run does what the dry run predicted.
    dry, before = ran, len(server.seen())
    ran = desk.run("growers.csv")
    became = {"would_create": "created", "no_such_user": "rejected"}
    assert {r["row"]: r["status"] for r in ran.rows} == {
        row: became.get(action, action) for row, action in _actions(_plan(dry)).items()
    }
    taken = Counter(each["method"] for each in server.seen()[before:])
    foreseen = dry.summary["forecast"]["requests"]
    assert foreseen["post"] == ROWS - CONNECTED
    assert taken["POST"] == foreseen["post"] + 1  # who is no user is found out by a POST
    assert taken["GET"] == pytest.approx(foreseen["get"], rel=0.1)
    assert foreseen["total"] == foreseen["get"] + foreseen["post"]


def test_the_second_look_at_growers_with_other_tokens_is_in_the_estimate(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf)
    _connect(desk.at(server), [(name, f"{token}-other") for name, token in growers(5)])
    file = write(growers(9))
    estimate = desk.run(file, "--dry-run").summary["forecast"]["requests"]
    requests = desk.run(file).summary["requests"]
    # One to begin with; five growers are asked about twice, four once; then events and credentials of all.
    assert (estimate["get"], estimate["post"]) == (1 + 5 * 2 + 4 + 9 * 2, 4)
    assert (requests["get"], requests["post"]) == (estimate["get"], estimate["post"])


def test_a_password_login_is_the_only_post_of_a_dry_run(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf)
    desk.at(server).set("LEAF_TOKEN", None)
    desk.set("LEAF_USERNAME", "me")
    desk.set("LEAF_PASSWORD", f"{PLANTED}password")
    assert desk.run(write(growers(3)), "--dry-run").code == 0
    changes = [each["path"] for each in server.seen() if each["method"] != "GET"]
    assert changes == ["/api/authenticate"]


def test_a_dry_run_changes_nothing_for_later_runs(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf)
    _connect(desk.at(server), growers(1))
    file = write(growers(4))
    first = desk.run(file, "--dry-run")
    assert first.statuses == {"existing": 1, "would_create": 3}
    assert desk.run(file, "--dry-run").statuses == first.statuses
    with Ledger(Path("reports/ledger.sqlite3")) as ledger:
        (scope,) = scopes_of(ledger, find_run(ledger, None)[1]).values()
        assert ledger.known(scope, [i for i, _ in growers(4)]) == {}
    assert desk.run(file).statuses == {"existing": 1, "created": 3}
    again = desk("report", first.folder.name)
    assert again.code == 0
    assert again.statuses == first.statuses
    refused = desk("events", first.folder.name)
    assert refused.code == 2
    assert "was a dry run" in refused.err


def test_an_open_intent_stays_open(desk: Desk, leaf: Leaf) -> None:
    desk.at(server := _leaf(leaf))
    file = write(growers(1))
    with Ledger(Path("reports/ledger.sqlite3")) as ledger:
        scope = ledger.scope(server.url, "me", "raven")
        info = RunInfo("r-killed", "raven", file, server.url, "me", datetime(2026, 11, 23, tzinfo=UTC))
        intent = Entry(2, None, grower(0), intended_at="2026-11-23T00:00:00.000Z")
        ledger.write(ledger.begin(info, scope, "process 1 on here"), scope, [intent], [])
    ran = desk.run(file, "--dry-run", "--timeout", "0.3")
    assert ran.rows[0]["status"] == "would_create"
    assert ran.rows[0]["code"] == "open-intent"
    assert server.posts == 0
    with Ledger(Path("reports/ledger.sqlite3")) as ledger:
        (known,) = ledger.known(scope, [grower(0)]).values()
    assert known.status is None


# --- the plan -------------------------------------------------------------------------------------------


def test_a_run_with_a_plan_does_exactly_that(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf)
    _connect(desk.at(server), growers(ROWS)[::3])
    file = write(growers(ROWS))
    plan = _plan(desk.run(file, "--dry-run"))
    lines = plan.read_text().splitlines()
    plan.write_text("\n".join([lines[0], *lines[11:]]) + "\n")  # the first ten rows are taken out
    ran = desk.run(file, "--plan", str(plan))
    left_out = [row for row in ran.rows if row["code"] == "not-in-plan"]
    assert Counter(row["status"] for row in left_out) == {"not_attempted": 10}
    assert ran.statuses == {"created": ROWS - CONNECTED - 6, "not_attempted": 10, "existing": CONNECTED - 4}
    assert ran.summary["plan"] == {"name": "plan.csv", "outdated": 0, "notInPlan": 10}
    assert ran.code == 1
    assert len(server.held) == CONNECTED + ROWS - CONNECTED - 6
    assert desk.run(file).statuses == {"created": 6, "existing": ROWS - 6}


def test_rows_that_changed_since_the_plan_are_reported_as_outdated(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf)
    rows = growers(6)
    desk.at(server)
    plan = _plan(desk.run(write(rows), "--dry-run"))
    _connect(desk, [(rows[0][0], f"{PLANTED}theirs"), rows[1]])
    rows[2] = (rows[2][0], f"{PLANTED}another-token")
    ran = desk.run(write(rows), "--plan", str(plan))
    assert [row["code"] for row in ran.rows[:4]] == ["plan-outdated"] * 3 + [""]
    assert [row["status"] for row in ran.rows[:4]] == ["existing", "existing", "not_attempted", "created"]
    assert ran.summary["plan"]["outdated"] == 3
    assert "3 plan-outdated" in ran.err
    # What was found out is not forgotten: Leaf holds a different token than the file.
    again = desk.run(write(rows))
    assert [row["code"] for row in again.rows[:3]] == ["token-changed", "already-onboarded", ""]
    assert again.rows[2]["status"] == "created"


def test_a_plan_can_be_continued(desk: Desk, leaf: Leaf) -> None:
    desk.at(_leaf(leaf))
    file = write(growers(4))
    plan = _plan(desk.run(file, "--dry-run"))
    assert desk.run(file, "--plan", str(plan), "--limit", "2").statuses == {"created": 2}
    ran = desk.run(file, "--plan", str(plan))
    assert ran.statuses == {"existing": 2, "created": 2}
    assert ran.code == 0


def test_a_damaged_plan_is_refused(desk: Desk, leaf: Leaf) -> None:
    desk.at(server := _leaf(leaf))
    file = write(growers(2))
    ran = desk.run(file, "--plan", file)
    assert ran.code == 3
    assert (
        "growers.csv is not a plan: it has no column leaf, apiOwner, provider, action, fingerprint" in ran.err
    )
    plan = _plan(desk.run(file, "--dry-run"))
    plan.write_text(plan.read_text().replace(grower(0), "somebody"))
    ran = desk.run(file, "--plan", str(plan))
    assert ran.code == 3
    assert "was damaged: " in ran.err
    assert server.posts == 0
