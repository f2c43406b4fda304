"""Growers left without credentials are reported by every run of their API owner, whatever it is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulk_onboard.domain.entry import Entry
from bulk_onboard.ledger import Ledger
from tests.ledger.support import begin
from tests.support.cli import Desk, Leaf, Ran, grower, growers, write
from tests.support.listener import listening

LEFT = grower(50)


@pytest.fixture
def bench(desk: Desk, leaf: Leaf) -> Desk:
    """A desk whose ledger says that a run was killed between the DELETE and the POST of a grower."""
    desk.at(server := leaf()).set("LEAF_USERNAME", "me@example.com")
    write(growers(1))
    with Ledger(Path("reports/ledger.sqlite3")) as ledger:
        run_no, scope = begin(ledger, "r-killed", server.url, owner="me@example.com")
        intent = Entry(9, None, LEFT, intended_at="2026-11-23T00:00:00.000Z", deleting="c-1")
        ledger.write(run_no, scope, [intent], [])
    return desk


def assert_said(ran: Ran, count: int = 1) -> None:
    begin, _, closing = ran.err.partition("\n\n") if "\n\n" in ran.err else (ran.err, "", ran.err)
    assert (ran.code, len(ran.summary["leftWithout"])) == (1, count), ran.err
    assert f"{count} grower may have been left without credentials by run " in begin
    assert f"{LEFT} (raven, run " in closing


def test_every_command_reports_growers_left_without_credentials(bench: Desk) -> None:
    bench.set("SENTERA_NOTHING", "")
    assert_said(bench.run("growers.csv", "--dry-run"))
    assert_said(bench("events", "growers.csv"))
    Path("other.csv").write_text(
        f"leafUserId,username,password,organizationName\n{grower(1)},u,planted-p,o\n"
    )
    stored = bench.run("other.csv", "--provider", "sentera")
    assert_said(stored)
    other = bench("rollback", stored.folder.name, "--yes")
    assert "left without credentials" in other.err
    bench.set("LEAF_USERNAME", "another@example.com")
    assert "left without" not in bench.run("growers.csv").err


def test_runs_status_and_metrics_report_it_until_it_is_dismissed(bench: Desk) -> None:
    ran = bench.run("growers.csv", "--metrics", "m.prom")
    assert "bulk_onboard_growers_left_without" in Path("m.prom").read_text()
    assert LEFT in bench("runs").out
    (listed,) = [run["leftWithout"] for run in json.loads(bench("runs", "--json").out) if run["leftWithout"]]
    assert listed == [LEFT]
    status = bench("status", LEFT)
    assert (status.code, "left without credentials" in status.out) == (1, True)
    assert json.loads(bench("status", LEFT, "--json").out)["leftWithout"][0]["provider"] == "raven"
    dismissed = bench("status", LEFT, "--dismiss")
    assert (dismissed.code, "left without credentials" in dismissed.out) == (0, False)
    assert "Dismissed" in dismissed.err
    assert bench("status", grower(0), "--dismiss").code == 2
    again = bench.run("growers.csv")
    assert (again.code, again.summary["leftWithout"], "left without" in again.err) == (0, [], False)
    assert "left without" not in bench("report", ran.folder.name).err


def test_a_run_repairs_the_grower_first(bench: Desk) -> None:
    file = write([*growers(3), *growers(1, start=50)])
    repaired = bench.run(file, "--timeout", "0.3", "--limit", "1")
    assert "1 grower may have been left without credentials by run " in repaired.err
    assert (repaired.statuses["created"], repaired.summary["leftWithout"]) == (1, [])
    assert "left without" not in bench.run("growers.csv").err


def test_a_message_reports_it_once(bench: Desk) -> None:
    with listening() as inbox:
        bench.set("BULK_ONBOARD_NOTIFY", f"json://{inbox.address}/inbox")
        for when in ("change", "problems"):
            bench.run("growers.csv", "--notify-when", when)
    first, second = (json.loads(body) for _, _, body in inbox.requests)
    assert "1 row newly needs attention" in first["title"]
    assert "1 grower may have been left without credentials" in first["message"]
    assert "1 row still needs attention" in second["title"]
    assert LEFT in second["message"]
