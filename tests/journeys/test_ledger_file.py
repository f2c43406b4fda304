"""The file of the ledger: it may vanish during a run, and several ledgers may share a folder of reports."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bulk_onboard.engine import opening
from bulk_onboard.sandbox import Behaviour
from tests.support.cli import Desk, Leaf, end, growers, start, wait_for_posts, write

COUNT = 60
LEDGER = Path("reports/ledger.sqlite3")


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open cannot be deleted there")
@pytest.mark.soak(4)
def test_a_ledger_that_is_lost_during_a_run_ends_it(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0))
    process = start("run", write(growers(COUNT)), "--rate", "60", env=server.environment)
    wait_for_posts(server, process, 3)
    LEDGER.unlink()
    posted = server.posts
    ran = end(process)
    assert ran.code == 5, ran.err
    assert "was deleted or replaced during the run" in ran.err
    assert server.posts <= posted + 5
    created = {row["leafUserId"] for row in ran.rows if row["status"] == "created"}
    assert created == server.connected
    for path in LEDGER.parent.glob(f"{LEDGER.name}*"):
        path.unlink()
    again = desk.at(server).run("growers.csv", "--no-events")
    assert again.code == 0, again.err
    server.assert_stored_once(COUNT)


def test_ledgers_that_share_a_folder_of_reports_do_not_share_run_ids(
    desk: Desk, leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.at(leaf(Behaviour(event_delay=0)))
    monkeypatch.setattr(opening, "utc_now", lambda: datetime(2026, 11, 23, 15, 45, tzinfo=UTC))
    file = write(growers(2))
    for ledger in ("one.sqlite3", "two.sqlite3"):
        assert desk.run(file, "--ledger", ledger).code == 0
    odd = write([*growers(1), ("not-an-id", "some-token-1")], "odd.csv")
    assert desk.run(odd, "--ledger", "two.sqlite3", "--strict").code == 3
    assert sorted(path.parent.name for path in Path("reports").glob("*/results.csv")) == [
        "20261123T154500Z-growers",
        "20261123T154500Z-growers-2",
    ]
    assert len([path for path in Path("reports").iterdir() if path.is_dir()]) == 2


def test_an_output_that_is_not_a_folder_is_refused_before_anything_is_sent(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    Path("taken").touch(0o600)
    ran = desk.at(server).run(write(growers(2)), "--ledger", "ledger.sqlite3", "--output", "taken")
    assert ran.code == 5
    assert "cannot be created" in ran.err
    assert not server.seen()
