"""The ledger against a model of dicts, through any sequence of runs, commits and crashes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bulk_onboard.domain.entry import OTHERS, Entry, GrowerState
from bulk_onboard.errors import LedgerError
from bulk_onboard.ledger import Ledger, schema
from bulk_onboard.ledger.left_without import dismiss, left_without
from bulk_onboard.settings import LedgerPlace
from tests.ledger.support import OWNER, begin, current, g, intent, outcome, sql
from tests.support.properties import THOROUGH, scaled

GROWERS = [*map(g, range(5)), ""]
PLACES = [
    ("https://a.example", "raven", OWNER),
    ("https://a.example", "cnhi", OWNER),
    ("https://b.example", "raven", OWNER),
    ("https://a.example", "raven", "another@example.com"),
]
STATUSES = ["created", "existing", "rejected", "failed", "unresolved", "not_attempted", "invalid"]

CONNECTED = {"created", "existing"}
WITHOUT = {None, "rejected", "failed", "unresolved", "not_attempted"}
ids = st.sampled_from(["", "", "c-1"])
rows = st.integers(0, len(GROWERS) - 1)
sparse = st.sampled_from(["", "x", "ü", "🌾", "'; DROP TABLE entry; --"])
fingerprints = st.sampled_from(["", "01" * 16, "02" * 16, OTHERS])


class LedgerMachine(RuleBasedStateMachine):
    """``runs``: entries by run and row; ``of``: the place of a run. A row's grower is its number's."""

    def __init__(self, place: LedgerPlace) -> None:
        super().__init__()
        self.place = place
        self.ledger = Ledger(place)
        self.key = self.ledger.key
        self.scopes = {
            place: self.ledger.scope(leaf, owner, provider)
            for place in PLACES
            for leaf, provider, owner in [place]
        }
        self.runs: dict[int, dict[int, Entry]] = {}
        self.dismissed: dict[tuple[tuple[str, str, str], str], int] = {}
        self.of: dict[int, tuple[str, str, str]] = {}
        self.run = 0
        self.scope = 0
        self.created: dict[tuple[str, str, str], dict[str, tuple[int, int]]] = {each: {} for each in PLACES}
        self.seen: dict[tuple[str, str, str], dict[str, tuple[int, int]]] = {each: {} for each in PLACES}

    @initialize()
    def first_run(self) -> None:
        self.next_run(PLACES[0])

    @rule(place=st.sampled_from(PLACES))
    def next_run(self, place: tuple[str, str, str]) -> None:
        self.run, self.scope = begin(self.ledger, f"r-{len(self.runs)}-{self.run}", *place)
        assert self.run not in self.runs or not self.runs[self.run]
        self.runs[self.run], self.of[self.run] = {}, place

    @rule(row=rows, fingerprint=fingerprints, deleting=ids)
    def intend(self, row: int, fingerprint: str, deleting: str) -> None:
        entry = intent(row, GROWERS[row], fingerprint)._replace(deleting=deleting)
        self.ledger.write(self.run, self.scope, [entry], [])
        self.note(self.run, entry)

    @rule(
        row=rows,
        status=st.sampled_from(STATUSES),
        text=sparse,
        fingerprint=fingerprints,
        number=st.none() | st.integers(0, 1 << 40),
        deleting=ids,
        held=ids,
        event=st.sampled_from([None, None, 200, 401]),
    )
    def finish(  # noqa: PLR0917
        self,
        row: int,
        status: str,
        text: str,
        fingerprint: str,
        number: int | None,
        deleting: str,
        held: str,
        event: int | None,
    ) -> None:
        entry = outcome(row, GROWERS[row], status, fingerprint)._replace(deleting=deleting)
        entry = entry._replace(message=text, http_status=number, latency_ms=number and number / 8)
        entry = entry._replace(credential_id=held, event_status=event)
        self.ledger.write(self.run, self.scope, [], [entry])
        self.note(self.run, entry)

    @precondition(lambda self: any(self.runs.values()))
    @rule(data=st.data(), health=st.sampled_from(["healthy", "unhealthy"]), event=st.sampled_from([200, 401]))
    def check_again(self, data: st.DataObject, health: str, event: int) -> None:
        """Amend what any run says of a row, as a later check of its events does."""
        run = data.draw(st.sampled_from([run for run, entries in self.runs.items() if entries]))
        row = data.draw(st.sampled_from(sorted(self.runs[run])))
        entry = self.runs[run][row]
        if entry.status is not None:
            amended = entry._replace(health=health, event_status=event, app=7)
            self.ledger.write(run, self.scopes[self.of[run]], [], [amended])
            self.note(run, amended)

    @rule(row=rows)
    def reject_without_sending(self, row: int) -> None:
        """As --if-exists fail does: a grower that was connected before still is."""
        if row not in self.runs[self.run]:
            entry = outcome(row, GROWERS[row], "rejected")._replace(code="already-exists")
            self.ledger.write(self.run, self.scope, [], [entry])
            self.note(self.run, entry)

    @rule(group=st.lists(st.tuples(rows, st.sampled_from(STATUSES)), max_size=5))
    def intend_and_finish_in_one_group(self, group: list[tuple[int, str]]) -> None:
        intents = [intent(row, GROWERS[row]) for row, _ in group]
        outcomes = [outcome(row, GROWERS[row], status) for row, status in group]
        self.ledger.write(self.run, self.scope, intents, outcomes)
        for entry in outcomes:
            self.note(self.run, entry)

    @rule(row=rows)
    def dismiss(self, row: int) -> None:
        dismiss(self.ledger, GROWERS[row])
        for place in PLACES:
            run, entry = self.newest(place).get(GROWERS[row], (0, None))
            if entry and entry.deleting and entry.status in WITHOUT:
                self.dismissed[place, GROWERS[row]] = run

    @rule(row=rows)
    def fail_to_commit(self, row: int) -> None:
        bad = outcome(row, GROWERS[row])._replace(attempts=1 << 80)
        with pytest.raises(LedgerError):
            self.ledger.write(self.run, self.scope, [intent(row, GROWERS[row])], [bad])

    @precondition(lambda self: len(self.runs) > 1)
    @rule()
    def discard(self) -> None:
        self.ledger.discard(self.run)
        place, names = self.of.pop(self.run), {each.leaf_user_id for each in self.runs.pop(self.run).values()}
        for name in names:
            self.created[place].pop(name, None)
            self.seen[place].pop(name, None)
        for run in sorted(run for run in self.runs if self.of[run] == place):
            for entry in [each for each in self.runs[run].values() if each.leaf_user_id in names]:
                self.note(run, entry)
        self.next_run(PLACES[0])

    @rule()
    def crash(self) -> None:
        """Nothing is finished or said goodbye to; what is on the disk is what there is."""
        if isinstance(self.place, Path):
            crashed, self.place = self.place, Path(tempfile.mkdtemp()) / "ledger.sqlite3"
            for file in crashed.parent.iterdir():
                shutil.copy2(file, self.place.parent / file.name)
            self.ledger.__exit__()
            shutil.rmtree(crashed.parent)
        else:
            self.sessions_end()
        self.ledger = Ledger(self.place)
        self.next_run(PLACES[1])

    def sessions_end(self) -> None:
        """As after a cut: what a session has not committed is gone."""
        with suppress(LedgerError), self.ledger.writing() as db:
            pid = db.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            db.execute(schema.entry.delete())
            sql(self.place, "SELECT pg_terminate_backend(?)", pid)
        self.ledger.__exit__()

    @invariant()
    def every_run_holds_what_was_committed(self) -> None:
        for run, entries in self.runs.items():
            told = [entries[row]._replace(provider=self.of[run][1]) for row in sorted(entries)]
            assert self.ledger.entries(run) == told

    @invariant()
    def of_every_grower_the_newest_entry_of_the_place_is_known(self) -> None:
        for place in PLACES:
            newest = {grower: entry for grower, (_, entry) in self.newest(place).items()}
            known = self.ledger.known(self.scopes[place], GROWERS)
            assert {name: told[1:] for name, told in known.items()} == {
                name: tuple(getattr(entry, field) for field in GrowerState._fields[1:])
                for name, entry in newest.items()
            }

    def of_table(self, table: pa.Table) -> dict[str, tuple[object, ...]]:
        lines = {str(line["id"]): line for line in table.to_pylist()}
        return {name: (line["status"], line["health"], line["app"]) for name, line in lines.items()}

    def of_entries(self, entries: dict[str, Entry]) -> dict[str, tuple[object, ...]]:
        return {name: (entry.status, entry.health, entry.app) for name, entry in entries.items()}

    @invariant()
    def what_was_stored_and_seen_last_is_known_whatever_came_later(self) -> None:
        for place, scope in self.scopes.items():
            growers = [name for name in GROWERS if name]
            stored = {name: known[1] for name, known in self.ledger.stored(scope, growers).items()}
            events = {name: self.ledger.recorded_event(scope, name) for name in growers}
            seen = {name: event.event_status for name, event in events.items() if event}
            created = {name: self.runs[run][row] for name, (run, row) in self.created[place].items()}
            assert stored == {
                name: entry.fingerprint
                for name, entry in created.items()
                if entry.status == "created" and entry.credential_id
            }
            noted = {name: self.runs[run][row].event_status for name, (run, row) in self.seen[place].items()}
            assert seen == {name: event for name, event in noted.items() if event}

    def note(self, run: int, entry: Entry) -> None:
        """Keep an entry; where it stored credentials or saw an event, that is the latest of the grower."""
        self.runs[run][entry.row] = entry
        place, name = self.of[run], entry.leaf_user_id
        if name and entry.event_status and run >= self.seen[place].get(name, (0, 0))[0]:
            self.seen[place][name] = (run, entry.row)
        newest, _ = self.newest(place).get(name, (0, None))
        if newest == run and entry.status == "created" and entry.credential_id:
            self.created[place][name] = (run, entry.row)

    def newest(self, place: tuple[str, str, str]) -> dict[str, tuple[int, Entry]]:
        """The newest entry of each grower of a place, and the number of its run."""
        found: dict[str, tuple[int, Entry]] = {}
        for run in sorted(self.runs):
            for entry in self.runs[run].values() if self.of[run] == place else ():
                _, before = found.get(entry.leaf_user_id, (0, None))
                if entry.code != "already-exists" or not before or before.status not in CONNECTED:
                    found[entry.leaf_user_id] = (run, entry)
        found.pop("", None)
        return found

    @invariant()
    def growers_left_without_credentials_are_known_until_repaired_or_dismissed(self) -> None:
        expected = {
            (place, grower)
            for place in PLACES
            for grower, (run, entry) in self.newest(place).items()
            if entry.deleting and entry.status in WITHOUT and self.dismissed.get((place, grower), 0) < run
        }
        found = {
            ((each.leaf, each.provider, each.owner), each.leaf_user_id) for each in left_without(self.ledger)
        }
        assert found == expected

    @invariant()
    def the_key_stays(self) -> None:
        assert self.ledger.key == self.key

    def teardown(self) -> None:
        for place, scope in self.scopes.items():
            newest = {grower: entry for grower, (_, entry) in self.newest(place).items()}
            assert self.of_table(current(self.ledger, scope)) == self.of_entries(newest)
        self.ledger.__exit__()
        if isinstance(self.place, Path):
            shutil.rmtree(self.place.parent)


def test_the_ledger_is_what_the_model_says(places: Callable[[], LedgerPlace]) -> None:
    # Each step on a server takes several times as long.
    few = settings(
        max_examples=scaled(12) if isinstance(places(), Path) else scaled(4) // 4,
        stateful_step_count=25 if isinstance(places(), Path) or THOROUGH else 12,
        deadline=None,
    )
    run_state_machine_as_test(lambda: LedgerMachine(places()), settings=few)
