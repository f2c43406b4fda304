"""The ledger in real databases: what is remembered, and for whom."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from bulk_onboard.domain.entry import Entry, unknown_owner
from bulk_onboard.domain.model import Requests
from bulk_onboard.errors import LedgerError, UsageError
from bulk_onboard.ledger import Ledger
from bulk_onboard.settings import LedgerPlace
from tests.ledger.support import LEAF, NOW, OWNER, begin, current, g, info, intent, outcome, sql, tables


def test_tables_are_created_all_or_none(
    place: LedgerPlace,
) -> None:
    _make_folder(place)
    made: list[str] = []

    def cut_short(_db: object, _cursor: object, statement: str, *_more: object) -> None:
        made.append(statement)
        if statement.lstrip().startswith("CREATE INDEX"):
            raise KeyboardInterrupt

    event.listen(Engine, "before_cursor_execute", cut_short)
    try:
        with pytest.raises(KeyboardInterrupt):
            Ledger(place)
    finally:
        event.remove(Engine, "before_cursor_execute", cut_short)
    assert any("CREATE TABLE entry" in statement for statement in made)
    assert "entry" not in tables(place)


# --- what is known of a grower ----------------------------------------------------------------------


def test_intents_and_outcomes_of_a_row_replace_each_other(ledger: Ledger) -> None:
    run, scope = begin(ledger)

    def status(*intents: Entry, outcomes: Sequence[Entry] = ()) -> str | None:
        ledger.write(run, scope, intents, outcomes)
        return ledger.known(scope, [g(1)])[g(1)].status

    assert status(intent(2, g(1))) is None
    assert ledger.known(scope, [g(1), g(2)])[g(1)].intended_at == intent(2, g(1)).intended_at
    assert status(outcomes=[outcome(2, g(1), "failed")]) == "failed"
    assert ledger.entries(run) == [outcome(2, g(1), "failed")]
    assert status(intent(2, g(1))) is None
    # In one commit the intent is older than the outcome, and the last line of a row counts.
    assert status(intent(2, g(1)), outcomes=[outcome(2, g(1), "failed"), outcome(2, g(1))]) == "created"
    assert ledger.entries(run) == [outcome(2, g(1))]


def test_a_row_whose_user_is_known_late_belongs_to_that_user(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [], [outcome(2, "", "failed")])
    ledger.write(run, scope, [intent(2, g(1))], [])
    assert ledger.known(scope, [g(1)])[g(1)].status is None
    ledger.write(run, scope, [], [outcome(2, g(1))])
    assert ledger.known(scope, [g(1)])[g(1)].status == "created"


def test_an_entry_belongs_to_the_provider_that_it_names(ledger: Ledger) -> None:
    run, scope = begin(ledger, provider="cnhi,raven")
    scopes = {name: ledger.scope(LEAF, OWNER, name) for name in ("raven", "cnhi")}
    entries = [outcome(2, g(1)), outcome(3, g(1))._replace(provider="cnhi")]
    ledger.write(run, scope, [intent(2, g(1))], entries, scopes)
    assert ledger.entries(run) == entries
    assert [len(ledger.known(each, [g(1)])) for each in (scope, *scopes.values())] == [0, 1, 1]


def test_the_entry_of_the_newest_run_counts(ledger: Ledger) -> None:
    for number, (row, status) in enumerate([(900, "rejected"), (5, "created"), (70, "existing")]):
        run, scope = begin(ledger, f"r-{number}")
        ledger.write(run, scope, [], [outcome(row, g(1), status)])
    assert ledger.known(scope, [g(1)])[g(1)].status == "existing"


def test_a_rejection_because_credentials_exist_changes_nothing_that_is_done(ledger: Ledger) -> None:
    for case, (statuses, is_done) in enumerate(
        [
            (["created"], True),
            (["failed", "existing", "already-exists"], True),
            (["created", "unresolved"], False),
            (["created", "failed"], False),
            ([], False),
        ]
    ):
        for number, status in enumerate([*statuses, "already-exists"]):
            run, scope = begin(ledger, f"r-{case}-{number}", f"https://{case}.example")
            entry = outcome(2, g(1), status, "a" * 32)
            if status == "already-exists":
                entry = outcome(2, g(1), "rejected", "b" * 32)._replace(code=status)
            ledger.write(run, scope, [], [entry])
        lines = current(ledger, scope).to_pylist()
        done = [line for line in lines if line["status"] in {"created", "existing"}]
        assert [line["fingerprint"].hex for line in done] == ["a" * 32] * is_done, statuses


def test_scopes_are_independent(ledger: Ledger) -> None:
    places = [
        (LEAF, "raven", OWNER),
        (LEAF, "cnhi", OWNER),
        ("https://other.example", "raven", OWNER),
        (LEAF + "/", "raven", OWNER),
        (LEAF, "raven", "another@example.com"),
    ]
    scopes = []
    for number, place in enumerate(places):
        run, scope = begin(ledger, f"r-{number}", *place)
        ledger.write(run, scope, [], [outcome(2, g(1), fingerprint=f"{number + 1:032x}")])
        scopes.append(scope)
    assert len(set(scopes)) == len(places)
    found = [ledger.known(scope, [g(1)])[g(1)].fingerprint for scope in scopes]
    assert found == [f"{number + 1:032x}" for number in range(len(places))]
    assert ledger.scope(LEAF, OWNER, "cnhi") == scopes[1]


def test_of_an_owner_that_may_be_the_same_only_unknown_outcomes_count(ledger: Ledger) -> None:
    unknown = unknown_owner("1")
    owners = [(OWNER, unknown), (unknown, OWNER), (unknown, unknown_owner("2"))]
    open_ = ("unresolved", ["unresolved"])
    cases: list[tuple[tuple[str, str], tuple[Any, list[Any]]]] = [
        *((pair, open_) for pair in owners),
        (owners[0], ("created", [])),
        (owners[0], (None, [None])),
    ]
    for case, ((first, second), (status, expected)) in enumerate(cases):
        leaf = f"https://{case}.example"
        run, scope = begin(ledger, f"r-{case}", leaf, owner=first)
        entry = outcome(2, g(1))._replace(status=status)
        ledger.write(run, scope, [entry] if status is None else [], [entry] if status else [])
        _, other = begin(ledger, f"s-{case}", leaf, owner=second)
        assert current(ledger, other)["status"].to_pylist() == expected
        assert current(ledger, scope)["status"].to_pylist() == [status]
        assert ledger.known(other, [g(1)])[g(1)].status == status


def test_rows_without_a_grower_are_no_history(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [], [Entry(2, "invalid", code="bad-leaf-user-id"), Entry(3, "duplicate")])
    assert ledger.known(scope, [""]) == {}
    assert [entry.row for entry in ledger.entries(run)] == [2, 3]


def test_many_growers_are_looked_up_at_once(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    growers = [g(number) for number in range(40_000)]
    ledger.write(run, scope, [], [outcome(i, g) for i, g in enumerate(growers[:100])])
    assert len(ledger.known(scope, growers)) == 100


# --- runs -------------------------------------------------------------------------------------------


def test_a_run_is_found_by_its_id_and_the_latest_without_one(ledger: Ledger) -> None:
    assert ledger.find(None) is None
    first, _ = begin(ledger, "r-1")
    second, _ = begin(ledger, "r-2", provider="cnhi")
    assert ledger.find("r-1") == (first, info("r-1"))
    assert ledger.find(None) == (second, info("r-2", provider="cnhi"))
    assert ledger.find("r-3") is None


def test_all_facts_of_a_run_are_stored(ledger: Ledger, place: LedgerPlace) -> None:
    run, _ = begin(ledger)
    ended = replace(
        info(),
        finished_at=NOW,
        rows=3,
        ceiling=2.5,
        requests=Requests(1, 2, 3, 4),
        kept=("Näme", 'a "b"'),
        stop_reason="why",
        interrupted=True,
        exit_code=130,
    )
    ledger.amend(ended)
    with Ledger(place) as again:
        assert again.find("r-1") == (run, ended)


def test_a_discarded_run_leaves_nothing(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [], [outcome(2, g(1))])
    ledger.add_block(run, 0, 2, 2, b"x")
    ledger.discard(run)
    assert (ledger.find(None), ledger.known(scope, [g(1)]), list(ledger.blocks(run))) == (None, {}, [])


def test_blocks_of_a_run_come_back_in_order(ledger: Ledger) -> None:
    run, _ = begin(ledger)
    other, _ = begin(ledger, "r-2")
    for seq in (1, 0, 2):
        ledger.add_block(run, seq, 10 * seq, 10 * seq + 9, b"%d" % seq)
    ledger.add_block(other, 0, 0, 9, b"other")
    assert list(ledger.blocks(run)) == [(0, 9, b"0"), (10, 19, b"1"), (20, 29, b"2")]


def test_entries_of_a_range_come_in_row_order(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    other, _ = begin(ledger, "r-2")
    ledger.write(run, scope, [], [outcome(row, g(row)) for row in (5, 3, 4, 2, 6)])
    ledger.write(other, scope, [], [outcome(4, g(4))])
    assert [entry.row for entry in ledger.entries(run, 3, 5)] == [3, 4, 5]


def test_the_holder_is_the_latest_run_that_has_not_ended(ledger: Ledger) -> None:
    begin(ledger)
    assert ledger.holder() == "process 1 on here since 2026-11-23T12:00:00.000Z"
    ledger.amend(replace(info(), finished_at=NOW))
    assert ledger.holder() == "another process"


def test_the_last_stored_credentials_stay_known(ledger: Ledger) -> None:
    for run_id, status, held, fingerprint in [
        ("r-1", "created", "c-1", "01" * 16),
        ("r-2", "created", "c-2", "02" * 16),
        ("r-3", "failed", "", "03" * 16),
        ("r-4", "existing", "c-9", ""),
    ]:
        run, scope = begin(ledger, run_id)
        entry = outcome(2, g(1), status, fingerprint)._replace(credential_id=held, credential_created=held)
        ledger.write(run, scope, [], [entry])
    assert ledger.stored(scope, [g(1), g(2)]) == {g(1): (("c-2", "c-2", False), "02" * 16, 0)}


# --- the database ---------------------------------------------------------------------------------------


def test_the_key_of_the_fingerprints_is_random_and_survives(places: Callable[[], LedgerPlace]) -> None:
    first = places()
    with Ledger(first) as one, Ledger(places()) as other:
        key = one.key
        assert key != other.key
        assert len(key) == 32
    with Ledger(first) as again:
        assert again.key == key


@pytest.mark.parametrize("change", ["SET value = '0'", "SET key = 'version'"])
def test_a_ledger_of_another_version_is_refused_and_left_as_it_is(
    place: LedgerPlace, ledger: Ledger, change: str
) -> None:
    sql(place, f"UPDATE meta {change} WHERE key = 'schema'")
    before = sql(place, "SELECT * FROM meta ORDER BY key")
    with pytest.raises(LedgerError, match=r"written by another version.*move the ledger away") as refused:
        Ledger(place)
    assert str(place) in str(refused.value)
    assert sql(place, "SELECT * FROM meta ORDER BY key") == before


def test_tables_of_another_program_are_left_as_they_are(place: LedgerPlace) -> None:
    _make_folder(place)
    sql(place, "CREATE TABLE run (distance INTEGER)")
    sql(place, "INSERT INTO run VALUES (42)")
    with pytest.raises(LedgerError, match=r"another program \(run\).*nothing was changed"):
        Ledger(place)
    assert tables(place) == {"run"}
    assert sql(place, "SELECT * FROM run") == [(42,)]


def test_opening_without_make_creates_nothing(place: LedgerPlace) -> None:
    _make_folder(place)
    with pytest.raises(UsageError, match="there is no ledger at"):
        Ledger(place, make=False)
    assert tables(place) == set()


def test_concurrent_opening_creates_one_ledger(place: LedgerPlace) -> None:
    together = threading.Barrier(6)

    def opened() -> bytes:
        together.wait(10)
        with Ledger(place) as ledger:
            return ledger.key

    with ThreadPoolExecutor(6) as threads:
        keys = {each.result(20) for each in [threads.submit(opened) for _ in range(6)]}
    assert len(keys) == 1


def test_repeated_commits_change_nothing(ledger: Ledger) -> None:
    """A commit whose answer was lost is repeated."""
    runs = {begin(ledger) for _ in range(2)}
    assert len(runs) == 1
    run, scope = runs.pop()
    for _ in range(2):
        ledger.add_block(run, 0, 2, 4, b"x")
        ledger.write(run, scope, [intent(2, g(1)), intent(3, g(2))], [outcome(3, g(2)), outcome(4, g(3))])
    assert ledger.entries(run) == [intent(2, g(1)), outcome(3, g(2)), outcome(4, g(3))]
    assert list(ledger.blocks(run)) == [(2, 4, b"x")]


def test_two_runs_cannot_have_one_name(ledger: Ledger) -> None:
    begin(ledger)
    with pytest.raises(LedgerError):
        ledger.begin(info(), ledger.scope(LEAF, OWNER, "raven"), "process 2 elsewhere")


def test_an_error_of_the_ledger_contains_no_parameter(place: LedgerPlace, ledger: Ledger) -> None:
    run, scope = begin(ledger)
    sql(place, "DROP TABLE entry")
    with pytest.raises(LedgerError) as error:
        ledger.write(run, scope, [], [outcome(2, g(1), fingerprint="abad1dea" * 4)])
    assert re.search("no such table|does not exist", str(error.value))
    assert "abad1dea" not in str(error.value)
    assert g(1) not in str(error.value)


def test_an_intent_without_a_grower_s_uuid_is_refused(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    with pytest.raises(LedgerError):
        ledger.write(run, scope, [intent(2, "g-1")], [])
    assert ledger.entries(run) == []


def test_a_failed_commit_stores_nothing(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    bad = outcome(3, g(2))._replace(http_status=1 << 70)
    with pytest.raises(LedgerError):
        ledger.write(run, scope, [intent(2, g(1))], [bad])
    assert ledger.entries(run) == []


def _make_folder(place: LedgerPlace) -> None:
    if isinstance(place, Path):
        place.parent.mkdir()
