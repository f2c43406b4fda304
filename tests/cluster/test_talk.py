"""What workers tell arrives once and in order, whatever is read late or written over."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.cluster.talk import MOST, Order, Outbox, Stopped, Told, facts_of, order_of, told_of
from bulk_onboard.facts import Fact, RowChecked, RowFinished, Trouble
from bulk_onboard.model import Health, Requests, Status

_CODES = st.sampled_from(["", "replaced", "no-answer"])
_FACTS = st.one_of(
    st.builds(RowFinished, st.integers(2, 99), st.sampled_from(list(Status)), _CODES),
    st.builds(RowChecked, st.integers(2, 99), st.sampled_from([None, *Health])),
    st.builds(Trouble, st.sampled_from(["Leaf cannot be reached", "another"])),
)
_STEPS = st.lists(st.one_of(_FACTS, st.just("tell"), st.just("read"), st.just("answer")), max_size=60)


class _Pair:
    """A worker and a leader, and the two texts that lie between them."""

    def __init__(self) -> None:
        self.outbox, self.text, self.heard, self.answer = Outbox(), "", 0, 0
        self.arrived: list[Fact] = []

    def tell(self) -> None:
        self.outbox.heard(self.answer)
        first, facts = self.outbox.pending()
        self.text = Told(Requests(), None, first, facts).text()

    def read(self) -> None:
        told = told_of(self.text)
        self.arrived += facts_of(told, self.heard)
        self.heard = max(self.heard, told.first + len(told.facts))

    def settle(self) -> None:
        while len(self.outbox):
            self.tell()
            self.read()
            self.answer = self.heard


def _without_rows(facts: list[Fact]) -> list[object]:
    """Of rows that are well only how many there are has to arrive."""
    return [
        (type(fact), fact.status, fact.code)
        if isinstance(fact, RowFinished) and not fact.status.needs_attention
        else (type(fact), fact.health)
        if isinstance(fact, RowChecked) and fact.health in {None, Health.HEALTHY}
        else fact
        for fact in facts
    ]


@given(_STEPS)
def test_facts_arrive_once_and_in_their_order(steps: list[Fact | str]) -> None:
    pair, told = _Pair(), []
    for step in steps:
        match step:
            case "tell":
                pair.tell()
            case "read":
                pair.read()
            case "answer":
                pair.answer = pair.heard
            case fact:
                told.append(fact)
                pair.outbox.add(fact)
    pair.settle()
    assert _without_rows(pair.arrived) == _without_rows(told)


def test_many_rows_that_are_well_are_one_fact() -> None:
    outbox = Outbox()
    for row in range(5_000):
        outbox.add(RowFinished(row, Status.CREATED))
    assert len(outbox) == 1
    _, facts = outbox.pending()
    outbox.add(RowFinished(5_000, Status.CREATED))  # what was handed over no longer changes
    assert len(outbox) == 2
    counted = Counter(type(fact) for fact in facts_of(told_of(Told(facts=facts).text()), 0))
    assert counted == {RowFinished: 5_000}


def test_no_more_is_handed_over_at_a_time_than_is_read_at_ease() -> None:
    outbox = Outbox()
    for row in range(3 * MOST):
        outbox.add(RowFinished(row, Status.FAILED, "no-answer"))
    first, facts = outbox.pending()
    assert (first, len(facts)) == (0, MOST)
    outbox.heard(MOST)
    assert outbox.pending()[0] == MOST


def test_orders_come_back_as_they_were_given() -> None:
    order = Order(3, {"share": 2.5}, Stopped("interrupted", 130, at_once=True))
    assert order_of(order.text()) == order
    assert order_of("") == Order()
    assert told_of("") == Told()


def test_a_fact_that_grows_is_one_fact_whose_number_the_leader_can_wait_for() -> None:
    outbox = Outbox()
    outbox.add(RowFinished(2, Status.CREATED, ""))
    outbox.add(RowFinished(3, Status.CREATED, ""))
    assert outbox.count == 1
    outbox.pending()
    outbox.add(RowFinished(4, Status.CREATED, ""))  # what was handed over does not grow any more
    outbox.heard(1)
    assert (outbox.count, len(outbox)) == (2, 1)
