"""Before anything is sent: which rows are done, which are to do, and which have to be asked about first."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self
from uuid import UUID

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import IfExists, Row, Secret, Status
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.domain.run_events import RunInfo, ignore
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.engine.checked_file import CheckedFile, Reading
from bulk_onboard.engine.first_pass import Comparison, FirstPass, read_and_compare, rows_to_do, store_input
from bulk_onboard.engine.rows_to_check import rows_to_check, rows_unknown
from bulk_onboard.errors import InputError, Interrupted
from bulk_onboard.ledger import Ledger
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.workspace import Workspace
from tests.engine.support import hurry
from tests.support.properties import scaled
from tests.support.virtual_time import BEGINNING

AT = to_text(BEGINNING)
RAVEN = PROVIDERS["raven"]
APP = {field.name: Secret(f"planted-{field.name}") for field in RAVEN.app_fields if not field.allowed}
CHUNK = 4


def grower(number: int) -> str:
    """The grower of a row, by its number in the file."""
    return str(UUID(int=(4 << 76) + (8 << 60) + number))


class Desk:
    """A ledger, and run after run of the same growers on it."""

    def __init__(self, ledger: Ledger) -> None:
        hurry(ledger)
        self.ledger = ledger
        self.scope = ledger.scope("https://leaf.example", "me", "raven")
        self.run_no = 0
        self.workspace: Workspace | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.workspace:
            self.workspace.__exit__()

    def first_pass(
        self, tokens: dict[int, str], if_exists: IfExists = IfExists.SKIP
    ) -> tuple[CheckedFile, FirstPass]:
        """A run over a file with these tokens by row number."""
        checked_file, _ = self.checked_file(tokens), self.begin()
        return checked_file, self.compare(checked_file, if_exists)

    def compare(
        self,
        checked_file: CheckedFile,
        if_exists: IfExists = IfExists.SKIP,
        stopped: Callable[[], bool] = lambda: False,
    ) -> FirstPass:
        comparison = Comparison(self.ledger, {"raven": self.scope}, if_exists, allow_shared_tokens=False)
        if self.workspace:
            self.workspace.__exit__()
        self.workspace = Workspace()
        found = read_and_compare(
            checked_file, self.workspace, comparison, known_users=None, observer=ignore, stopped=stopped
        )
        store_input(self.workspace, self.ledger, self.run_no)
        return found

    def checked_file(self, tokens: dict[int, str]) -> CheckedFile:
        told = {"leafUserId": map(grower, tokens), "refreshToken": tokens.values()}
        frame = pd.DataFrame({name: list(values) for name, values in told.items()})
        return CheckedFile(
            open_source(frame),
            Reading([RAVEN], {"raven": APP}, {}, chunk_rows=CHUNK),
            self.ledger.key,
        )

    def begin(self) -> int:
        info = RunInfo(
            f"r-{self.run_no + 1}", "raven", "growers.csv", "https://leaf.example", "me", BEGINNING
        )
        self.run_no = self.ledger.begin(info, self.scope, "process 1 on here")
        return self.run_no

    def end(self, row: Row, status: str | None, **more: str) -> None:
        """What came of a row in the latest run; None: its intent was the last that was heard of it."""
        entry = Entry(row.number, status, row.leaf_user_id, row.fingerprint, intended_at=AT, **more)
        self.ledger.write(self.run_no, self.scope, [], [entry])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Ledger(tmp_path / "ledger.sqlite3") as ledger, Desk(ledger) as desk:
        yield desk


def tokens(count: int, prefix: str = "planted-token") -> dict[int, str]:
    return {number: f"{prefix}-{number}" for number in range(2, 2 + count)}


def to_do(checked_file: CheckedFile, found: FirstPass) -> list[Row]:
    return list(rows_to_do(checked_file, found.known, found.wanted))


def test_all_rows_of_a_new_file_are_to_do(desk: Desk) -> None:
    checked_file, found = desk.first_pass(tokens(10))
    rows = to_do(checked_file, found)
    assert (found.rows, [row.number for row in rows]) == (10, list(range(2, 12)))
    assert [row.payload["refreshToken"] for row in rows] == list(tokens(10).values())
    assert {row.open_intent for row in rows} == {None}


def test_the_next_run_does_the_rest_and_verifies_open_intents(desk: Desk) -> None:
    ends = ["created", "existing", None, "unresolved", "failed", "rejected", "not_attempted"]
    for row, status in zip(to_do(*desk.first_pass(tokens(8))), ends, strict=False):
        desk.end(row, status)
    checked_file, found = desk.first_pass(tokens(8))
    rows = to_do(checked_file, found)
    assert found.statuses == {Status.EXISTING: 2}
    assert [row.number for row in rows] == [4, 5, 6, 7, 8, 9]
    assert [row.number for row in rows if row.open_intent] == [4, 5]
    intents = [row.open_intent for row in rows if row.open_intent]
    assert all((intent.at, intent.same) == (BEGINNING, True) for intent in intents)


def test_an_open_intent_of_other_secrets_is_recognised(desk: Desk) -> None:
    (row,) = to_do(*desk.first_pass(tokens(1, "planted-old")))
    desk.end(row, None)
    (again,) = to_do(*desk.first_pass(tokens(1, "planted-new")))
    assert again.open_intent
    assert not again.open_intent.same


def test_scopes_do_not_share_states(desk: Desk) -> None:
    (row,) = to_do(*desk.first_pass(tokens(1)))
    desk.end(row, "created")
    desk.scope = desk.ledger.scope("https://other.example", "me", "raven")
    assert len(desk.first_pass(tokens(1))[1].wanted) == 1


def test_a_stop_while_reading_ends_the_survey(desk: Desk) -> None:
    desk.begin()
    asked = iter([False, False, True])
    with pytest.raises(Interrupted, match="nothing was sent"):
        desk.compare(desk.checked_file(tokens(40)), stopped=lambda: next(asked))
    assert not list(desk.ledger.blocks(desk.run_no))


def test_rows_of_a_file_that_has_changed_since_are_not_sent(desk: Desk) -> None:
    checked_file, found = desk.first_pass(tokens(10))
    # The third chunk is another by now.
    checked_file._seen[2] = bytes(16)
    sent = []
    with pytest.raises(InputError, match="was changed while it was being read"):
        sent.extend(row.number for row in iter(rows_to_do(checked_file, found.known, found.wanted)))
    assert all(number < 2 + 2 * CHUNK for number in sent)


def test_the_events_check_covers_new_and_unhealthy_growers(desk: Desk) -> None:
    healths = ["healthy", "unhealthy", "pending", ""]
    for row, health in zip(to_do(*desk.first_pass(tokens(4))), healths, strict=True):
        desk.end(row, "created", health=health)
    checked_file, found = desk.first_pass(tokens(7))
    for row, status in zip(to_do(checked_file, found), ["created", "rejected", "existing"], strict=True):
        desk.end(row, status)
    looked = [
        check.entry.row for check in rows_to_check(desk.workspace, desk.ledger, desk.run_no, every=False)
    ]
    assert looked == [3, 4, 5, 6, 8]
    began = BEGINNING
    checks = {
        c.entry.row: c
        for c in rows_to_check(desk.workspace, desk.ledger, desk.run_no, every=False, began=began)
    }
    assert {row: check.stored_at for row, check in checks.items() if row < 6} == {3: None, 4: None, 5: began}
    every = [check.entry.row for check in rows_to_check(desk.workspace, desk.ledger, desk.run_no, every=True)]
    assert every == [2, 3, 4, 5, 6, 8]
    some = rows_to_check(desk.workspace, desk.ledger, desk.run_no, every=True, only=[3, 8])
    assert [check.entry.row for check in some] == [3, 8]


def test_checking_unknown_rows_keeps_open_intents(desk: Desk) -> None:
    for row, status in zip(to_do(*desk.first_pass(tokens(2))), [None, "failed"], strict=True):
        desk.end(row, status)
    checks = list(rows_unknown(*desk.first_pass(tokens(3))))
    found = [(check.entry.status, check.entry.intended_at, check.unless_found) for check in checks]
    assert found == [
        ("unresolved", AT, Status.UNRESOLVED),
        ("not_attempted", "", Status.NOT_ATTEMPTED),
        ("not_attempted", "", Status.NOT_ATTEMPTED),
    ]


def test_connected_growers_without_good_health_are_counted(desk: Desk) -> None:
    for row, health in zip(
        to_do(*desk.first_pass(tokens(4))), ["healthy", "unhealthy", "", "healthy"], strict=True
    ):
        desk.end(row, "created", health=health)
    _, found = desk.first_pass(tokens(5))
    assert (found.unhealthy, len(found.wanted)) == (2, 1)


statuses = st.sampled_from([None, "created", "existing", "rejected", "failed", "unresolved", "not_attempted"])
histories = st.lists(st.tuples(st.integers(2, 10), statuses, st.booleans()), max_size=8)


@settings(max_examples=scaled(6))
@given(histories, st.sampled_from(IfExists))
def test_each_row_is_either_done_or_to_do(
    history: list[tuple[int, str | None, bool]], if_exists: IfExists
) -> None:
    new, old = tokens(9), tokens(9, "planted-old")
    last: dict[int, tuple[str | None, bool]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder) / "ledger.sqlite3") as ledger,
        Desk(ledger) as desk,
    ):
        rows = {row.number: row for row in to_do(*desk.first_pass(new))}
        former = {row.number: row for row in to_do(*desk.first_pass(old))}
        for number, status, same in history:
            desk.begin()
            desk.end((rows if same else former)[number], status)
            last[number] = (status, same)
        checked_file, found = desk.first_pass(new, if_exists)
        again = {row.number: row for row in to_do(checked_file, found)}
        with Workspace() as stored:
            stored.load_blocks(data for _, _, data in ledger.blocks(desk.run_no))
            rows_stored = stored.count("SELECT count(*) FROM rows")
    assert found.rows == len(again) + sum(found.statuses.values()) == rows_stored == 9
    for number in new:
        status, same = last.get(number, ("not_attempted", True))
        done = status in {"created", "existing"}
        assert (number in again) is (not done or (if_exists is not IfExists.SKIP and not same))
        intent = again[number].open_intent if number in again else None
        assert bool(intent) is (status in {None, "unresolved"})
        assert intent is None or intent.same is same
