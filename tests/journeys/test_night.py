"""Unattended runs: input checks, messages, pings, metrics and logs."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_onboard.ledger import hold
from tests.support.cli import PLANTED, Desk, Leaf, grower, growers, write
from tests.support.listener import Listener, listening

LEDGER = Path("reports/ledger.sqlite3")


@pytest.fixture
def inbox() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture
def night(desk: Desk, leaf: Leaf, inbox: Listener) -> Desk:
    """A desk whose runs send messages, and pings to the same place."""
    desk.at(leaf())
    desk.set("BULK_ONBOARD_NOTIFY", f"json://{inbox.address}/{PLANTED}inbox")
    return desk


def titles(inbox: Listener) -> list[str]:
    return [json.loads(body)["title"].removeprefix("bulk-onboard: ") for _, _, body in inbox.requests if body]


def refused(count: int, start: int = 0) -> list[tuple[str, str]]:
    return growers(count, "refused-", start)


# --- guards -------------------------------------------------------------------------------------------


def test_min_rows_refuses_a_short_file(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    ran = desk.at(server).run(write(growers(3)), "--min-rows", "4")
    assert (ran.code, server.seen()) == (5, [])
    assert "growers.csv has 3 rows, but --min-rows expects 4 or more" in ran.err
    assert desk.run("growers.csv", "--min-rows", "3").code == 0

    for content in ("", "leafUserId,refreshToken\n"):
        Path("growers.csv").write_text(content)
        assert desk.run("growers.csv").code == 3
        ran = desk.run("growers.csv", "--min-rows", "1")
        assert (ran.code, "--min-rows expects 1" in ran.err) == (5, True)


def test_max_new_refuses_a_file_of_unknown_growers(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    first = desk.at(server).run(write([*growers(8), *refused(2, 8)]), "--max-new", "1%")
    assert "--max-new is ignored" in first.err  # no grower is known yet
    posts = server.posts
    strangers = write(growers(10, start=100), "strangers.csv")
    ran = desk.run(strangers, "--max-new", "50%")
    assert (ran.code, server.posts) == (5, posts)
    assert "10 of 10 rows belong to growers that are not in the ledger" in ran.err
    assert desk("runs", "--json").out.count("runId") == 1
    # Growers that failed before are known.
    assert desk.run(write(growers(10)), "--max-new", "0").code == 0


# --- what is noticed ----------------------------------------------------------------------------------


def test_an_unchanged_file_is_noted_and_failed_rows_are_retried(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    first = desk.at(server).run(write([*growers(2), *refused(1, 2)]))
    posts = server.posts
    again = desk.run("growers.csv")
    assert f"has the same rows as the input of the previous run ({first.folder.name})" in again.err
    assert server.posts == posts + 1
    assert "says the same" not in desk.run(write(growers(3))).err


def test_results_say_since_when_and_in_how_many_runs_a_row_failed(desk: Desk, leaf: Leaf) -> None:
    rows = [*growers(1), *refused(1, 1)]
    began = [desk.at(leaf()).run(write(rows)).summary["startedAt"]]
    began.append(desk.run(write([*rows, *refused(1, 2)])).summary["startedAt"])
    third = desk.run("growers.csv")
    told = [(row["status"], row["failingSince"], row["failedRuns"]) for row in third.rows]
    assert told == [("existing", "", ""), ("rejected", began[0], "3"), ("rejected", began[1], "2")]
    results = (third.folder / "results.csv").read_bytes()
    desk("report", third.folder.name)
    assert (third.folder / "results.csv").read_bytes() == results


def test_an_invalid_row_with_an_id_counts_for_its_grower(desk: Desk, leaf: Leaf) -> None:
    """Otherwise --fail-on change would miss a grower that needs attention instead of another one."""

    def night(good: int, bad: int, code: str) -> tuple[int, str, str]:
        rows = [f"{grower(good)},raven,{PLANTED}-token", f"{grower(bad).upper()},{code}"]
        path = Path("invalid.csv")
        path.write_text(
            "\n".join(["leafUserId,provider,refreshToken", *rows, f"no id,raven,{PLANTED}-other"])
        )
        ran = desk.run(str(path), "--fail-on", "change")
        assert ran.rows[1]["leafUserId"] == grower(bad)
        assert ran.rows[2]["failedRuns"] == ""  # without an id, its age is not known
        return ran.code, ran.rows[1]["code"], ran.rows[1]["failedRuns"]

    desk.at(leaf())
    assert night(1, 2, "raven,") == (1, "missing-refreshToken", "1")
    assert night(1, 2, "raven,") == (0, "missing-refreshToken", "2")
    assert night(1, 3, "raven,") == (1, "missing-refreshToken", "1")


# --- messages -----------------------------------------------------------------------------------------


def test_messages_are_sent_when_the_outcome_changes(night: Desk, inbox: Listener) -> None:
    nights = [
        growers(3),
        [*growers(3), *refused(1, 3)],
        [*growers(3), *refused(1, 3)],
        growers(4),
    ]
    told = []
    for rows in nights:
        night.run(write(rows))
        told.append(titles(inbox)[sum(map(len, told)) :])
    assert told == [
        [],
        ["1 row newly needs attention (growers.csv)"],
        [],
        ["recovered (growers.csv)"],
    ]
    message = json.loads(inbox.requests[0][2])["message"]
    for part in (
        "Since run ",
        "  new: 1 row rejected",
        "3 of 4 growers are connected",
        "What needs attention:",
        "-> ",
    ):
        assert part in message
    assert PLANTED not in message.replace(f"{PLANTED}inbox", "")


def test_a_run_that_cannot_begin_sends_a_message(night: Desk, inbox: Listener) -> None:
    assert night.run("absent.csv").code == 3
    assert night.run(write(growers(1)), "--min-rows", "2").code == 5
    assert titles(inbox) == [f"the run could not start ({name}.csv)" for name in ("absent", "growers")]
    assert "there is no such file" in inbox.requests[0][2]


def test_a_run_that_finds_the_ledger_busy_sends_nothing(night: Desk, inbox: Listener) -> None:
    write(growers(1))
    with hold(LEDGER):
        assert night.run("growers.csv", "--ping", f"http://{inbox.address}/check").code == 6
    assert inbox.requests == []


def test_failed_messages_and_metrics_are_warnings(desk: Desk, leaf: Leaf) -> None:
    with listening(500) as broken:
        desk.at(leaf()).set("BULK_ONBOARD_NOTIFY", f"json://{broken.address}/{PLANTED}inbox")
        ran = desk.run(write(growers(1)), "--notify-when", "always", "--metrics", "no/such/raven.prom")
    assert ran.code == 0
    assert ran.err.count("warning") == 2
    assert "--notify" in ran.err


def test_an_unusable_address_is_refused_before_anything_is_sent(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    for option, address in (
        ("--notify", f"no-such://{PLANTED}"),
        ("--notify", f"http://[::1/{PLANTED}"),
        ("--ping", f"ftp://{PLANTED}"),
        ("--ping", f"http://[::1/{PLANTED}"),
        ("--ping", f"https://[::1]:port/{PLANTED}"),
    ):
        desk.set("ADDRESS", address)
        ran = desk.at(server).run(write(growers(1)), option, "ADDRESS")
        assert (ran.code, option in ran.err) == (2, True)
    assert server.seen() == []


def test_notify_may_name_a_variable(desk: Desk, leaf: Leaf, inbox: Listener) -> None:
    desk.at(leaf()).set("TEAM", f"json://{inbox.address}/a json://{inbox.address}/b")
    ran = desk.run(write(growers(1)), "--notify", "TEAM", "--notify-when", "always")
    assert (ran.code, sorted(inbox.paths), "warning" in ran.err) == (0, ["/a", "/b"], False)
    assert desk.run("growers.csv", "--notify", "NO_SUCH_TEAM").code == 2


def test_an_address_with_a_secret_on_the_command_line_is_a_warning(desk: Desk, leaf: Leaf) -> None:
    ran = desk.at(leaf()).run(write(growers(1)), "--notify", "json://me:word@127.0.0.1:9")
    assert "can be read in the list of processes" in ran.err
    assert "word" not in ran.err


# --- ping and metrics ---------------------------------------------------------------------------------


def test_ping_refuses_plain_http_to_another_machine(desk: Desk, leaf: Leaf) -> None:
    desk.at(leaf()).set("BULK_ONBOARD_PING", f"http://example.com/{PLANTED}check")
    ran = desk.run(write(growers(1)))
    assert (ran.code, "plain http to example.com" in ran.err) == (2, True)


def test_each_run_replaces_the_metrics_file(desk: Desk, leaf: Leaf) -> None:
    path = Path("raven.prom")
    desk.at(leaf()).run(write(growers(2)), "--metrics", str(path))
    first = path.read_text()
    assert 'bulk_onboard_rows{job_name="raven",status="created"} 2' in first
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    desk.run("absent.csv", "--metrics", str(path))
    second = path.read_text()
    assert 'bulk_onboard_exit_code{job_name="raven"} 3' in second
    assert [line for line in first.splitlines() if "last_success" in line] == [
        line for line in second.splitlines() if "last_success" in line
    ]
    assert [each.name for each in Path().glob("*raven.prom*")] == ["raven.prom"]


# --- logs ---------------------------------------------------------------------------------------------


def test_each_line_of_the_json_log_is_an_object(desk: Desk, leaf: Leaf) -> None:
    desk.at(leaf()).set("BULK_ONBOARD_PING", "http://127.0.0.1:9/check")
    ran = desk.run(write([*growers(2), *refused(1, 2)]), "--log-format", "json")
    lines = [json.loads(line) for line in ran.err.splitlines()]
    assert lines.pop()["fact"] == "Warning"  # of the ping
    assert {line.get("run_id") or line["runId"] for line in lines} == {ran.folder.name}
    rejected = [line for line in lines if line.get("status") == "rejected"]
    assert [line["row"] for line in rejected] == [4]
    assert all(line["code"] for line in rejected)


# --- what is remembered -------------------------------------------------------------------------------
