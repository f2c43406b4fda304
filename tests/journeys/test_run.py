"""`run`: what it does the first time, the second time, and with all the ways to hand over a file."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bulk_onboard.reports.results import COLUMNS
from bulk_onboard.sandbox import Behaviour, Sandbox
from tests.support.cli import PLANTED, Desk, Ran, Server, as_csv, grower, growers, held, newest, write

Leaf = Callable[..., Server]
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


def test_practice_is_remembered_so_the_second_run_posts_nothing_and_a_reset_forgets(desk: Desk) -> None:
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


def test_the_second_run_sends_leaf_not_a_single_post(desk: Desk, leaf: Leaf) -> None:
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


def test_a_lost_ledger_costs_questions_but_no_post(desk: Desk, leaf: Leaf) -> None:
    server, file = leaf(), write(growers(10))
    desk.at(server).run(file)
    again = desk.run(file, "--output", "elsewhere")
    assert again.code == 0
    assert server.posts == 10
    again.folder = newest("elsewhere")
    assert again.statuses == {"existing": 10}


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


def test_a_messy_file_has_a_line_for_every_row_in_its_order_and_says_what_is_wrong(
    desk: Desk, leaf: Leaf
) -> None:
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


def test_results_have_exactly_the_columns_that_were_promised_and_then_the_kept_ones(
    desk: Desk, leaf: Leaf
) -> None:
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


def test_the_summary_has_the_promised_keys_and_is_what_json_prints_alone_on_standard_output(
    desk: Desk, leaf: Leaf
) -> None:
    ran = desk.at(leaf()).run(write(growers(3)), "--json")
    assert json.loads(ran.out) == ran.summary
    assert list(ran.summary) == SUMMARY_KEYS
    assert list(ran.summary["requests"]) == ["total", "get", "post", "delete", "throttled"]
    assert list(ran.summary["rate"]) == ["ceiling", "achieved"]
    assert ran.summary["exitCode"] == ran.code == 0
    assert ran.summary["runId"] == ran.folder.name
    assert "All 3 growers are connected" in ran.err


def test_every_format_has_the_same_rows(desk: Desk, leaf: Leaf) -> None:
    ran = desk.at(leaf()).run(write(growers(3)), "--format", "csv,parquet,jsonl")
    users = [grower(n) for n in range(3)]
    assert [row["leafUserId"] for row in ran.rows] == users
    assert pd.read_parquet(ran.folder / "results.parquet")["leafUserId"].tolist() == users
    lines = (ran.folder / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["leafUserId"] for line in lines] == users
    assert all(str(ran.folder / f"results.{name}") in ran.err for name in ("csv", "parquet", "jsonl"))


def test_what_is_about_to_be_changed_is_said_before_anything_is_sent(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    desk.at(server)
    for name, value in (("LEAF_TOKEN", None), ("LEAF_USERNAME", "ann@x"), ("LEAF_PASSWORD", f"{PLANTED}pw")):
        desk.set(name, value)
    ran = desk.run(write(growers(2)))
    assert ran.code == 0
    about = next(line for line in ran.err.splitlines() if line.startswith("About to store"))
    for word in ("2 rows", server.url, "ann@x", "raven", ran.folder.name):
        assert word in about
    assert ran.err.index(about) < ran.err.index("onboarding:")


def test_columns_of_other_names_are_mapped(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    text = as_csv(growers(2)).replace("refreshToken", "Raven token").replace("leafUserId", "Kunde")
    Path("partner.csv").write_text(text)
    unmapped = desk.at(server).run("partner.csv")
    assert unmapped.code == 3
    assert "Raven token" in unmapped.err
    assert not server.seen()
    ran = desk.run("partner.csv", "--map", "refreshToken=Raven token", "--map", "leafUserId=Kunde")
    assert (ran.code, ran.statuses) == (0, {"created": 2})


def test_standard_input_and_compressed_files_are_read(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    piped = desk.at(server).run("-", stdin=as_csv(growers(2)).encode())
    assert (piped.code, piped.statuses) == (0, {"created": 2})
    Path("growers.csv.gz").write_bytes(gzip.compress(as_csv(growers(4)).encode()))
    packed = desk.run("growers.csv.gz")
    assert (packed.code, packed.statuses) == (0, {"created": 2, "existing": 2})


# --- afterwards -------------------------------------------------------------------------------------


def test_a_report_written_again_is_the_same_to_the_last_byte(desk: Desk, leaf: Leaf) -> None:
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


def test_events_the_next_morning_by_run_by_folder_and_by_file(desk: Desk, leaf: Leaf) -> None:
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


def test_a_check_the_next_morning_does_not_change_how_the_run_ended(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    evening = desk.at(server).run(write(growers(2, "refused-")), "--max-failures", "0", "--rate", "5")
    assert evening.code == 5
    before = json.loads((evening.folder / "summary.json").read_text())
    desk("events", evening.folder.name, "--events-wait", "0")
    after = json.loads((evening.folder / "summary.json").read_text())
    for name in ("exitCode", "stopReason", "startedAt", "finishedAt", "seconds", "requests", "rate"):
        assert after[name] == before[name]


def test_events_can_be_left_out(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    ran = desk.at(server).run(write(growers(2)), "--no-events")
    assert ran.code == 0
    assert {row["health"] for row in ran.rows} == {""}
    assert not [each for each in server.seen() if each["path"].endswith("/events")]


def test_validate_sends_nothing_and_needs_no_setting(desk: Desk) -> None:
    messy = desk("validate", str(SAMPLES / "messy.csv"))
    assert messy.code == 1
    assert "bad-leaf-user-id" in messy.out
    with Path("reports/validate-messy/problems.csv").open(newline="") as file:
        assert {"row", "code"} <= set(next(csv.DictReader(file)))
    assert desk("validate", str(SAMPLES / "growers.csv")).code == 0


def test_that_leaf_holds_another_token_stays_known_from_run_to_run(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    desk.at(server).run(write(growers(2)), "--no-events", "--output", "elsewhere")
    file = write([(user, f"{token}-new") for user, token in growers(2)])
    for _ in range(2):
        again = desk.run(file, "--events-wait", "2")
        assert {(row["status"], row["code"], row["health"]) for row in again.rows} == {
            ("existing", "token-changed", "healthy")
        }
    assert server.posts == 2


def test_what_a_run_without_events_stored_is_looked_at_by_the_next_run(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0.5))
    file = write(growers(2, "expired-"))
    assert desk.at(server).run(file, "--no-events").code == 0
    again = desk.run(file, "--events-wait", "5")
    assert again.code == 1
    assert {row["health"] for row in again.rows} == {"unhealthy"}
    assert server.posts == 2


def test_another_token_stays_known_also_when_its_health_had_more_to_say(desk: Desk, leaf: Leaf) -> None:
    server = leaf(Behaviour(event_delay=0))
    desk.at(server).run(write(growers(2, "expired-")), "--no-events", "--output", "elsewhere")
    file = write(growers(2))
    first = desk.run(file, "--events-wait", "1")
    assert {(row["code"], row["health"]) for row in first.rows} == {("provider-refused", "unhealthy")}
    assert {row["code"] for row in desk.run(file, "--no-events").rows} == {"token-changed"}
