"""Growers with existing credentials: replaced, rejected or left alone, also when Leaf fails in between."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bulk_onboard.sandbox import Behaviour, Fault, Faults, Unknowns
from tests.support.cli import Desk, Leaf, Rows, end, grower, growers, start, write

# The sandbox's credentials are healthy unless their token says otherwise.
REPLACE_ALL = ("--if-exists", "replace", "--replace-healthy")


def renewed(rows: Rows, kind: str = "") -> list[tuple[str, str]]:
    """The same growers with other tokens."""
    return [(user, f"{kind}{token}-new") for user, token in rows]


def connected_elsewhere(desk: Desk, rows: Rows) -> None:
    """Somebody else, with a ledger of their own, has stored these."""
    assert desk.run(write(rows, "others.csv"), "--no-events", "--output", "elsewhere").code == 0


def test_healthy_credentials_with_another_token_stay(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0))
    old = [*growers(2), *[(user, f"expired-{token}") for user, token in growers(1, start=2)]]
    connected_elsewhere(desk.at(server), old)
    before, file = server.held, write(renewed(growers(3), "new-"))
    dry = desk.run(file, *REPLACE_ALL, "--dry-run")
    assert [(row["status"], row["code"]) for row in dry.rows] == [
        ("would_replace", "replaces-healthy"),
        ("would_replace", "replaces-healthy"),
        ("would_replace", ""),
    ]
    assert "2 of them healthy" in " ".join(dry.err.split())
    ran = desk.run(file, "--if-exists", "replace")
    assert [(row["status"], row["code"]) for row in ran.rows] == [
        ("existing", "token-changed"),
        ("existing", "token-changed"),
        ("created", "replaced"),
    ]
    assert {server.held[grower(n)] == before[grower(n)] for n in (0, 1)} == {True}
    assert len((ran.folder / "replaced-events.jsonl").read_text().splitlines()) == 1


def test_rotated_tokens_are_reported_and_never_posted_again(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0, unknowns=Unknowns(rotation="later")))
    file = write(growers(3))
    ran = desk.at(server).run(file)
    assert (ran.statuses, ran.code, {row["health"] for row in ran.rows}) == ({"created": 3}, 0, {"healthy"})
    assert {row["code"] for row in desk.run(file).rows} == {"already-onboarded"}
    elsewhere = desk.run(file, "--if-exists", "replace", "--output", "elsewhere")
    assert "a different token than the file for 3 growers" in " ".join(elsewhere.err.split())
    (written,) = Path("elsewhere").glob("*/summary.json")
    causes = json.loads(written.read_text())["causes"]
    assert [(each["status"], each["code"], each["count"]) for each in causes] == [
        ("existing", "token-changed", 3)
    ]
    assert server.posts == 3
    assert desk("rollback", ran.folder.name, "--rate", "0", "--yes").code == 0
    assert not server.connected


def test_replace_deletes_credentials_that_differ_and_saves_their_events(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    old = growers(3)
    connected_elsewhere(desk.at(server), old)
    before = server.held
    rows = [*renewed(old[:2]), old[2], *growers(1, start=3)]
    ran = desk.run(write(rows), *REPLACE_ALL)
    assert [(row["status"], row["code"]) for row in ran.rows] == [
        ("created", "replaced"),
        ("created", "replaced"),
        ("existing", "already-connected"),
        ("created", ""),
    ]
    assert ran.code == 0
    assert len(server.seen("DELETE")) == 2
    held = server.held
    assert held[grower(2)] == before[grower(2)]
    kept = [json.loads(line) for line in (ran.folder / "replaced-events.jsonl").read_text().splitlines()]
    assert {line["leafUserId"] for line in kept} == {grower(0), grower(1)}
    assert all(set(line["events"][0]) == {"id", "createdDate", "statusCode"} for line in kept)
    again = desk.run(write(rows), *REPLACE_ALL, "--no-events")
    assert again.statuses == {"existing": 4}
    assert (len(server.seen("DELETE")), server.posts) == (2, 6)


def test_credentials_without_a_visible_token_are_replaced_once(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0, unknowns=Unknowns(secrets="masked")))
    connected_elsewhere(desk.at(server), growers(2))
    assert desk.run(write(growers(2))).statuses == {"existing": 2}
    for deletes in (2, 2):
        ran = desk.run(write(growers(2)), *REPLACE_ALL)
        assert len(server.seen("DELETE")) == deletes
    assert {row["code"] for row in ran.rows} == {"already-onboarded"}


def test_fail_rejects_existing_credentials_of_others(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    connected_elsewhere(desk.at(server), growers(1))
    file = write(growers(3))
    for ran in (desk.run(file, "--if-exists", "fail"), desk.run(file, "--if-exists", "fail")):
        assert ran.code == 1
        assert ran.rows[0]["code"] == "already-exists"
        assert {row["status"] for row in ran.rows[1:]} <= {"created", "existing"}
    assert (server.posts, len(server.seen("DELETE"))) == (3, 0)


def test_a_grower_left_without_credentials_by_a_refused_token_goes_first(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    connected_elsewhere(desk.at(server), growers(2))
    bad = [*renewed(growers(1), "refused-"), growers(2)[1]]
    first = desk.run(write(bad), *REPLACE_ALL, "--no-events")
    assert (first.rows[0]["status"], first.rows[0]["code"]) == ("rejected", "left-without-credentials")
    assert "left-without-credentials" in first.err
    mended = [*growers(3, start=5), *renewed(growers(1))]
    since = len(server.seen())
    second = desk.run(write(mended), "--no-events", "--timeout", "1")
    assert "1 grower may have been left without credentials by run " in second.err
    assert second.code == 0
    assert grower(0) in server.seen()[since + 1]["path"]  # after the first contact
    assert len(server.connected) == 5


def test_deleted_credentials_are_reported_and_can_be_replaced(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0))
    file = write(growers(3))
    assert desk.at(server).run(file).code == 0
    server.delete(grower(0))
    assert desk.run(file).rows[0]["health"] == "healthy"  # who is well is not looked at every night
    checked = desk("events", file, "--rate", "0")
    assert (checked.rows[0]["health"], checked.rows[0]["code"]) == ("unhealthy", "credentials-gone")
    assert "--if-exists replace" in checked.rows[0]["hint"]
    assert desk.run(file).statuses == {"existing": 3}
    again = desk.run(file, "--if-exists", "replace")
    assert again.statuses == {"created": 1, "existing": 2}
    assert (again.code, server.posts, len(server.connected)) == (0, 4, 3)


@pytest.mark.soak(5)
def test_deletes_with_unknown_outcome_are_verified(desk: Desk, leaf: Leaf) -> None:
    faults = Faults({Fault.E502_AFTER: 0.4}, methods=frozenset({"DELETE"}))
    server = leaf(Behaviour(event_delay=0, faults=faults, seed=3))
    old = growers(6)
    connected_elsewhere(desk.at(server), old)
    ran = desk.run(write(renewed(old)), *REPLACE_ALL, "--no-events", "--timeout", "2")
    assert ran.statuses == {"created": 6}, ran.err
    assert server.posts == 12


@pytest.mark.soak(4)
def test_the_next_run_repairs_a_replacement_killed_after_its_delete(desk: Desk, leaf: Leaf) -> None:
    """Killed while the answer to the DELETE is awaited, after Leaf has carried it out."""
    server = leaf(
        Behaviour(event_delay=0, faults=Faults({Fault.HANG_AFTER: 1.0}, methods=frozenset({"DELETE"})))
    )
    old = growers(1)
    connected_elsewhere(desk.at(server), old)
    file = write(renewed(old))
    process = start("run", file, *REPLACE_ALL, "--rate", "0", env=server.environment)
    while server.connected:
        time.sleep(0.02)
    process.kill()
    end(process)
    assert server.connected == set()
    again = desk.run(file, "--timeout", "1", "--no-events")
    assert "1 grower may have been left without credentials by run " in again.err
    assert (again.statuses, again.code) == ({"created": 1}, 0)
    assert server.connected == {user for user, _ in old}
    assert server.posts == 2


def test_nothing_is_deleted_when_events_cannot_be_saved(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    connected_elsewhere(desk.at(server), growers(2))
    Path("there").mkdir()
    Path("there/reports").write_text("")
    ran = desk.run(
        write(renewed(growers(2))),
        "--if-exists",
        "replace",
        "--output",
        "there/reports",
        "--ledger",
        "l.sqlite3",
    )
    assert ran.code == 5
    assert server.seen("DELETE") == []
