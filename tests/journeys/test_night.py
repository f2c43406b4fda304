"""The run nobody watches: what it refuses, what it notices, and whom it tells of what."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bulk_onboard.ledger import hold
from tests.support.cli import PLANTED, Desk, Server, grower, growers, write
from tests.support.listener import Listener, listening

Leaf = Callable[..., Server]
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


def test_a_file_with_too_few_rows_is_refused_before_anything_is_sent(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    ran = desk.at(server).run(write(growers(3)), "--min-rows", "4")
    assert (ran.code, server.seen()) == (5, [])
    assert "growers.csv has 3 rows, but --min-rows expects 4 or more" in ran.err
    assert desk.run("growers.csv", "--min-rows", "3").code == 0


@pytest.mark.parametrize("content", ["", "leafUserId,refreshToken\n"])
def test_an_empty_file_is_refused_as_one_with_too_few_rows_where_a_number_is_asked_for(
    desk: Desk, leaf: Leaf, content: str
) -> None:
    Path("growers.csv").write_text(content)
    desk.at(leaf())
    assert desk.run("growers.csv").code == 3
    ran = desk.run("growers.csv", "--min-rows", "1")
    assert (ran.code, "--min-rows expects 1" in ran.err) == (5, True)


def test_a_file_that_is_suddenly_all_new_is_refused_before_anything_is_sent(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    desk.at(server).run(write([*growers(8), *refused(2, 8)]))
    posts = server.posts
    strangers = write(growers(10, start=100), "strangers.csv")
    ran = desk.run(strangers, "--max-new", "50%")
    assert (ran.code, server.posts) == (5, posts)
    assert "10 of 10 rows are of growers that are not in the ledger" in ran.err
    assert desk("runs", "--json").out.count("runId") == 1


def test_those_who_failed_before_are_not_new(desk: Desk, leaf: Leaf) -> None:
    desk.at(leaf()).run(write([*growers(8), *refused(2, 8)]))
    assert desk.run(write(growers(10)), "--max-new", "0").code == 0
    ran = desk.run(write([*growers(10), *growers(1, start=10)]), "--max-new", "0")
    assert (ran.code, "1 of 11 rows are" in ran.err) == (5, True)
    assert desk.run("growers.csv", "--max-new", "1").code == 0


def test_where_nobody_was_met_yet_everybody_may_be_new_and_that_is_said(desk: Desk, leaf: Leaf) -> None:
    ran = desk.at(leaf()).run(write(growers(5)), "--max-new", "1%")
    assert (ran.code, "--max-new is ignored" in ran.err) == (0, True)


# --- what is noticed ----------------------------------------------------------------------------------


def test_a_file_that_says_nothing_new_is_noticed_and_what_is_left_is_still_done(
    desk: Desk, leaf: Leaf
) -> None:
    server = leaf()
    first = desk.at(server).run(write([*growers(2), *refused(1, 2)]))
    posts = server.posts
    again = desk.run("growers.csv")
    assert f"has the same rows as the input of the previous run ({first.folder.name})" in again.err
    assert server.posts == posts + 1
    assert "says the same" not in desk.run(write(growers(3))).err


def test_rows_that_fail_night_after_night_tell_since_when_and_how_often(desk: Desk, leaf: Leaf) -> None:
    rows = [*growers(1), *refused(1, 1)]
    began = [desk.at(leaf()).run(write(rows)).summary["startedAt"]]
    began.append(desk.run(write([*rows, *refused(1, 2)])).summary["startedAt"])
    third = desk.run("growers.csv")
    told = [(row["status"], row["failingSince"], row["failedRuns"]) for row in third.rows]
    assert told == [("existing", "", ""), ("rejected", began[0], "3"), ("rejected", began[1], "2")]
    results = (third.folder / "results.csv").read_bytes()
    desk("report", third.folder.name)
    assert (third.folder / "results.csv").read_bytes() == results


def test_an_invalid_row_is_of_its_grower_if_it_names_one(desk: Desk, leaf: Leaf) -> None:
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


def test_somebody_is_told_when_things_get_worse_or_better_and_not_in_between(
    night: Desk, inbox: Listener
) -> None:
    nights = [
        growers(3),
        [*growers(3), *refused(1, 3)],
        [*growers(3), *refused(1, 3)],
        [*growers(3), *refused(2, 3)],
        growers(5),
        growers(5),
    ]
    told = []
    for rows in nights:
        night.run(write(rows))
        told.append(titles(inbox)[sum(map(len, told)) :])
    assert told == [
        [],
        ["1 row newly needs attention (growers.csv)"],
        [],
        ["1 row newly needs attention (growers.csv)"],
        ["recovered (growers.csv)"],
        [],
    ]


def test_the_message_has_what_changed_the_summary_and_the_causes_with_their_hints(
    night: Desk, inbox: Listener
) -> None:
    first = night.run(write(growers(2)))
    night.run(write([*growers(2), *refused(2, 2)]))
    message = json.loads(inbox.requests[0][2])["message"]
    assert f"Since run {first.folder.name}:\n  new: 2 rows rejected" in message
    assert "2 of 4 growers are connected" in message
    assert "What needs attention:" in message
    assert "-> " in message
    assert PLANTED not in message.replace(f"{PLANTED}inbox", "")


def test_a_run_that_cannot_begin_is_told(night: Desk, inbox: Listener) -> None:
    assert night.run("absent.csv").code == 3
    assert night.run(write(growers(1)), "--min-rows", "2").code == 5
    assert titles(inbox) == [f"the run could not begin ({name}.csv)" for name in ("absent", "growers")]
    assert "there is no such file" in inbox.requests[0][2]


def test_a_run_that_finds_another_at_work_leaves_the_telling_to_that_one(
    night: Desk, inbox: Listener
) -> None:
    write(growers(1))
    with hold(LEDGER):
        assert night.run("growers.csv", "--ping", f"http://{inbox.address}/check").code == 6
    assert inbox.requests == []


def test_an_early_stop_is_told_once_and_its_end_as_a_recovery(
    desk: Desk, night: Desk, leaf: Leaf, inbox: Listener
) -> None:
    good = night.run(write(growers(1))).code
    night.set("LEAF_TOKEN", "bad-token")
    codes = [night.run(write(growers(2))).code for _ in range(2)]
    desk.set("LEAF_TOKEN", f"practice-{PLANTED}bearer")
    assert (good, codes, night.run("growers.csv").code) == (0, [4, 4], 0)
    assert titles(inbox) == ["stopped early (growers.csv)", "recovered (growers.csv)"]


def test_a_message_that_nobody_takes_is_one_warning_and_changes_nothing(desk: Desk, leaf: Leaf) -> None:
    with listening(500) as broken:
        desk.at(leaf()).set("BULK_ONBOARD_NOTIFY", f"json://{broken.address}/{PLANTED}inbox")
        ran = desk.run(write(growers(1)), "--notify-when", "always")
    assert ran.code == 0
    assert ran.err.count("warning") == 1
    assert "--notify" in ran.err


def test_an_address_that_cannot_be_used_is_told_before_anything_is_sent(desk: Desk, leaf: Leaf) -> None:
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


def test_an_option_may_name_the_variable_that_holds_the_address(
    desk: Desk, leaf: Leaf, inbox: Listener
) -> None:
    desk.at(leaf()).set("TEAM", f"json://{inbox.address}/a json://{inbox.address}/b")
    ran = desk.run(write(growers(1)), "--notify", "TEAM", "--notify-when", "always")
    assert (ran.code, sorted(inbox.paths), "warning" in ran.err) == (0, ["/a", "/b"], False)
    assert desk.run("growers.csv", "--notify", "NO_SUCH_TEAM").code == 2


def test_an_address_with_a_secret_on_the_command_line_is_warned_of(desk: Desk, leaf: Leaf) -> None:
    ran = desk.at(leaf()).run(write(growers(1)), "--notify", "json://me:word@127.0.0.1:9")
    assert "can be read in the list of processes" in ran.err
    assert "word" not in ran.err


# --- ping and metrics ---------------------------------------------------------------------------------


def test_the_ping_tells_success_and_failure_apart(desk: Desk, leaf: Leaf, inbox: Listener) -> None:
    desk.at(leaf()).set("BULK_ONBOARD_PING", f"http://{inbox.address}/{PLANTED}check")
    desk.run(write(growers(1)))
    desk.run(write(refused(1, 5)))
    desk.run("absent.csv")
    assert inbox.paths == [f"/{PLANTED}check", f"/{PLANTED}check/fail", f"/{PLANTED}check/fail"]


def test_a_ping_goes_over_https_or_stays_on_this_machine(desk: Desk, leaf: Leaf) -> None:
    desk.at(leaf()).set("BULK_ONBOARD_PING", f"http://example.com/{PLANTED}check")
    ran = desk.run(write(growers(1)))
    assert (ran.code, "plain http to example.com" in ran.err) == (2, True)


def test_metrics_are_replaced_whole_by_each_run_and_others_may_read_them(desk: Desk, leaf: Leaf) -> None:
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


def test_metrics_that_cannot_be_written_are_one_warning(desk: Desk, leaf: Leaf) -> None:
    ran = desk.at(leaf()).run(write(growers(1)), "--metrics", "no/such/folder/raven.prom")
    assert (ran.code, ran.err.count("warning")) == (0, 1)


# --- logs ---------------------------------------------------------------------------------------------


def test_every_line_of_the_json_log_is_an_object_that_names_its_run(desk: Desk, leaf: Leaf) -> None:
    ran = desk.at(leaf()).run(write([*growers(2), *refused(1, 2)]), "--log-format", "json")
    lines = [json.loads(line) for line in ran.err.splitlines()]
    assert {line.get("run_id") or line["runId"] for line in lines} == {ran.folder.name}
    rejected = [line for line in lines if line.get("status") == "rejected"]
    assert [line["row"] for line in rejected] == [4]
    assert all(line["code"] for line in rejected)


def test_the_json_log_tells_errors_and_warnings_as_objects_too(desk: Desk, leaf: Leaf) -> None:
    with listening(500) as broken:
        desk.at(leaf()).set("BULK_ONBOARD_PING", f"http://{broken.address}/check")
        ran = desk.run("absent.csv", "--log-format", "json")
    told = [json.loads(line) for line in ran.err.splitlines()]
    assert (ran.code, [line["fact"] for line in told]) == (3, ["Warning", "Error"])
    assert told[1]["exit_code"] == 3


# --- what is remembered -------------------------------------------------------------------------------
