"""`runs` and `status`: what the ledger tells of the past, also while a run is at work."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from bulk_onboard.domain.entry import Entry
from bulk_onboard.ledger import Ledger, hold
from tests.ledger.support import begin
from tests.support.cli import PLANTED, Desk, Leaf, grower, growers, write

LEDGER = Path("reports/ledger.sqlite3")


def test_runs_lists_counts_and_exit_code_latest_first(desk: Desk, leaf: Leaf) -> None:
    desk.at(leaf()).run(write([*growers(3), *growers(1, "refused-", start=3)]))
    desk.run(write(growers(3), "later.csv"))
    ran = desk("runs")
    lines = [line.split() for line in ran.out.splitlines()]
    assert ran.code == 0
    assert lines[1][3:] == ["3", "0", "3", "0", "0", *lines[1][-2:]]
    assert lines[3][3:] == ["4", "3", "0", "1", "1", *lines[3][-2:]]
    assert all(len(line) <= 100 for line in ran.out.splitlines() if not line.startswith("    "))


def test_runs_as_json_equals_the_summaries(desk: Desk, leaf: Leaf) -> None:
    first = desk.at(leaf()).run(write(growers(2, "expired-")))
    told = json.loads(desk("runs", "--json").out)
    assert [each["runId"] for each in told] == [first.summary["runId"]]
    for name in ("counts", "health", "exitCode", "seconds", "startedAt", "rows", "stopReason"):
        assert told[0][name] == first.summary[name], name


def test_runs_lists_a_killed_run_as_not_ended(desk: Desk) -> None:
    with Ledger(LEDGER) as ledger:
        begin(ledger)
    assert "has not ended" in desk("runs").out
    assert json.loads(desk("runs", "--json").out)[0]["counts"] is None


def test_status_finds_a_grower_by_a_kept_value_or_by_its_row(desk: Desk, leaf: Leaf) -> None:
    rows = [[*growers(1, start=number)[0], name] for number, name in enumerate(("Ann Lee", "Bo", "Bo"))]
    header = "leafUserId,refreshToken,name"
    Path("named.csv").write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    ran = desk.at(leaf()).run("named.csv", "--keep", "name", "--no-events")
    asked = [["ann lee"], ["--row", "2"], ["--run", ran.folder.name, "--row", "2"]]
    found = [json.loads(desk("status", *words, "--json").out)["leafUserId"] for words in asked]
    assert found == [grower(0)] * 3
    several = desk("status", "Bo")
    assert (several.code, grower(1) in several.err, grower(2) in several.err) == (2, True, True)
    for words in (
        ["nobody"],
        [f"{PLANTED}token"],
        [grower(7)],
        ["--row", "99"],
        [grower(0), "--row", "2"],
        ["--run", ran.folder.name],
        [],
    ):
        refused = desk("status", *words)
        assert (refused.code, refused.err.count("bulk-onboard: error:")) == (2, 1), words


def test_runs_names_later_runs_and_rollbacks(desk: Desk, leaf: Leaf) -> None:
    file = write(growers(1))
    killed = desk.at(leaf()).run(file, "--no-events").folder.name
    with sqlite3.connect(LEDGER) as db:
        db.execute("UPDATE run SET details = json_set(details, '$.finished_at', NULL)")
    assert "has not ended" in desk("runs").out
    later = desk.run(file, "--no-events").folder.name
    undone = desk("rollback", killed, "--yes").folder.name
    listed = {each["runId"]: each for each in json.loads(desk("runs", "--json").out)}
    assert (listed[killed]["supersededBy"], listed[killed]["rolledBackBy"]) == (later, [undone])
    assert (listed[later]["supersededBy"], listed[later]["rolledBackBy"]) == (None, [])
    text = desk("runs").out
    assert f"replaced it: {later}" in text
    assert f"rolled back by {undone}" in text


def test_runs_and_status_work_during_a_run(desk: Desk, leaf: Leaf) -> None:
    desk.at(leaf()).run(write(growers(1)))
    with hold(LEDGER), Ledger(LEDGER) as ledger, ledger.writing() as db:
        db.exec_driver_sql("BEGIN IMMEDIATE")
        assert desk("runs").code == 0
        assert desk("status", grower(0)).code == 0


def test_commands_that_read_do_not_create_a_ledger(desk: Desk) -> None:
    for argv in (["runs"], ["status", grower(0)], ["report"], ["events", "20261123T154500Z-x", "--sandbox"]):
        ran = desk(*argv)
        assert (ran.code, "no ledger" in ran.err) == (2, True)
    assert not LEDGER.exists()


# --- one grower ---------------------------------------------------------------------------------------


def test_status_shows_the_history_of_a_grower(desk: Desk, leaf: Leaf) -> None:
    desk.at(leaf()).run(write([*growers(2), *growers(1, "refused-", start=2)]))
    refused = desk("status", grower(2))
    assert (refused.code, "rejected" in refused.out, "->" in refused.out) == (1, True, True)
    desk.run(write(growers(3)))
    desk.run(write(growers(3)))
    ran = desk("status", grower(2))
    assert ran.code == 0
    told = ran.out
    order = [
        "intent",
        "rejected",
        "intent",
        "created",
        "provider event: 200",
        "healthy",
        "already-onboarded",
    ]
    at = -1
    for word in order:
        at = told.index(word, at + 1)


def test_status_as_json_has_each_run_that_changed_the_grower(desk: Desk, leaf: Leaf) -> None:
    desk.at(leaf()).run(write(growers(1, "refused-")))
    desk.run(write(growers(1)))
    desk.run(write(growers(1)))
    told = json.loads(desk("status", grower(0).upper(), "--json").out)
    assert [each["status"] for each in told["runs"]] == ["rejected", "created"]
    assert told["runs"][0]["hint"]
    assert [(each["row"], each["status"]) for each in told["latest"]] == [(2, "existing")]


def test_status_shows_an_open_intent(desk: Desk) -> None:
    with Ledger(LEDGER) as ledger:
        run, scope = begin(ledger)
        at = "2026-11-23T12:00:00.000Z"
        ledger.write(run, scope, [Entry(2, None, grower(0), "f1" * 16, intended_at=at)], [])
    ran = desk("status", grower(0))
    assert ran.code == 1
    assert "2026-11-23 12:00:00  intent" in ran.out
    assert "asks Leaf before" in ran.out
