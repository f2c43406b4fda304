"""What a run created is deleted again: that and nothing else, also in pieces and after a kill."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest

from bulk_onboard.sandbox import Behaviour, Fault, Faults
from tests.journeys.test_replace import renewed
from tests.support.cli import PLANTED, Desk, Leaf, Ran, end, grower, growers, start, write


def table(ran: Ran) -> list[tuple[str, str, str]]:
    """rollback.csv: grower, status and code."""
    with (ran.folder / "rollback.csv").open(newline="") as file:
        return [(row["leafUserId"], row["status"], row["code"]) for row in csv.DictReader(file)]


def undo(desk: Desk, run: Ran, *more: str) -> Ran:
    return desk("rollback", run.folder.name, "--yes", "--rate", "0", *more)


def test_a_rollback_deletes_what_the_run_created_and_nothing_else(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    desk.at(server).run(write(growers(2), "others.csv"), "--output", "elsewhere")
    earlier = desk.run(write(growers(1, start=2), "before.csv"), "--no-events")
    file = write(growers(6))
    ran = desk.run(file, "--no-events", "--format", "csv,html")
    assert ran.statuses == {"existing": 3, "created": 3}
    undone = undo(desk, ran)
    assert (undone.code, [row[1:] for row in table(undone)]) == (0, [("deleted", "")] * 3)
    assert server.connected == {grower(n) for n in range(3)}
    kept = [json.loads(line) for line in (undone.folder / "deleted-events.jsonl").read_text().splitlines()]
    assert {line["leafUserId"] for line in kept} == {grower(n) for n in range(3, 6)}
    assert undone.summary["counts"]["deleted"] == 3
    assert undone.summary["rolledBack"] == ran.folder.name
    summary = json.loads((ran.folder / "summary.json").read_text())
    assert summary["rolledBack"] == {"growers": 3, "runs": [undone.folder.name]}
    page = (ran.folder / "report.html").read_text()
    assert "Rolled back: the credentials of 3 growers were deleted" in page
    assert f"bulk-onboard run {file}" in page
    again = desk.run(file, "--no-events")
    assert again.statuses == {"existing": 3, "created": 3}
    assert len(server.connected) == 6
    assert undo(desk, ran).summary["counts"]["deleted"] == 3, "of what it deleted before"
    assert len(server.connected) == 6, "what was onboarded since is left alone"
    assert undo(desk, earlier).summary["counts"]["deleted"] == 1


def test_a_dry_run_of_a_rollback_only_reads(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    file = write(growers(3))
    ran = desk.at(server).run(file, "--no-events")
    since = len(server.seen())
    dry = desk("rollback", ran.folder.name, "--dry-run", "--rate", "0")
    assert (dry.code, {row[1] for row in table(dry)}) == (0, {"would_delete"})
    assert {each["method"] for each in server.seen()[since:]} == {"GET"}
    assert not (dry.folder / "deleted-events.jsonl").exists()
    assert desk.run(file, "--no-events").statuses == {"existing": 3}
    assert server.posts == 3


def test_credentials_that_changed_since_the_run_stay(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    ran = desk.at(server).run(write(growers(3)), "--no-events")
    rows = [*renewed(growers(1)), *growers(3)[1:]]
    desk.run(
        write(rows, "new.csv"),
        "--if-exists",
        "replace",
        "--replace-healthy",
        "--no-events",
        "--output",
        "elsewhere",
    )
    assert desk("events", ran.folder.name, "--rate", "0").code == 0
    undone = undo(desk, ran)
    assert [row[1] for row in table(undone)] == ["changed", "deleted", "deleted"]
    assert undone.code == 0
    assert server.connected == {grower(0)}


def test_only_deletes_the_listed_growers(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    ran = desk.at(server).run(write(growers(4)), "--no-events")
    Path("these.csv").write_text(f"region,Leaf User ID\nx,{grower(1).upper()}\ny,{grower(77)}\n")
    undone = undo(desk, ran, "--only", "these.csv")
    assert table(undone) == [(grower(1), "deleted", "")]
    assert f"1 grower of the list was not connected by run {ran.folder.name} and" in undone.err
    assert f"will be left alone: {grower(77)}" in undone.err
    assert server.connected == {grower(n) for n in (0, 2, 3)}
    Path("those.csv").write_text("name\nx\n")
    assert undo(desk, ran, "--only", "those.csv").code == 3


def test_a_rollback_names_a_provider_that_is_no_longer_defined(desk: Desk) -> None:
    Path("bulk-onboard.toml").write_text(
        '[providers.my-terminal]\npath = "my-terminal-credentials"\n'
        'fields = [{ name = "accessKey", scope = "grower" }]\n'
    )
    Path("growers.csv").write_text(f"leafUserId,accessKey\n{grower(0)},{PLANTED}0\n")
    ran = desk.run("growers.csv", "--provider", "my-terminal", "--sandbox", "--no-events")
    assert ran.statuses == {"created": 1}, ran.err
    Path("bulk-onboard.toml").unlink()
    for argv in (["rollback", "--yes"], ["rollback", "--dry-run"], ["events"]):
        ended = desk(*argv, ran.folder.name, "--sandbox")
        assert (ended.code, "provider my-terminal, which is no longer defined" in ended.err) == (2, True), (
            ended.err
        )
    assert desk("runs", "--json").out.count("runId") == 1


def test_without_a_terminal_a_rollback_needs_yes(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    ran = desk.at(server).run(write(growers(2)), "--no-events")
    refused = desk("rollback", ran.folder.name, stdin=b"")
    assert refused.code == 2
    assert "2 growers" in refused.err
    assert "--yes" in refused.err
    assert len(server.connected) == 2


def test_a_rollback_needs_the_leaf_and_the_owner_of_the_run(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    desk.at(server).set("LEAF_USERNAME", "me")
    ran = desk.run(write(growers(1)), "--no-events")
    undone = undo(desk, ran)
    assert undo(desk, undone).code == 2
    assert desk("events", undone.folder.name).code == 2
    desk.set("LEAF_USERNAME", "somebody-else")
    desk.set("LEAF_PASSWORD", "planted-password")
    assert "was made as" in undo(desk, ran).err
    desk.at(leaf())
    assert undo(desk, ran).code == 2


def test_lost_replies_to_deletes_are_verified(desk: Desk, leaf: Leaf) -> None:
    server = leaf(
        Behaviour(faults=Faults({Fault.CUT_AFTER: 0.4}, methods=frozenset({"DELETE"})), seed=5, event_delay=0)
    )
    ran = desk.at(server).run(write(growers(6)), "--no-events")
    assert undo(desk, ran).code == 0
    assert server.connected == set()


@pytest.mark.soak(4)
def test_a_killed_rollback_is_completed_by_the_same_command(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0, latency=0.02))
    ran = desk.at(server).run(write(growers(40)), "--no-events")
    options: Any = ("rollback", ran.folder.name, "--yes", "--rate", "100")
    process = start(*options, env=server.environment)
    while len(server.connected) > 30:
        time.sleep(0.01)
    process.kill()
    end(process)
    left = len(server.connected)
    assert left > 0
    again = desk(*options, "--timeout", "1")
    assert again.code == 0
    assert {row[1] for row in table(again)} <= {"deleted", "gone"}
    assert server.connected == set()
