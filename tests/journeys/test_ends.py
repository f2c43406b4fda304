"""Every way to end, as a user and a scheduler see it: the exit code, the message, the rows that are left."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from bulk_onboard.leaf import contact
from bulk_onboard.ledger import Ledger, hold
from bulk_onboard.sandbox import Account, Behaviour, Fault, Faults
from tests.ledger.support import begin
from tests.support.cli import (
    APP,
    PLANTED,
    Desk,
    Leaf,
    Server,
    grower,
    growers,
    open_intents,
    write,
)

# The seed makes the 84th request, and no other of the next 500, meet a login that has run out.
ONE_401 = Behaviour(event_delay=0, faults=Faults({Fault.EXPIRED_LOGIN: 0.01}), seed=350)


LEDGER = Path("reports/ledger.sqlite3")
# Rows that have begun finish in peace: so many, however busy the machine is.
IN_FLIGHT = 8
FEW = ("--max-in-flight", str(IN_FLIGHT))


# --- 0 and 1 ----------------------------------------------------------------------------------------


def test_0_when_all_growers_are_connected_and_healthy(desk: Desk, leaf: Leaf) -> None:
    rows = growers(3)
    ran = desk.at(leaf()).run(write([*rows, rows[0]]))
    assert (ran.code, ran.statuses) == (0, {"created": 3, "duplicate": 1})
    assert "All 3 growers are connected. 1 row only repeated an earlier one." in ran.err


@pytest.mark.parametrize(("kind", "status"), [("refused-", "rejected"), ("expired-", "created")])
def test_1_when_a_row_needs_attention(desk: Desk, leaf: Leaf, kind: str, status: str) -> None:
    ran = desk.at(leaf()).run(write([*growers(3), *growers(1, kind, start=3)]))
    assert ran.code == ran.summary["exitCode"] == 1
    assert ran.rows[3]["status"] == status
    assert "3 of 4 growers are connected, 1 row needs attention." in ran.err
    assert "row 5" in ran.err


# --- 3 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("growers.csv", b"", "growers.csv"),
        ("growers.csv", b"leafUserId,refreshToken\n", "no rows"),
        ("growers.csv", b"leafUserId,token\na,b\n", "refreshToken"),
        ("growers.csv", b"leafUserId,refreshToken,Refresh Token\na,b,c\n", "refreshToken"),
        ("growers.xlsx", b"PK\x03\x04 not a workbook", "growers.xlsx"),
        ("growers.parquet", b"PAR1 not really", "growers.parquet"),
        ("growers.pdf", b"%PDF-1.7", "growers.pdf"),
    ],
)
def test_3_when_the_file_cannot_be_used(desk: Desk, leaf: Leaf, name: str, content: bytes, told: str) -> None:
    server = leaf()
    Path(name).write_bytes(content)
    ran = desk.at(server).run(name)
    assert ran.code == 3
    assert ran.err.startswith("bulk-onboard: error: ")
    assert told in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not server.seen()
    assert not list(Path().glob("reports/2*"))


def test_3_when_strict_finds_an_invalid_row(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    ran = desk.at(server).run(write([*growers(2), (grower(3), "TODO")]), "--strict")
    assert ran.code == 3
    assert "--strict" in ran.err
    assert not server.seen()


# --- 4 ----------------------------------------------------------------------------------------------


def _logs_in(desk: Desk, server: Server, password: str) -> None:
    desk.at(server)
    desk.set("LEAF_TOKEN", None)
    desk.set("LEAF_USERNAME", "ann@example.com")
    desk.set("LEAF_PASSWORD", password)


def test_4_when_leaf_refuses_the_login_at_the_start(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(account=Account(username="ann@example.com", password=f"{PLANTED}right")))
    _logs_in(desk, server, f"{PLANTED}wrong")
    ran = desk.run(write(growers(30)))
    assert ran.code == ran.summary["exitCode"] == 4
    assert ran.statuses == {"not_attempted": 30}
    assert len(server.seen()) == 1
    assert "LEAF_PASSWORD" in ran.err
    assert ran.summary["stopReason"]
    assert not open_intents()


def test_4_when_the_token_expires_during_the_run(desk: Desk, leaf: Leaf) -> None:
    server = leaf(ONE_401)
    ran = desk.at(server)("run", write(growers(200)), "--rate", "200")
    assert ran.code == 4
    assert ran.statuses["created"] > 0
    assert ran.statuses["not_attempted"] > 100
    assert sum(ran.statuses.values()) == 200
    refused = [each for each in server.seen() if each["status"] == 401]
    assert len(refused) < 80, "those in flight, not one for every row"
    assert "LEAF_TOKEN" in ran.err
    assert not open_intents()
    stored = server.connected
    assert {row["leafUserId"] for row in ran.rows if row["status"] == "created"} == stored
    desk.set("LEAF_TOKEN", f"practice-{PLANTED}renewed")
    assert desk.run("growers.csv").statuses == {"created": 200 - len(stored), "existing": len(stored)}


def test_a_password_renews_a_token_that_expires_during_the_run(desk: Desk, leaf: Leaf) -> None:
    server = leaf(ONE_401)
    _logs_in(desk, server, f"{PLANTED}any")
    ran = desk("run", write(growers(60)), "--rate", "300")
    assert (ran.code, ran.statuses) == (0, {"created": 60})
    assert len([each for each in server.seen() if each["path"] == "/api/authenticate"]) == 2


# --- 5 ----------------------------------------------------------------------------------------------


def test_5_when_the_first_20_rows_fail_for_the_same_reason(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    ran = desk.at(server)("run", write(growers(300, "refused-")), "--rate", "200", *FEW)
    assert ran.code == ran.summary["exitCode"] == 5
    assert 20 <= ran.statuses["rejected"] < 20 + IN_FLIGHT
    assert ran.statuses["not_attempted"] == 300 - ran.statuses["rejected"]
    assert "first 20 rows" in ran.err
    assert "first 20 rows" in ran.summary["stopReason"]
    assert not open_intents()


def test_5_when_max_failures_is_exceeded(desk: Desk, leaf: Leaf) -> None:
    limit, most = "10%", 6
    rows = [row for n in range(0, 60, 2) for row in (*growers(1, "refused-", n), *growers(1, start=n + 1))]
    ran = desk.at(leaf())("run", write(rows), "--max-failures", limit, "--rate", "50", *FEW)
    assert ran.code == 5
    assert most < ran.statuses["rejected"] <= most + IN_FLIGHT
    assert "--max-failures" in ran.err
    assert ran.statuses["not_attempted"] > 0


# --- 6 ----------------------------------------------------------------------------------------------


def test_6_for_a_second_run_on_one_ledger(desk: Desk, leaf: Leaf) -> None:
    server, file = leaf(), write(growers(2))
    Path("reports").mkdir()
    with hold(LEDGER), Ledger(LEDGER) as ledger:
        begin(ledger)
        second = desk.at(server).run(file)
    assert (second.code, server.seen()) == (6, [])
    assert "held by process 1 on here since 2026-11-23" in second.err
    # The lock file of a dead run holds nothing up.
    assert Path("reports/ledger.sqlite3.lock").exists()
    assert desk.run(file).code == 0


def test_6_for_a_report_during_a_run(desk: Desk, leaf: Leaf) -> None:
    ran = desk.at(leaf()).run(write(growers(2)))
    before = (ran.folder / "results.csv").read_bytes()
    with hold(Path("reports/ledger.sqlite3")):
        busy = desk("report", ran.folder.name, "--format", "csv,jsonl")
    assert (busy.code, "is held by" in busy.err) == (6, True)
    assert (ran.folder / "results.csv").read_bytes() == before
    assert not (ran.folder / "results.jsonl").exists()
    assert desk("report").code == 0


# --- 70 ---------------------------------------------------------------------------------------------


def test_70_for_a_bug(desk: Desk, leaf: Leaf, monkeypatch: pytest.MonkeyPatch) -> None:
    from bulk_onboard.engine.onboard_row import Onboarding

    server, file = leaf(), write(growers(3))

    async def broken(*_: object) -> None:
        raise ZeroDivisionError(f"{PLANTED}1")

    with monkeypatch.context() as patch:
        patch.setattr(Onboarding, "onboard", broken)
        ran = desk.at(server).run(file)
    assert ran.code == 70
    assert "ZeroDivisionError" in ran.err
    assert desk.run(file).statuses == {"created": 3}


# --- down -------------------------------------------------------------------------------------------


def test_5_when_leaf_cannot_be_reached(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    desk.set("LEAF_BASE_URL", f"http://127.0.0.1:{port}")
    for name, value in (("LEAF_TOKEN", f"{PLANTED}bearer"), *APP.items()):
        desk.set(name, value)
    monkeypatch.setattr(contact, "CONTACT_PATIENCE", 1.0)
    ran = desk("run", write(growers(300)), "--rate", "200", "--json")
    assert ran.code == json.loads(ran.out)["exitCode"] == 5
    assert ran.statuses == {"not_attempted": 300}
    assert "LEAF_BASE_URL" in ran.err
    assert not open_intents()
