"""Who is connected is asked in pages where that takes fewer requests, and no list is believed blindly."""

from __future__ import annotations

from collections import Counter
from typing import Any

from bulk_onboard.sandbox import Behaviour, Unknowns, User
from tests.support.cli import Desk, Leaf, Ran, Server, grower, growers, write

ROWS, LISTED, CONNECTED = 180, 500, 60


def _leaf(leaf: Leaf, **answers: Any) -> Server:
    """A Leaf with more users than the file has rows."""
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


def test_user_pages_take_the_place_of_single_requests(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf)
    _connect(desk.at(server))
    ran, asked = _run(desk, server, "--no-events")
    assert ran.code == 0
    assert ran.statuses == {"existing": CONNECTED, "created": ROWS - CONNECTED}
    new = ROWS - CONNECTED
    assert asked == {"pages": LISTED // 100, "single": 40 + new, "POST": new}
    assert "Leaf lists 500 users: reading 5 pages first" in " ".join(ran.err.split())
    assert {row["code"] for row in ran.rows if row["status"] == "existing"} == {"already-connected"}


def test_the_events_check_uses_the_pages(desk: Desk, leaf: Leaf) -> None:
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
    assert _asked(server, before) == {"pages": LISTED // 100, "single": 20, "events": ROWS}


def test_a_wrong_list_is_detected_by_samples(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf, list_lies=250)
    _connect(desk.at(server))
    ran, asked = _run(desk, server, "--no-events")
    assert ran.statuses == {"existing": CONNECTED, "created": ROWS - CONNECTED}
    assert "Leaf's list of users is wrong" in " ".join(ran.err.split())
    assert asked["single"] >= ROWS
    assert asked["POST"] == ROWS - CONNECTED


def test_undetected_errors_in_the_list_change_no_outcome(desk: Desk, leaf: Leaf) -> None:
    server = _leaf(leaf, list_lies=5, post_existing="keep")
    _connect(desk.at(server))
    ran, asked = _run(desk, server)
    assert ran.code == 0
    assert ran.statuses == {"existing": CONNECTED, "created": ROWS - CONNECTED}
    assert ran.summary["health"]["healthy"] == ROWS
    assert asked["pages"] == LISTED // 100
    assert len(server.held) == ROWS
