"""No change is lost on the way to a message: neither by a check that sent none nor by other files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import PLANTED, Desk, Leaf, grower, growers, write
from tests.support.listener import Listener, listening


@pytest.fixture
def inbox() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture
def address(inbox: Listener) -> str:
    return f"json://{inbox.address}/{PLANTED}inbox"


def titles(inbox: Listener) -> list[str]:
    return [json.loads(body)["title"].removeprefix("bulk-onboard: ") for _, _, body in inbox.requests if body]


def test_a_change_found_without_notification_is_sent_by_the_next_command(
    desk: Desk, leaf: Leaf, inbox: Listener, address: str
) -> None:
    server = leaf()
    file = write(growers(3))
    desk.set("BULK_ONBOARD_NOTIFY", address)
    assert desk.at(server).run(file).code == 0
    assert titles(inbox) == []
    server.delete(grower(1))
    desk.set("BULK_ONBOARD_NOTIFY", None)
    assert desk("events", file, "--events-wait", "0").code == 1
    desk.set("BULK_ONBOARD_NOTIFY", address)
    for command in ("events", "run"):
        assert desk(command, file, "--events-wait", "0").code == 1
    assert titles(inbox) == ["1 row newly needs attention (growers.csv)"]


def test_a_message_that_failed_is_sent_by_the_next_run(
    desk: Desk, leaf: Leaf, inbox: Listener, address: str
) -> None:
    desk.at(leaf()).set("BULK_ONBOARD_NOTIFY", f"json://127.0.0.1:9/{PLANTED}nobody")
    file = write([*growers(2), *growers(1, "refused-", 2)])
    assert desk.run(file).code == 1
    desk.set("BULK_ONBOARD_NOTIFY", address)
    assert [desk.run(file).code, desk.run(file).code] == [1, 1]
    assert titles(inbox) == ["1 row newly needs attention (growers.csv)"]


def test_an_events_check_pings_and_exports_metrics(desk: Desk, leaf: Leaf, inbox: Listener) -> None:
    file = write(growers(2))
    desk.at(leaf()).run(file)
    desk.set("BULK_ONBOARD_PING", f"http://{inbox.address}/{PLANTED}ping")
    assert desk("events", file, "--metrics", "m.prom").code == 0
    assert "bulk_onboard_exit_code" in Path("m.prom").read_text()
    assert len(inbox.requests) == 1
    missing = desk("events", "no-such.csv", "--json")
    assert (missing.code, json.loads(missing.out)["exitCode"]) == (2, 2)
    assert inbox.requests[-1][1].endswith("/fail")


def test_fail_on_decides_about_rows_that_need_attention(desk: Desk, leaf: Leaf) -> None:
    desk.at(leaf())
    codes = [1, 0]
    file = write([*growers(2), *growers(1, "refused-", 2)])
    runs = [desk.run(file, "--fail-on", "change") for _ in codes]
    assert [ran.code for ran in runs] == codes
    assert [ran.summary["exitCode"] for ran in runs] == codes
    assert "needs attention" in runs[1].err
    assert desk("report").code == codes[-1]
