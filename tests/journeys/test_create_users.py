"""Growers without a leafUserId: their Leaf users are found or created once, whatever happens."""

from __future__ import annotations

import csv
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bulk_onboard.sandbox import Area, Behaviour, Fault, Faults, Unknowns, User
from tests.support.cli import PLANTED, Desk, Leaf, Ran, Server, grower, start

# externalId, email, name, leafUserId; the token goes by the row.
Who = tuple[str, str, str, str]
HEADER = ["leafUserId", "externalId", "email", "name", "refreshToken"]
ADA, BEN, CYD = (
    User(grower(n), name=name, email=f"{name}@example.com".lower(), external_id=f"G-{n}")
    for n, name in enumerate(("Ada", "Ben", "Cyd"), 1)
)


def who(external: str = "", email: str = "", name: str = "Somebody", leaf_user_id: str = "") -> Who:
    return external, email, name, leaf_user_id


def new(count: int, first: int = 100) -> list[Who]:
    return [who(f"N-{n}", f"n{n}@example.com") for n in range(first, first + count)]


def write(rows: Sequence[Who], name: str = "cohort.csv", tokens: Sequence[str] = ()) -> str:
    with Path(name).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(HEADER)
        for n, (external, email, called, leaf_user_id) in enumerate(rows):
            token = tokens[n] if tokens else f"{PLANTED}{external}{email}{leaf_user_id}"
            lines.writerow([leaf_user_id, external, email, called, token])
    return name


def leaf_of(leaf: Leaf, *users: User, **unknowns: Any) -> Server:
    """A Leaf with only these users."""
    server: Server = leaf(
        Behaviour(event_delay=0, users=users, unknowns=Unknowns(users="listed", **unknowns))
    )
    return server


def run(desk: Desk, server: Server, file: str, *argv: str) -> Ran:
    return desk.at(server).run(file, "--create-users", *argv)


def users(server: Server) -> list[dict[str, Any]]:
    found: Any = server._asked(server.sandbox.state)["users"]
    return list(found)


def posted(server: Server) -> int:
    """How many users the sandbox was asked to create."""
    return sum(each["path"].endswith("/users") for each in server.seen("POST"))


def check_uniqueness(server: Server) -> None:
    names = Counter(user["externalId"] or user["email"].lower() for user in users(server))
    assert set(names.values()) <= {1}, names
    assert all(each["postsStored"] <= 1 for each in server.held.values())


def ids(ran: Ran) -> dict[int, str]:
    return {int(row["row"]): row["leafUserId"] for row in ran.rows}


def test_users_are_found_or_created(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf, ADA, BEN, CYD)
    rows = [who("G-1"), who("", "BEN@example.com"), who(leaf_user_id=CYD.id), *new(2)]
    ran = run(desk, server, write(rows))
    assert ran.code == 0, ran.err
    assert ran.statuses == {"created": 5}
    found = ids(ran)
    assert (found[2], found[3], found[4]) == (ADA.id, BEN.id, CYD.id)
    created = {user["externalId"]: user["leafUserId"] for user in users(server) if user["posted"]}
    assert created == {"N-100": found[5], "N-101": found[6]}
    assert set(server.held) == set(found.values())
    assert ran.summary["users"] == {"created": 2, "found": 2}
    assert "Users:    2 created, 2 found" in ran.err
    check_uniqueness(server)
    # Only fingerprints of externalIds and emails are stored.
    stored = b"".join(path.read_bytes() for path in Path("reports").rglob("*") if path.is_file()).lower()
    assert not [name for name in (b"n-100", b"n100@", b"ben@example", b"g-1") if name in stored]


def test_the_second_run_looks_up_no_user(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf, ADA)
    file = write([who("G-1"), *new(3)])
    first = run(desk, server, file)
    before = len(server.seen())
    again = run(desk, server, file)
    assert again.statuses == {"existing": 4}
    assert again.summary["requests"]["total"] == len(server.seen()) - before == 1
    assert again.summary["users"] == {"created": 0, "found": 0}
    assert ids(again) == ids(first)
    # The user of an invalid row is shown too, if the ledger knows it.
    broken = run(desk, server, write([who("G-1"), *new(1)], tokens=["", f"{PLANTED}other"]))
    assert [row["code"] for row in broken.rows] == ["missing-refreshToken", "token-changed"]
    assert ids(broken)[2] == ADA.id


def test_without_the_option_the_message_suggests_it(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf, ADA)
    Path("no-ids.csv").write_text("externalId,name,refreshToken\nG-1,Ada,planted-token\n")
    ran = desk.at(server).run("no-ids.csv")
    assert ran.code == 3
    assert "add --create-users" in ran.err
    ran = desk.at(server).run(write([who("G-1")]))
    assert ran.rows[0]["code"] == "missing-leafUserId"
    assert "--create-users" in ran.rows[0]["hint"]
    assert desk.at(server)("validate", "cohort.csv").code == 1
    assert desk.at(server)("validate", "cohort.csv", "--create-users").code == 0
    assert desk.at(server)("validate", "no-ids.csv", "--create-users").code == 0


def test_unclear_rows_create_no_user(desk: Desk, leaf: Leaf) -> None:
    twin = ADA._replace(id=grower(9), email="other@example.com")
    server = leaf_of(leaf, ADA, twin, BEN)
    rows = [
        who("G-1"),
        who("G-77", "ben@example.com"),
        who("g-2x", "no address"),
        who("N-1", "n1@example.com", name=""),
        who("N-2"),
    ]
    ran = run(desk, server, write(rows))
    assert ran.code == 1
    assert [(row["status"], row["code"]) for row in ran.rows] == [
        ("rejected", "several-users"),
        ("rejected", "other-user"),
        ("invalid", "bad-email"),
        ("invalid", "missing-name"),
        ("invalid", "missing-email"),
    ]
    assert all(row["hint"] for row in ran.rows)
    assert posted(server) == 0
    assert not server.held


def test_repeated_and_contradicting_rows_are_not_sent(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf, ADA, BEN, CYD)
    rows = [
        who("N-1", "n1@example.com"),
        who("N-1", "n1@example.com"),
        who("N-2", "n2@example.com"),
        who("N-2", "n2@example.com"),
        who("N-3", "n3@example.com"),
        who("N-3", "x3@example.com"),
        who("G-1", leaf_user_id=ADA.id),
        who("G-1"),
    ]
    tokens = [f"{PLANTED}{n}" for n in (1, 1, 2, 22, 3, 4, 5, 6)]
    ran = run(desk, server, write(rows, tokens=tokens))
    assert [(row["status"], row["code"]) for row in ran.rows] == [
        ("created", ""),
        ("duplicate", "duplicate"),
        ("invalid", "conflicting-rows"),
        ("invalid", "conflicting-rows"),
        ("invalid", "conflicting-users"),
        ("invalid", "conflicting-users"),
        ("created", ""),
        ("invalid", "conflicting-users"),
    ]
    assert ran.rows[1]["leafUserId"] == ran.rows[0]["leafUserId"] != ""
    assert posted(server) == 1


def test_rows_that_resolve_to_one_user_are_sent_once(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf, ADA, BEN)
    same = [who("G-1"), who("", "ada@example.com"), who(leaf_user_id=BEN.id), who("", "ben@example.com")]
    file = write(same, tokens=[f"{PLANTED}{n}" for n in (1, 1, 2, 22)])
    ran = run(desk, server, file, "--allow-shared-tokens")
    assert [(row["status"], row["code"]) for row in ran.rows] == [
        ("created", ""),
        ("duplicate", "duplicate"),
        ("invalid", "conflicting-rows"),
        ("invalid", "conflicting-rows"),
    ]
    assert [each["posts"] for each in server.held.values()] == [1]


def test_a_grower_onboarded_by_id_is_recognised_by_external_id_or_email(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf, ADA)
    tokens = [f"{PLANTED}1"]
    desk.at(server).run(write([who(leaf_user_id=ADA.id)], tokens=tokens))
    ran = run(desk, server, write([who("G-1")], tokens=tokens))
    assert [(row["status"], row["code"]) for row in ran.rows] == [("existing", "already-onboarded")]
    ran = run(desk, server, write([who("", "ada@example.com")], tokens=[f"{PLANTED}2"]))
    assert [(row["status"], row["code"]) for row in ran.rows] == [("existing", "token-changed")]
    assert server.held[ADA.id]["posts"] == 1


def test_a_dry_run_only_looks_users_up(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf, ADA)
    file = write([who("G-1"), *new(3), who("N-9", "n9@example.com", name="")])
    ran = run(desk, server, file, "--dry-run")
    found = [(row["status"], row["code"], bool(row["leafUserId"])) for row in ran.rows]
    assert found == [
        ("would_create", "", True),
        *[("would_create", "user-would-be-created", False)] * 3,
        ("invalid", "missing-name", False),
    ]
    assert {each["method"] for each in server.seen()} == {"GET"}
    assert ran.summary["forecast"]["users"] == 3
    assert "create 3 Leaf users" in ran.err
    assert "run the same command without --dry-run" in " ".join(ran.err.split())
    estimated = ran.summary["forecast"]["requests"]
    real = run(desk, server, file, "--no-events")
    assert real.statuses == {"created": 4, "invalid": 1}
    assert estimated["post"] == real.summary["requests"]["post"] == 7


def test_limit_and_canary_apply_to_users_too(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf)
    file = write(new(6))
    assert run(desk, server, file, "--limit", "2").statuses == {"created": 2}
    assert posted(server) == 2
    tokens = [f"expired-{PLANTED}{n}" for n in range(6)]
    ran = run(desk, server, write(new(6, first=200), tokens=tokens), "--canary", "2", "--events-wait", "1")
    assert ran.code == 5
    assert posted(server) == 4, "after a failed canary no other user is created"
    assert ran.statuses == {"created": 2, "not_attempted": 4}


def test_after_a_healthy_canary_no_user_is_created_twice(desk: Desk, leaf: Leaf) -> None:
    # A grower is in the canary and after it, and the list is slow: only the ledger prevents a second user.
    server = leaf_of(leaf, user_lag=600.0)
    rows = new(4)
    Path("both.csv").write_text(
        "provider,externalId,email,name,refreshToken,clientKey,clientSecret,clientEnvironment\n"
        + "".join(
            f"{provider},{external},{email},{name},{PLANTED}{provider}{external},{PLANTED}key,{PLANTED}secret,STAGE\n"
            for provider in ("raven", "john-deere")
            for external, email, name, _ in rows
        )
    )
    ran = run(desk, server, "both.csv", "--canary", "2")
    assert ran.statuses == {"created": 8}, ran.err
    assert posted(server) == 4
    check_uniqueness(server)


def test_a_deleted_user_is_resolved_again_by_the_next_run(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf)
    file = write(new(1))
    first = ids(run(desk, server, file))[2]
    server._asked(lambda: server.sandbox.stored.delete_user(first))
    changed = write(new(1), tokens=[f"{PLANTED}other"])
    ran = run(desk, server, changed, "--if-exists", "replace", "--replace-healthy")
    assert ran.rows[0]["code"] == "no-such-user"
    ran = run(desk, server, changed, "--if-exists", "replace", "--replace-healthy")
    assert ran.statuses == {"created": 1}
    assert ids(ran)[2] != first


def test_a_rollback_deletes_no_users(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf)
    file = write(new(2))
    ran = run(desk, server, file)
    assert desk.at(server)("rollback", ran.folder.name, "--yes", "--rate", "0").code == 0
    assert not any(each["credentialId"] for each in server.held.values())
    assert len(users(server)) == 2
    again = run(desk, server, file)
    assert again.statuses == {"created": 2}
    assert posted(server) == 2


def test_events_are_checked_for_known_users_only(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf)
    run(desk, server, write(new(2)))
    ran = desk.at(server)("events", write(new(3)), "--create-users", "--rate", "0", "--events-wait", "0")
    assert [(row["status"], row["health"]) for row in ran.rows] == [
        ("existing", "healthy"),
        ("existing", "healthy"),
        ("not_attempted", ""),
    ]
    assert posted(server) == 2


def test_a_plan_is_refused_with_create_users(desk: Desk, leaf: Leaf) -> None:
    server = leaf_of(leaf, ADA)
    file = write([who("G-1"), who(leaf_user_id=ADA.id)][:1])
    run(desk, server, file, "--dry-run")
    (plan,) = Path("reports").glob("*/plan.csv")
    ran = run(desk, server, file, "--plan", str(plan))
    assert ran.code == 2
    assert "--no-create-users" in ran.err


# --- a Leaf with faults ------------------------------------------------------------------------------

AFTER = (Fault.E500_AFTER, Fault.CUT_AFTER, Fault.TRUNCATED, Fault.EMPTY, Fault.WRONG_SHAPE, Fault.HTML)


def stormy(
    *kinds: Fault, share: float, seed: int, methods: frozenset[str] = frozenset(), **unknowns: Any
) -> Behaviour:
    shares = {kind: share / len(kinds) for kind in kinds}
    areas = frozenset({Area.USERS, Area.CREDENTIALS})
    return Behaviour(
        event_delay=0,
        seed=seed,
        faults=Faults(shares, methods=methods, calls=areas),
        unknowns=Unknowns(users="listed", **unknowns),
    )


@pytest.mark.parametrize(("existing", "lag"), [("allow", 0.4), ("refuse", 0.0), ("keep", 0.0)])
def test_lost_replies_never_lead_to_a_second_user(desk: Desk, leaf: Leaf, existing: str, lag: float) -> None:
    behaviour = stormy(
        *AFTER, share=0.5, seed=7, methods=frozenset({"POST"}), user_existing=existing, user_lag=lag
    )
    server = leaf(behaviour)
    ran = run(desk, server, write(new(12)), "--timeout", "1", "--no-events")
    check_uniqueness(server)
    assert ran.statuses == {"created": 12}, ran.err
    assert len(users(server)) == 12


@pytest.mark.parametrize(("user_filter", "total"), [("exact", "shown"), ("part", "hidden")])
def test_users_are_found_however_leaf_filters(desk: Desk, leaf: Leaf, user_filter: str, total: str) -> None:
    crowd = [
        ADA._replace(id=grower(n), external_id=f"G-1{n}", email=f"{n}ada@example.com") for n in range(10, 60)
    ]
    server = leaf_of(leaf, *crowd, ADA, user_filter=user_filter, total_count=total)
    rows = [who("G-1"), who("", "ada@example.com"), *new(1)]
    file = write(rows, tokens=[f"{PLANTED}{n}" for n in (1, 1, 2)])
    ran = run(desk, server, file, "--allow-shared-tokens")
    assert ids(ran)[2] == ids(ran)[3] == ADA.id
    assert posted(server) == 1


def test_no_user_is_created_when_leaf_ignores_filters(desk: Desk, leaf: Leaf) -> None:
    crowd = [
        ADA._replace(id=grower(n), external_id=f"G-{n}", email=f"{n}@example.com") for n in range(10, 250)
    ]
    server = leaf_of(leaf, *crowd, user_filter="ignored")
    ran = run(desk, server, write(new(2)))
    assert {(row["status"], row["code"]) for row in ran.rows} == {("failed", "users-not-filtered")}
    assert posted(server) == 0


# --- killed ---------------------------------------------------------------------------------------------


@pytest.mark.soak(5)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_after_kills_no_grower_has_a_second_user_and_no_token_is_sent_twice(desk: Desk, leaf: Leaf) -> None:
    """This Leaf accepts a user twice and lists users late."""
    draw, count = random.Random(), 10
    behaviour = replace(stormy(Fault.CUT_AFTER, share=0.2, seed=3, user_lag=0.3), latency=0.02)
    server, file = leaf(behaviour), write(new(count))
    argv = ("run", file, "--create-users", "--rate", "150", "--timeout", "1", "--no-events", "-q")
    for _ in range(2):
        process = start(*argv, env=server.environment)
        before, wanted = len(server.seen()), draw.randrange(1, 40)
        deadline = time.monotonic() + 5
        while len(server.seen()) < before + wanted and process.poll() is None:
            if time.monotonic() > deadline:
                break  # all rows are waiting
            time.sleep(0.005)
        process.kill()
        process.communicate(timeout=10)
    for _ in range(3):
        ran = run(desk, server, file, "--timeout", "1", "--no-events")
        if ran.code == 0:
            break
    check_uniqueness(server)
    assert set(ran.statuses) <= {"created", "existing"}, json.dumps(ran.statuses)
    assert len(users(server)) == len(server.held) == count
