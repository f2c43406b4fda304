"""Running the same command again gets past a row that failed: canary, limits and the order of rows."""

from __future__ import annotations

from tests.support.cli import Desk, Leaf, growers, write


def test_a_row_that_stopped_the_canary_does_not_stop_the_next_run(desk: Desk, leaf: Leaf) -> None:
    """A rejected row stops the canary once; from then on it comes last, and counts for nothing."""
    server = leaf()
    file = write([*growers(1, "refused-"), *growers(40, start=1)])
    command = (file, "--canary", "5", "--max-failures", "2%")
    first = desk.at(server).run(*command)
    assert (first.code, first.statuses) == (5, {"rejected": 1, "created": 4, "not_attempted": 36})
    assert "row 2" in first.summary["stopReason"]
    again = desk.run(*command)
    assert (again.code, again.statuses) == (1, {"rejected": 1, "existing": 4, "created": 36}), again.err
    assert [row["status"] for row in again.rows][:2] == ["rejected", "existing"]
    third = desk.run(*command)
    assert (third.code, third.statuses) == (1, {"rejected": 1, "existing": 40})


def test_a_new_token_for_a_row_that_failed_counts_as_never_tried(desk: Desk, leaf: Leaf) -> None:
    server, (who, *_) = leaf(), growers(1)
    refused = write([(who[0], "refused-" + who[1]), *growers(3, start=1)])
    assert desk.at(server).run(refused).code == 1
    ran = desk.run(write([(who[0], "refused-other-" + who[1]), *growers(3, start=1)]), "--canary", "1")
    assert (ran.code, ran.statuses) == (5, {"rejected": 1, "existing": 3})


def test_known_failures_do_not_stop_a_run(desk: Desk, leaf: Leaf) -> None:
    """25 rows that Leaf refuses for one reason stop the first runs, and then are only reported."""
    file = write([*growers(25, "refused-"), *growers(30, start=25)])
    first = desk.at(leaf()).run(file)
    assert first.code == 5
    assert "for the same reason" in first.summary["stopReason"]
    codes = [desk.run(file).code for _ in range(3)]
    assert codes[-1] == 1
    last = desk.run(file, "--max-failures", "0")
    assert (last.code, last.statuses) == (1, {"rejected": 25, "existing": 30})


def test_limit_counts_remaining_rows(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    file = write([*growers(2, "refused-"), *growers(10, start=2)])
    desk.at(server).run(file, "--limit", "4")
    ran = desk.run(file, "--limit", "4", "--canary", "1")
    assert ran.statuses == {"not_attempted": 2, "existing": 2, "created": 4}, ran.err
    assert "6 rows are left because of --limit" in " ".join(ran.err.split())
    ran = desk.run(file, "--limit", "4")
    assert ran.statuses == {"not_attempted": 2, "existing": 6, "created": 4}, ran.err
    ran = desk.run(file, "--limit", "4")
    assert ran.statuses == {"rejected": 2, "existing": 10}, ran.err
