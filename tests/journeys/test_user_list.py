"""Who is connected is asked in pages where that takes fewer requests, and no list is believed blindly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from bulk_onboard.sandbox import Behaviour, Unknowns, User
from tests.support.cli import Desk, Ran, Server, grower, growers, write

Leaf = Callable[..., Server]
ROWS, LISTED, CONNECTED = 360, 1000, 120


def _leaf(leaf: Leaf, **answers: Any) -> Server:
    """A Leaf with a thousand users."""
    known = tuple(User(grower(n)) for n in range(LISTED))
    return leaf(Behaviour(unknowns=Unknowns(**{"users": "listed", **answers}), event_delay=0, users=known))


def _connect(desk: Desk, count: int = CONNECTED) -> None:
    """So many of them have been connected by somebody else, every third of the file."""
    file = write(growers(3 * count)[::3], "before.csv")
    assert desk.run(file, "--output", "before", "--no-events", "--if-exists", "overwrite").code == 0


def _asked(server: Server, since: int) -> Counter[str]:
    """Requests after the first contact, by kind: the list, credentials, events, and changes."""
    return Counter(_kind(each["method"], each["path"]) for each in server.seen()[since + 1 :])


def _kind(method: str, path: str) -> str:
    last = path.rstrip("/").rsplit("/", 1)[-1]
    return {"users": "pages", "events": "events"}.get(last, "single") if method == "GET" else method


def _run(desk: Desk, server: Server, *options: str) -> tuple[Ran, Counter[str]]:
    before = len(server.seen())
    ran = desk.run(write(growers(ROWS)), *options)
    return ran, _asked(server, before)


def test_many_growers_are_known_after_a_few_pages(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf)
    _connect(desk.at(server))
    ran, asked = _run(desk, server, "--no-events")
    assert ran.code == 0
    assert ran.statuses == {"existing": CONNECTED, "created": ROWS - CONNECTED}
    new = ROWS - CONNECTED
    assert asked == {"pages": LISTED // 100, "single": 40 + new, "POST": new}
    assert "Leaf lists 1,000 users: reading 10 pages first" in " ".join(ran.err.split())
    assert {row["code"] for row in ran.rows if row["status"] == "existing"} == {"already-connected"}


def test_the_events_check_takes_the_status_of_existing_growers_from_the_pages(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf)
    _connect(desk.at(server))
    ran, asked = _run(desk, server)
    created = ROWS - CONNECTED
    assert ran.summary["health"] == {"healthy": ROWS, "unhealthy": 0, "pending": 0}
    assert asked["single"] == 40 + 2 * created
    assert asked["events"] >= ROWS
    before = len(server.seen())
    checked = desk("events", ran.folder.name, "--rate", "0")
    assert checked.summary["health"] == ran.summary["health"]
    assert _asked(server, before) == {"pages": 10, "single": 20, "events": ROWS}


def test_a_list_that_changes_while_it_is_read_tells_as_much(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf, list_drift="gone")
    _connect(desk.at(server))
    ran, asked = _run(desk, server, "--no-events")
    assert ran.statuses == {"existing": CONNECTED, "created": ROWS - CONNECTED}
    assert asked["pages"] <= 10
    assert asked["single"] < 60 + ROWS - CONNECTED
    assert asked["POST"] == ROWS - CONNECTED


def test_a_list_that_lies_is_found_out_and_everybody_is_asked_for(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf, list_lies=500)
    _connect(desk.at(server))
    ran, asked = _run(desk, server, "--no-events")
    assert ran.statuses == {"existing": CONNECTED, "created": ROWS - CONNECTED}
    assert "Leaf's list of users is wrong" in " ".join(ran.err.split())
    assert asked["single"] >= ROWS
    assert asked["POST"] == ROWS - CONNECTED


def test_a_few_lies_that_no_sample_finds_change_no_outcome(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf, list_lies=10, post_existing="keep")
    _connect(desk.at(server))
    ran, asked = _run(desk, server)
    assert ran.code == 0
    assert ran.statuses == {"existing": CONNECTED, "created": ROWS - CONNECTED}
    assert ran.summary["health"]["healthy"] == ROWS
    assert asked["pages"] == 10
    assert len(server.held) == ROWS


def test_a_short_list_is_not_worth_it(desk: Desk, leaf: Leaf) -> None:
    ran, asked = _run(desk.at(server := leaf()), server, "--no-events")
    assert asked == {"pages": 1, "single": ROWS, "POST": ROWS}
    assert "Leaf lists no users: asking about 360 growers one at a time" in " ".join(ran.err.split())
