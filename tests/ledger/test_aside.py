"""What workers put aside waits in the ledger until it is in a file."""

from __future__ import annotations

from bulk_onboard.ledger import Ledger
from bulk_onboard.ledger.aside import put, waiting
from tests.ledger.support import begin


def test_lines_of_all_runs_wait_until_they_are_written(ledger: Ledger) -> None:
    first, _ = begin(ledger, "r-1")
    second, _ = begin(ledger, "r-2")
    for run_no, line in ((second, "b"), (first, "a"), (first, "c"), (first, "a")):  # one came twice
        put(ledger, run_no, line)
    found = waiting(ledger)
    assert next(found) == ("r-1", ["a", "c"])
    found.close()  # whoever wrote them died over it: they are written again
    found = waiting(ledger)
    assert next(found) == ("r-1", ["a", "c"])
    put(ledger, first, "d")  # meanwhile
    assert next(found) == ("r-2", ["b"])
    assert next(found, None) is None
    assert list(waiting(ledger)) == [("r-1", ["d"])]
    assert not list(waiting(ledger))
