"""The ledger on real SQLite files: what is remembered, for whom, and who may read it."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from bulk_onboard.entry import Entry
from bulk_onboard.errors import LedgerError, UsageError
from bulk_onboard.facts import Kind
from bulk_onboard.fingerprint import Method
from bulk_onboard.ledger import Ledger, schema
from bulk_onboard.model import Requests
from ledger.support import LEAF, NOW, begin, info, intent, outcome


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as opened:
        yield opened


def _sql(path: Path, sql: str, *values: object) -> list[tuple[object, ...]]:
    db = sqlite3.connect(path)
    try:
        with db:
            return db.execute(sql, values).fetchall()
    finally:
        db.close()


def test_a_ledger_whose_making_was_cut_short_has_all_of_its_tables_and_index_or_none(path: Path) -> None:
    path.parent.mkdir()
    made: list[str] = []

    def cut_short(_db: object, _cursor: object, statement: str, *_more: object) -> None:
        made.append(statement)
        if statement.lstrip().startswith("CREATE INDEX"):
            raise KeyboardInterrupt

    event.listen(Engine, "before_cursor_execute", cut_short)
    try:
        with pytest.raises(KeyboardInterrupt):
            Ledger(path)
    finally:
        event.remove(Engine, "before_cursor_execute", cut_short)
    assert any("CREATE TABLE entry" in statement for statement in made)
    assert _sql(path, "SELECT name FROM sqlite_master WHERE name = 'entry'") == []


# --- what is known of a grower ----------------------------------------------------------------------


def test_an_intent_is_known_as_one_without_a_status_and_with_its_time(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [intent(2, "g-1")], [])
    known = ledger.known(scope, ["g-1", "g-2"])
    assert list(known) == ["g-1"]
    assert (known["g-1"].status, known["g-1"].intended_at) == (None, intent(2, "g-1").intended_at)


def test_the_outcome_replaces_its_intent(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [intent(2, "g-1")], [])
    ledger.write(run, scope, [], [outcome(2, "g-1")])
    assert ledger.entries(run) == [outcome(2, "g-1")]


def test_an_intent_after_an_outcome_of_the_same_run_opens_the_row_again(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [], [outcome(2, "g-1", "failed")])
    ledger.write(run, scope, [intent(2, "g-1")], [])
    assert ledger.known(scope, ["g-1"])["g-1"].status is None


def test_an_entry_belongs_to_the_provider_that_it_names(ledger: Ledger) -> None:
    run, scope = begin(ledger, provider="cnhi,raven")
    scopes = {name: ledger.scope(LEAF, name) for name in ("raven", "cnhi")}
    entries = [outcome(2, "g-1"), outcome(3, "g-1")._replace(provider="cnhi")]
    ledger.write(run, scope, [intent(2, "g-1")], entries, scopes)
    assert ledger.entries(run) == entries
    assert [len(ledger.known(each, ["g-1"])) for each in (scope, *scopes.values())] == [0, 1, 1]


def test_of_one_group_the_intent_is_older_than_the_outcome(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [intent(2, "g-1")], [outcome(2, "g-1")])
    assert ledger.known(scope, ["g-1"])["g-1"].status == "created"


def test_the_newest_run_s_entry_of_a_grower_wins_whatever_row_it_was_in(ledger: Ledger) -> None:
    for number, (row, status) in enumerate([(900, "rejected"), (5, "created"), (70, "existing")]):
        run, scope = begin(ledger, f"r-{number}")
        ledger.write(run, scope, [], [outcome(row, "g-1", status)])
    assert ledger.known(scope, ["g-1"])["g-1"].status == "existing"


def test_what_one_leaf_or_provider_holds_says_nothing_of_another(ledger: Ledger) -> None:
    places = [(LEAF, "raven"), (LEAF, "cnhi"), ("https://other.example", "raven"), (LEAF + "/", "raven")]
    scopes = []
    for number, place in enumerate(places):
        run, scope = begin(ledger, f"r-{number}", *place)
        ledger.write(run, scope, [], [outcome(2, "g-1", fingerprint=f"of-{number}")])
        scopes.append(scope)
    assert len(set(scopes)) == len(places)
    found = [ledger.known(scope, ["g-1"])["g-1"].fingerprint for scope in scopes]
    assert found == [f"of-{number}" for number in range(len(places))]
    assert ledger.scope(*places[1]) == scopes[1]


def test_rows_without_a_grower_are_nobody_s_history(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [], [Entry(2, "invalid", code="bad-leaf-user-id"), Entry(3, "duplicate")])
    assert ledger.known(scope, [""]) == {}
    assert [entry.row for entry in ledger.entries(run)] == [2, 3]


ODD = [
    "",
    "g-1",
    "G-1",
    "g-1 ",
    "Zoë",
    "Zoe\u0308",
    "农场",
    "🌾",
    "a'b",
    'a"b',
    "a\\b",
    "[1,2]",
    "%",
    "null",
    "0",
]


def test_odd_growers_are_told_apart_letter_by_letter(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [], [outcome(i, g, fingerprint=f"{i}") for i, g in enumerate(ODD)])
    known = ledger.known(scope, ODD)
    assert {g: k.fingerprint for g, k in known.items()} == {g: f"{i}" for i, g in enumerate(ODD) if g}


def test_many_growers_are_asked_about_at_once(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    growers = [f"g-{number}" for number in range(40_000)]
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


def test_all_that_is_told_of_a_run_is_kept(ledger: Ledger, path: Path) -> None:
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
    with Ledger(path) as again:
        assert again.find("r-1") == (run, ended)


def test_a_run_that_was_refused_leaves_nothing(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [], [outcome(2, "g-1")])
    ledger.add_block(run, 0, 2, 2, b"x")
    ledger.discard(run)
    assert (ledger.find(None), ledger.known(scope, ["g-1"]), list(ledger.blocks(run))) == (None, {}, [])


def test_a_run_s_input_comes_back_in_its_order(ledger: Ledger) -> None:
    run, _ = begin(ledger)
    other, _ = begin(ledger, "r-2")
    for seq in (1, 0, 2):
        ledger.add_block(run, seq, 10 * seq, 10 * seq + 9, b"%d" % seq)
    ledger.add_block(other, 0, 0, 9, b"other")
    assert list(ledger.blocks(run)) == [(0, 9, b"0"), (10, 19, b"1"), (20, 29, b"2")]


def test_entries_are_a_run_s_own_in_row_order_both_ends_included(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    other, _ = begin(ledger, "r-2")
    ledger.write(run, scope, [], [outcome(row, f"g-{row}") for row in (5, 3, 4, 2, 6)])
    ledger.write(other, scope, [], [outcome(4, "g-4")])
    assert [entry.row for entry in ledger.entries(run, 3, 5)] == [3, 4, 5]


def test_who_holds_the_ledger_is_the_latest_run_that_has_not_ended(ledger: Ledger) -> None:
    begin(ledger)
    assert ledger.holder() == "process 1 on here since 2026-11-23T12:00:00.000Z"
    ledger.amend(replace(info(), finished_at=NOW))
    assert ledger.holder() == "another process"


def test_what_was_stored_last_for_a_grower_is_known_whatever_came_of_later_runs(ledger: Ledger) -> None:
    for run_id, status, held, fingerprint in [
        ("r-1", "created", "c-1", "fp-1"),
        ("r-2", "created", "c-2", "fp-2"),
        ("r-3", "failed", "", "fp-3"),
        ("r-4", "existing", "c-9", ""),
    ]:
        run, scope = begin(ledger, run_id)
        entry = outcome(2, "g-1", status, fingerprint)._replace(credential_id=held)
        ledger.write(run, scope, [], [entry])
    assert ledger.stored(scope, ["g-1", "g-2"]) == {"g-1": ("c-2", "fp-2")}


# --- the file ---------------------------------------------------------------------------------------


def test_the_key_of_the_fingerprints_is_random_and_survives(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a") as one, Ledger(tmp_path / "b") as other:
        key = one.key
        assert key != other.key
        assert len(key) == 32
    with Ledger(tmp_path / "a") as again:
        assert again.key == key


# What a ledger of version 1 lacked.
_BACK_TO_1 = (
    "ALTER TABLE run DROP COLUMN kind",
    "ALTER TABLE run DROP COLUMN traffic",
    "ALTER TABLE run DROP COLUMN environments",
    "ALTER TABLE run DROP COLUMN forecast",
    "ALTER TABLE run DROP COLUMN plan",
    "DELETE FROM meta WHERE key = 'fingerprint_method'",
    "ALTER TABLE entry DROP COLUMN deleting",
    "UPDATE meta SET value = '1' WHERE key = 'version'",
)


def test_a_ledger_goes_on_with_the_fingerprints_it_began_with(path: Path) -> None:
    with Ledger(path) as made:
        key = made.key
        assert made.method is Method.SIPHASH
    for statement in _BACK_TO_1:
        _sql(path, statement)
    for _ in range(2):
        with Ledger(path) as ledger:
            assert (ledger.key, ledger.method) == (key, Method.BLAKE2B)


def test_a_ledger_of_an_earlier_version_is_brought_up_to_date_and_keeps_what_it_knew(path: Path) -> None:
    with Ledger(path) as made:
        run_no, scope = begin(made)
        made.write(run_no, scope, [], [outcome(2, "g-1")])
    for statement in _BACK_TO_1:
        _sql(path, statement)
    with Ledger(path) as ledger:
        found = ledger.find(None)
        assert found is not None
        assert found[1].kind is Kind.RUN
        assert len(ledger.entries(run_no)) == 1
    assert _sql(path, "SELECT value FROM meta WHERE key = 'version'") == [(str(schema.VERSION),)]


def test_a_ledger_that_an_earlier_version_never_finished_making_is_made(path: Path) -> None:
    with Ledger(path):
        pass
    for table in ("entry", "block", "snapshot", "run", "scope"):
        _sql(path, f"DROP TABLE {table}")
    _sql(path, "UPDATE meta SET value = '1' WHERE key = 'version'")
    with Ledger(path) as ledger:
        assert ledger.find(None) is None
        assert begin(ledger)


def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(path: Path, ledger: Ledger) -> None:
    _sql(path, "UPDATE meta SET value = ? WHERE key = 'version'", str(schema.VERSION + 1))
    before = _sql(path, "SELECT * FROM meta ORDER BY key")
    with pytest.raises(LedgerError, match="newer bulk-onboard") as refused:
        Ledger(path)
    assert str(path) in str(refused.value)
    assert _sql(path, "SELECT * FROM meta ORDER BY key") == before


def test_a_newer_ledger_with_other_tables_gets_none_of_ours(path: Path) -> None:
    path.parent.mkdir()
    _sql(path, "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
    _sql(path, "INSERT INTO meta VALUES ('version', ?)", str(schema.VERSION + 1))
    with pytest.raises(LedgerError, match="newer bulk-onboard"):
        Ledger(path)
    assert _sql(path, "SELECT name FROM sqlite_master WHERE type = 'table'") == [("meta",)]
    assert _sql(path, "SELECT key FROM meta") == [("version",)]


def test_the_ledger_and_what_sqlite_puts_beside_it_are_for_the_owner_alone(
    path: Path, ledger: Ledger
) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [intent(2, "g-1")], [])
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes) == {path.name, f"{path.name}-wal", f"{path.name}-shm"}
    assert set(modes.values()) == {0o600}


def test_a_commit_is_on_the_disk_when_it_returns(path: Path, ledger: Ledger) -> None:
    with ledger._engine.connect() as db:
        assert db.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert db.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        Ledger(tmp_path)


def test_a_file_that_is_no_ledger_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "growers.csv"
    path.write_bytes(b"leafUserId,refreshToken\n" * 100)
    with pytest.raises(LedgerError, match=r"growers\.csv cannot be opened"):
        Ledger(path)
    assert path.read_bytes() == b"leafUserId,refreshToken\n" * 100


def test_an_error_of_the_ledger_tells_no_parameter(path: Path, ledger: Ledger) -> None:
    run, scope = begin(ledger)
    _sql(path, "DROP TABLE entry")
    with pytest.raises(LedgerError) as error:
        ledger.write(run, scope, [], [outcome(2, "g-secret", fingerprint="planted-print")])
    assert "no such table" in str(error.value)
    assert "planted" not in str(error.value)
    assert "g-secret" not in str(error.value)


def test_what_cannot_be_stored_undoes_its_whole_group(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    bad = outcome(3, "g-2")._replace(http_status=1 << 70)
    with pytest.raises(LedgerError):
        ledger.write(run, scope, [intent(2, "g-1")], [bad])
    assert ledger.entries(run) == []
