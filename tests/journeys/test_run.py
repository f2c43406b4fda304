"""`run`: what it does the first time, the second time, and with all the ways to hand over a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd

from bulk_onboard.reports.results import COLUMNS
from bulk_onboard.sandbox import Behaviour, Sandbox
from tests.support.cli import PLANTED, Desk, Leaf, Ran, Server, grower, growers, held, write

SAMPLES = Path(__file__).parents[2] / "samples"
SUMMARY_KEYS = [
    "runId", "provider", "input", "rows", "counts", "health", "causes", "requests", "rate",
    "startedAt", "finishedAt", "seconds", "exitCode", "stopReason", "providers", "environment",
    "users", "earlierChecks", "leftWithout", "waiting",
]  # fmt: skip


def agree(ran: Ran, server: Server) -> None:
    """Every connected row is what Leaf holds, and Leaf holds nothing else."""
    connected = {row["leafUserId"]: row for row in ran.rows if row["status"] in ("created", "existing")}
    stored = {user: each for user, each in server.held.items() if each["credentialId"]}
    assert connected.keys() == stored.keys()
    for user, row in connected.items():
        assert row["credentialId"] in ("", stored[user]["credentialId"])
        assert stored[user]["postsStored"] == 1


# --- again and again --------------------------------------------------------------------------------


def test_the_sandbox_keeps_its_state_until_it_is_reset(desk: Desk) -> None:
    file = write(growers(8))
    first = desk.run(file, "--sandbox")
    assert (first.code, first.statuses) == (0, {"created": 8})
    again = desk.run(file, "--sandbox")
    assert (again.code, again.statuses) == (0, {"existing": 8})
    assert again.summary["requests"]["post"] == 0
    sandbox = Sandbox(store=Path("reports/sandbox.sqlite3"))
    assert [each["posts"] for each in held(sandbox).values()] == [1] * 8
    sandbox.close()
    fresh = desk.run(file, "--sandbox", "--sandbox-reset")
    assert fresh.statuses == {"created": 8}


def test_the_second_run_sends_no_post(desk: Desk, leaf: Leaf) -> None:
    server, file = leaf(), write(growers(30))
    first = desk.at(server).run(file)
    assert (first.code, first.statuses) == (0, {"created": 30})
    assert {row["health"] for row in first.rows} == {"healthy"}
    agree(first, server)
    seen = len(server.seen())
    again = desk.run(file)
    assert (again.code, again.statuses) == (0, {"existing": 30})
    assert server.posts == 30
    assert len(server.seen()) == seen + 1, "what the ledger knows is not asked, but Leaf is contacted"
    agree(again, server)


def test_an_edited_and_reordered_file_sends_only_what_is_new(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    desk.at(server).run(write(growers(10)))
    rows = [*growers(3, start=10), *reversed(growers(10))]
    rows[-1] = (grower(0), f"{PLANTED}another")
    again = desk.run(write(rows))
    assert again.code == 0
    assert [row["leafUserId"] for row in again.rows] == [user for user, _ in rows]
    assert [row["row"] for row in again.rows] == [str(n) for n in range(2, 15)]
    assert again.statuses == {"created": 3, "existing": 10}
    assert again.rows[-1]["code"] == "token-changed"
    assert server.posts == 13
    agree(again, server)


# --- the file ---------------------------------------------------------------------------------------


def test_results_of_a_messy_file_have_each_row_in_input_order_with_its_code(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    ran = desk.at(server).run(str(SAMPLES / "messy.csv"))
    assert ran.code == 1
    numbers = [int(row["row"]) for row in ran.rows]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == len(numbers) == ran.summary["rows"] == sum(ran.summary["counts"].values())
    codes = {row["code"] for row in ran.rows if row["status"] == "invalid"}
    assert codes == {
        "missing-refreshToken", "missing-leafUserId", "bad-leaf-user-id", "placeholder-value",
        "formula-error", "conflicting-rows", "shared-token", "control-character",
        "ragged-row",
    }  # fmt: skip
    assert all(row["hint"] for row in ran.rows if row["status"] == "invalid")
    assert all(code in ran.err for code in codes)
    agree(ran, server)


def test_results_have_the_columns_of_the_contract_then_the_kept_columns(desk: Desk, leaf: Leaf) -> None:
    ran = desk.at(leaf()).run(write(growers(2)), "--keep", "region")
    with (ran.folder / "results.csv").open() as file:
        assert next(csv.reader(file)) == [*COLUMNS, "region"]
    assert [row["region"] for row in ran.rows] == ["R0", "R1"]
    first = ran.rows[0]
    assert (first["provider"], first["attempts"], first["eventStatusCode"]) == ("raven", "1", "200")
    assert first["httpStatus"] == "201"
    assert first["credentialStatus"] == "OK"
    for name in ("eventAt", "startedAt", "finishedAt"):
        assert pd.Timestamp(first[name]).tzinfo is not None, name
    assert float(first["latencyMs"]) >= 0


def test_json_prints_only_the_summary_on_standard_output(desk: Desk, leaf: Leaf) -> None:
    ran = desk.at(leaf()).run(write(growers(3)), "--json")
    assert json.loads(ran.out) == ran.summary
    assert list(ran.summary) == SUMMARY_KEYS
    assert list(ran.summary["requests"]) == ["total", "get", "post", "delete", "throttled"]
    assert list(ran.summary["rate"]) == ["ceiling", "achieved"]
    assert ran.summary["exitCode"] == ran.code == 0
    assert ran.summary["runId"] == ran.folder.name
    assert "All 3 growers are connected" in ran.err


# --- afterwards -------------------------------------------------------------------------------------


def test_a_rewritten_report_is_identical(desk: Desk, leaf: Leaf) -> None:
    ran = desk.at(leaf()).run(
        write([*growers(3), *growers(1, "refused-", start=3)]),
        "--format",
        "csv,html,jsonl",
        "--keep",
        "region",
    )
    before = {path.name: path.read_bytes() for path in ran.folder.iterdir()}
    assert b"Requests per second" in before["report.html"]
    for path in ran.folder.iterdir():
        path.unlink()
    again = desk("report", ran.folder.name, "--format", "csv,html,jsonl")
    assert again.code == ran.code == 1
    assert {path.name: path.read_bytes() for path in ran.folder.iterdir()} == before
    assert desk("report", "--format", "csv,html,jsonl").code == 1
    assert {path.name: path.read_bytes() for path in ran.folder.iterdir()} == before


def test_events_can_be_checked_by_run_folder_or_file(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0.6))
    file = write([*growers(2), *growers(1, "expired-", start=2)])
    evening = desk.at(server).run(file, "--events-wait", "0")
    assert evening.code == 0
    assert {row["health"] for row in evening.rows} == {"pending"}
    assert f"bulk-onboard events {evening.folder.name}" in evening.err
    by_run = desk("events", evening.folder.name, "--events-wait", "2", "--rate", "0")
    assert by_run.code == 1
    assert [row["health"] for row in by_run.rows] == ["healthy", "healthy", "unhealthy"]
    assert by_run.rows[2]["eventStatusCode"] == "401"
    assert desk("events", str(evening.folder), "--rate", "0").code == 1
    by_file = desk("events", file, "--rate", "0")
    assert by_file.code == 1
    assert [row["health"] for row in by_file.rows] == ["healthy", "healthy", "unhealthy"]
    assert server.posts == 3, "a check stores nothing"


def test_an_events_check_keeps_the_exit_code_and_times_of_the_run(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    evening = desk.at(server).run(write(growers(2, "refused-")), "--max-failures", "0", "--rate", "5")
    assert evening.code == 5
    before = json.loads((evening.folder / "summary.json").read_text())
    desk("events", evening.folder.name, "--events-wait", "0")
    after = json.loads((evening.folder / "summary.json").read_text())
    for name in ("exitCode", "stopReason", "startedAt", "finishedAt", "seconds", "requests", "rate"):
        assert after[name] == before[name]


def test_a_changed_token_is_reported_by_every_run(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    desk.at(server).run(write(growers(2)), "--no-events", "--output", "elsewhere")
    file = write([(user, f"{token}-new") for user, token in growers(2)])
    for _ in range(2):
        again = desk.run(file, "--events-wait", "2")
        assert {(row["status"], row["code"], row["health"]) for row in again.rows} == {
            ("existing", "token-changed", "healthy")
        }
    assert server.posts == 2


def test_a_run_checks_growers_that_an_earlier_run_without_events_stored(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0.5))
    file = write(growers(2, "expired-"))
    first = desk.at(server).run(file, "--no-events")
    assert (first.code, {row["health"] for row in first.rows}) == (0, {""})
    assert not [each for each in server.seen() if each["path"].endswith("/events")]
    again = desk.run(file, "--events-wait", "5")
    assert again.code == 1
    assert {row["health"] for row in again.rows} == {"unhealthy"}
    assert server.posts == 2


def test_a_changed_token_is_reported_after_an_unhealthy_check(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0))
    desk.at(server).run(write(growers(2, "expired-")), "--no-events", "--output", "elsewhere")
    file = write(growers(2))
    first = desk.run(file, "--events-wait", "1")
    assert {(row["code"], row["health"]) for row in first.rows} == {("provider-refused", "unhealthy")}
    assert {row["code"] for row in desk.run(file, "--no-events").rows} == {"token-changed"}
