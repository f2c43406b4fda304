"""Connected growers are checked again when their last check is too old; reports claim no more than that."""

from __future__ import annotations

import sqlite3

import pytest

from tests.support.cli import Desk, Leaf, grower, growers, write


def age_checks(days: int) -> None:
    """Make all checks on record so many days older."""
    with sqlite3.connect("reports/ledger.sqlite3") as db:
        db.execute(
            "UPDATE grower SET health_checked_at = strftime('%Y-%m-%dT%H:%M:%fZ', health_checked_at, ?)"
            " WHERE health_checked_at != ''",
            (f"-{days} days",),
        )
    db.close()


def test_results_of_earlier_checks_keep_their_time_and_the_headline_says_so(desk: Desk, leaf: Leaf) -> None:
    file = write(growers(3))
    first = desk.at(leaf()).run(file)
    assert "last checked" not in first.err
    again = desk.run(file)
    times = [row["healthCheckedAt"] for row in first.rows]
    assert [row["healthCheckedAt"] for row in again.rows] == times
    assert f"3 growers were last checked by earlier runs, since {min(times)}" in " ".join(again.err.split())
    assert again.summary["earlierChecks"] == {"count": 3, "oldest": min(times)}


def test_a_few_growers_are_checked_again_one_by_one(desk: Desk, leaf: Leaf) -> None:
    server, file = leaf(), write(growers(4))
    desk.at(server).run(file)
    age_checks(2)
    server.delete(grower(2))
    young = desk.run(file, "--recheck", "3d")
    assert (young.code, young.summary["earlierChecks"]["count"]) == (0, 4)
    ran = desk.run(file, "--recheck", "36h")
    assert [row["code"] for row in ran.rows].count("credentials-gone") == 1
    assert (ran.code, ran.summary["earlierChecks"]["count"]) == (1, 0)
    assert server.posts == 4


@pytest.mark.parametrize("age", ["7", "d", "0d", "-1d", "7w", "1e9d"])
def test_an_age_that_is_none_is_refused(desk: Desk, age: str) -> None:
    ran = desk("run", write(growers(1)), "--recheck", age)
    assert (ran.code, "such as 7d or 36h" in ran.err) == (2, True)
