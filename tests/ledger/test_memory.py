"""What is remembered of everybody at once, and what is forgotten in time."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_onboard.growers import State
from bulk_onboard.ledger import Ledger
from bulk_onboard.ledger import ledger as module
from bulk_onboard.settings import LedgerPlace
from bulk_onboard.texts import uuid_words
from ledger.support import begin, outcome

NAMES = [str(UUID(int=number)) for number in range(1, 7)]
STATES = {
    "created": State.DONE,
    "existing": State.DONE,
    "unresolved": State.OPEN,
    None: State.OPEN,
    "failed": None,
    "rejected": None,
}


def states(ledger: Ledger, scope: int, among: list[str] | None = None) -> list[State | None]:
    """What is known of each of the names, or is found when only some are looked for."""
    known = ledger.growers(scope, among)
    found = known.find(uuid_words(pa.array(NAMES, pa.large_string()))).tolist()
    return [State(int(known.states[at])) if at >= 0 else None for at in found]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(list(STATES))), max_size=6),
            st.booleans(),
        ),
        max_size=5,
    )
)
def test_the_newest_entry_counts_whether_or_not_there_are_snapshots(
    places: Callable[[], LedgerPlace], runs: list[tuple[list[tuple[str, str | None]], bool]]
) -> None:
    expected = dict.fromkeys(NAMES)
    with pytest.MonkeyPatch.context() as patch, Ledger(places()) as ledger:
        patch.setattr(module, "SNAPSHOT_LACKS", 0)
        for number, (entries, remembered) in enumerate(runs):
            run, scope = begin(ledger, run_id=f"r-{number}")
            last = dict(entries)  # one row for each grower
            for row, (name, status) in enumerate(last.items(), 2):
                ledger.write(run, scope, [], [outcome(row, name)._replace(status=status)])
                expected[name] = STATES[status]
            if remembered:
                ledger.remember(scope)
            assert states(ledger, scope) == list(expected.values())
            assert states(ledger, scope, NAMES[1:3]) == [
                None,
                *list(expected.values())[1:3],
                None,
                None,
                None,
            ]


@pytest.mark.parametrize("status", ["failed", "rejected", "not_attempted"])
def test_who_was_left_without_credentials_is_asked_about_like_an_open_intent(
    ledger: Ledger, status: str
) -> None:
    run, scope = begin(ledger)
    left = outcome(2, NAMES[0], status)._replace(deleting="c-1")
    replaced = outcome(3, NAMES[1])._replace(deleting="c-2")
    ledger.write(run, scope, [], [left, replaced])
    assert states(ledger, scope)[:2] == [State.OPEN, State.DONE]
    assert ledger.known(scope, NAMES)[NAMES[0]].deleting == "c-1"


def test_after_forgetting_a_run_that_was_amended_is_read_anew(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SNAPSHOT_LACKS", 0)
    run, scope = begin(ledger)
    ledger.write(run, scope, [], [outcome(2, NAMES[0])])
    ledger.remember(scope)
    ledger.forget(scope)
    ledger.write(run, scope, [], [outcome(2, NAMES[0])._replace(status="unresolved")])
    assert states(ledger, scope)[0] == State.OPEN


def test_what_old_inputs_held_is_forgotten_and_the_latest_never(ledger: Ledger) -> None:
    runs = [begin(ledger, run_id=f"r-{number}")[0] for number in range(4)]
    for run in runs:
        ledger.add_block(run, 0, 2, 3, b"x" * 100)
    ledger.prune(most=250)
    assert [len(list(ledger.blocks(run))) for run in runs] == [0, 0, 1, 1]
    ledger.prune(most=0)
    assert [len(list(ledger.blocks(run))) for run in runs] == [0, 0, 0, 1]
