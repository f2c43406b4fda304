"""What is known of all growers at once, and which inputs are forgotten in time."""

from __future__ import annotations

from operator import itemgetter
from uuid import UUID

from bulk_onboard.domain.entry import OTHERS
from bulk_onboard.ledger import Ledger, state
from tests.ledger.support import AT, FINGERPRINT, begin, current, g, intent, outcome


def test_the_current_states_are_a_table_with_a_line_for_each_grower(ledger: Ledger) -> None:
    run, scope = begin(ledger)
    assert current(ledger, scope) == state.SCHEMA.empty_table()
    done = outcome(3, g(2), "existing", OTHERS)._replace(app=-7, health="healthy", health_checked_at=AT)
    unknown = outcome(4, g(3), "existing", "")._replace(credential_id="c-3")
    ledger.write(run, scope, [intent(2, g(1))._replace(deleting="c-1")], [done, unknown])
    found = current(ledger, scope)
    assert found.schema == state.SCHEMA
    lines = sorted((tuple(line.values()) for line in found.to_pylist()), key=itemgetter(0))
    assert lines == [
        (UUID(g(1)), None, "", UUID(FINGERPRINT), 0, "", "", ""),
        (UUID(g(2)), "existing", "", UUID(bytes=state.OTHER_SECRETS), -7, "healthy", AT, ""),
        (UUID(g(3)), "existing", "", None, 0, "", "", "c-3"),
    ]


def test_the_current_states_are_read_a_batch_at_a_time_and_the_ledger_is_closed_meanwhile(
    ledger: Ledger,
) -> None:
    run, scope = begin(ledger)
    ledger.write(run, scope, [], [outcome(number, g(number)) for number in range(5_000)])
    with ledger.current(scope) as reader:
        assert sum(len(batch) for batch in reader) == 5_000
    ledger.write(run, scope, [intent(2, g(2))], [])
    assert ledger.known(scope, [g(2)])[g(2)].status is None


def test_what_old_inputs_held_is_forgotten_and_the_latest_never(ledger: Ledger) -> None:
    runs = [begin(ledger, run_id=f"r-{number}")[0] for number in range(4)]
    for run in runs:
        ledger.add_block(run, 0, 2, 3, b"x" * 100)
    ledger.prune(most=250)
    assert [len(list(ledger.blocks(run))) for run in runs] == [0, 0, 1, 1]
    ledger.prune(most=0)
    assert [len(list(ledger.blocks(run))) for run in runs] == [0, 0, 0, 1]
