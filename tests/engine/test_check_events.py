"""The events check: looked at until the provider has spoken, and no longer than told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from itertools import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.entry import Entry, RecordedEvent
from bulk_onboard.domain.model import Event, Health, Status
from bulk_onboard.domain.run_events import Fact, RowChecked
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.engine.check_events import EventsCheck, Recall
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.policy.checks import Check
from bulk_onboard.policy.retry import Policy
from bulk_onboard.threads import Slots
from tests.support.fakes import ID, PAYLOAD, TOKEN, FakeJournal, FakeLeaf, Fault
from tests.support.properties import scaled
from tests.support.virtual_time import BEGINNING, now, warp

WAIT = 60.0
CREATED = Entry(2, "created", ID, "fp", credential_id="c-1", provider="raven")
OK, GOOD, BAD = "OK", Event(200, BEGINNING), Event(401, BEGINNING)
F = Fault


class Looking:
    """A check in warped time, with what happens to Leaf at which second."""

    def __init__(self, leaf: FakeLeaf | None = None) -> None:
        self.leaf = leaf or FakeLeaf(held=TOKEN)
        self.journal = FakeJournal()
        self.facts: list[Fact] = []
        self.lasted = 0.0
        self.changes: list[tuple[float, Callable[[], None]]] = []
        self.recall: Recall = lambda _entry: None

    def at(self, seconds: float, **changes: object) -> Looking:
        """From then on Leaf looks different."""

        def change() -> None:
            for name, value in changes.items():
                setattr(self.leaf, name, value)

        self.changes.append((seconds, change))
        return self

    def run(self, check: Check | None = None, *, drain: float | None = None, wait: float = WAIT) -> Entry:
        async def main() -> None:
            loop, stop = asyncio.get_running_loop(), StopSignal()
            stop.grace = 5.0
            for seconds, change in self.changes:
                loop.call_later(seconds, change)
            if drain is not None:
                loop.call_later(drain, stop.drain, "enough")
            began = loop.time()
            await self.checking(stop, wait=wait).check(check or Check(CREATED, now()))
            self.lasted = loop.time() - began

        warp(main())
        (entry,) = self.journal.outcomes
        return entry

    def checking(self, stop: StopSignal, slots: Slots | None = None, wait: float = WAIT) -> EventsCheck:
        return EventsCheck(
            RowContext(
                self.journal,
                Policy(),
                stop,
                self.facts.append,
                slots or Slots(8),
                lambda: 0.5,
                now,
            ),
            leaf=self.leaf,
            wait=wait,
            recall=self.recall,
        )


def test_the_outcome_is_recorded_with_the_response_it_describes() -> None:
    stored = CREATED._replace(http_status=201, latency_ms=7.0)
    assert Looking(FakeLeaf(held=TOKEN, latest=GOOD)).run(Check(stored, BEGINNING)).http_status == 201
    silent = Looking(FakeLeaf(held=TOKEN, has_log=False)).run(Check(stored, BEGINNING))
    assert (silent.code, silent.http_status) == ("no-events", 404)
    refused = Looking(FakeLeaf(held=TOKEN, latest=BAD)).run(Check(stored, BEGINNING))
    assert (refused.code, refused.http_status) == ("provider-refused", 200)
    assert refused.latency_ms != 7.0


def test_a_good_event_makes_a_row_healthy() -> None:
    looking = Looking().at(0, latest=GOOD)
    entry = looking.run(Check(CREATED._replace(credential_id="c-0"), BEGINNING))
    assert (entry.status, entry.health, entry.code) == ("created", "healthy", "")
    assert (entry.event_status, entry.event_at) == (200, "2026-11-23T12:00:00.000Z")
    # What the row stored is what a rollback may delete; others in its place do not pass for it.
    assert (entry.credential_id, entry.credential_status) == ("c-0", "OK")
    assert looking.facts == [RowChecked(2, Health.HEALTHY)]


def test_a_later_event_is_seen_soon() -> None:
    looking = Looking().at(20, latest=GOOD)
    assert looking.run().health == "healthy"
    assert 20 <= looking.lasted < 30


def test_a_refusing_provider_makes_a_row_unhealthy() -> None:
    looking = Looking().at(0, latest=BAD)
    entry = looking.run()
    assert (entry.health, entry.code) == ("unhealthy", "provider-refused")
    assert entry.message == "the provider answered 401, status OK"
    assert looking.lasted < 1


def test_without_an_event_a_row_is_pending_after_few_polls() -> None:
    looking = Looking()
    entry = looking.run()
    assert (entry.status, entry.health, entry.code) == ("created", "pending", "no-event-yet")
    assert WAIT <= looking.lasted < WAIT + 1
    assert looking.leaf.log.count("EVENTS") < 16
    assert looking.leaf.log.count("GET") == 1


def test_a_bad_status_may_improve_within_the_wait() -> None:
    recovers = Looking(FakeLeaf(held=TOKEN, status="PENDING")).at(0, latest=GOOD).at(30, status=OK)
    assert recovers.run().health == "healthy"
    stays = Looking(FakeLeaf(held=TOKEN, status="PENDING")).at(0, latest=GOOD)
    entry = stays.run()
    assert (entry.health, entry.code, entry.credential_status) == ("unhealthy", "bad-status", "PENDING")
    assert stays.lasted >= WAIT


def test_deleted_credentials_are_reported() -> None:
    entry = Looking(FakeLeaf()).run(Check(CREATED))
    assert (entry.status, entry.health, entry.code) == ("created", "unhealthy", "credentials-gone")


def test_confirmed_credentials_missing_from_a_lagging_get_are_pending() -> None:
    never = Looking(FakeLeaf(latest=GOOD))
    entry = never.run()
    assert (entry.status, entry.health, entry.code) == ("created", "pending", "no-event-yet")
    assert WAIT <= never.lasted < WAIT + 1
    later = Looking(FakeLeaf()).at(20, latest=GOOD, held=TOKEN)
    assert later.run().health == "healthy"


def test_missing_credentials_are_gone_only_after_the_wait() -> None:
    # An earlier run stored them a moment ago: the GET of the next run may still lag behind that.
    done_before = Check(CREATED._replace(status="existing", health="pending"))
    later = Looking(FakeLeaf()).at(4, latest=GOOD, held=TOKEN)
    assert later.run(done_before).health == "healthy"
    never = Looking(FakeLeaf())
    assert never.run(done_before).code == "credentials-gone"
    assert WAIT <= never.lasted < WAIT + 1


def test_old_credentials_are_checked_once() -> None:
    looking = Looking()
    assert looking.run(Check(CREATED)).health == "pending"
    assert looking.leaf.log == ["EVENTS", "GET"]


def test_the_wait_counts_from_when_the_row_was_stored() -> None:
    looking = Looking()
    looking.run(Check(CREATED, BEGINNING - timedelta(seconds=50)))
    assert 10 <= looking.lasted < 11


@pytest.mark.parametrize("fault", [F.THROTTLED, F.TRANSIENT, F.LOST_BEFORE, F.REFUSED])
@pytest.mark.parametrize("where", ["looks", "gets"])
def test_unreadable_replies_leave_the_row_unchanged(fault: Fault, where: str) -> None:
    looking = Looking().at(0, latest=GOOD)
    setattr(looking.leaf, where, repeat(fault))
    entry = looking.run()
    assert (entry.status, entry.health, entry.code) == ("created", "", "check-failed")
    assert looking.facts == [RowChecked(2, None)]
    assert looking.leaf.log.count("EVENTS") >= Policy().attempts
    assert looking.lasted >= WAIT


SEEN = CREATED._replace(
    health="healthy",
    event_status=200,
    event_at="2026-11-23T11:00:00.000Z",
    health_checked_at="2026-11-23T11:00:01.000Z",
)


def test_a_seen_event_outlives_an_empty_response() -> None:
    looking = Looking()
    entry = looking.run(Check(SEEN._replace(credential_id="")))
    assert (entry.health, entry.code, entry.event_status, entry.event_at) == (
        "healthy",
        "",
        200,
        SEEN.event_at,
    )
    assert entry.health_checked_at > SEEN.health_checked_at
    assert WAIT <= looking.lasted < WAIT + 1
    back = Looking().at(20, latest=BAD)
    assert back.run(Check(SEEN._replace(credential_id=""))).code == "provider-refused"
    assert back.lasted < 30


def test_an_event_that_left_the_log_is_not_waited_for() -> None:
    for old in (
        SEEN._replace(credential_id="c-0"),
        SEEN._replace(credential_id="", event_at="2026-10-01T00:00:00.000Z"),
    ):
        looking = Looking()
        assert looking.run(Check(old)).health == "pending"
        assert looking.lasted < 1


def test_credentials_that_are_not_on_record_are_asked_about_twice_and_others_once() -> None:
    for recorded, asked in (("c-0", 2), ("c-1", 1)):
        looking = Looking(FakeLeaf(held="planted-other", latest=GOOD, shows=False))
        assert looking.run(Check(CREATED._replace(credential_id=recorded))).health == "healthy"
        assert looking.leaf.log.count("GET") == asked


def test_a_failed_check_keeps_the_earlier_result_and_its_time() -> None:
    looking = Looking()
    looking.leaf.looks = repeat(F.LOST_BEFORE)
    entry = looking.run(Check(SEEN))
    assert (entry.health, entry.event_status, entry.health_checked_at) == (
        "healthy",
        200,
        SEEN.health_checked_at,
    )
    assert (entry.code, SEEN.health_checked_at in entry.message) == ("check-failed", True)


def test_the_recorded_event_of_an_earlier_run_is_used() -> None:
    looking = Looking()
    old = Entry(2, "existing", ID, "fp", health="healthy")
    looking.recall = lambda _entry: RecordedEvent("c-1", 200, SEEN.event_at)
    entry = looking.run(Check(old))
    assert (entry.health, entry.event_status, entry.event_at) == ("healthy", 200, SEEN.event_at)


def test_waiting_for_hours_does_not_overflow() -> None:
    looking = Looking()
    assert looking.run(wait=3 * 3600.0).code == "no-event-yet"
    assert looking.leaf.log.count("EVENTS") > 1024


def test_a_provider_without_event_logs_is_recognised() -> None:
    looking = Looking(FakeLeaf(held=TOKEN, has_log=False))

    async def main() -> list[float]:
        checking = looking.checking(StopSignal())
        clock, lasted = asyncio.get_running_loop().time, []
        for _ in range(4):
            began = clock()
            await checking.check(Check(CREATED, now()))
            lasted.append(clock() - began)
        assert checking.logs.lacking == ["raven"]
        return lasted

    *waited, last = warp(main())
    assert all(each >= WAIT for each in waited)
    assert last < 1
    assert {(each.health, each.code) for each in looking.journal.outcomes} == {("pending", "no-events")}


@pytest.mark.parametrize("fault", [F.THROTTLED, F.TRANSIENT, F.LOST_BEFORE])
@pytest.mark.parametrize("where", ["looks", "gets"])
def test_a_poll_that_failed_is_repeated(fault: Fault, where: str) -> None:
    looking = Looking().at(0, latest=GOOD)
    setattr(looking.leaf, where, iter([fault] * 3))
    assert looking.run().health == "healthy"


def test_throttled_polls_are_repeated() -> None:
    looking = Looking().at(0, latest=GOOD)
    looking.leaf.looks = iter([F.THROTTLED] * 20)
    assert looking.run(wait=1.0).health == "healthy"
    assert looking.lasted <= 20 * 2 + 5  # the fake asks for 2 s


def test_a_recovered_row_has_no_old_code() -> None:
    unwell = CREATED._replace(health="unhealthy", code="provider-refused")
    entry = Looking().at(0, latest=GOOD).run(Check(unwell))
    assert (entry.health, entry.code) == ("healthy", "")
    settled = CREATED._replace(code="settled-by-asking", message="words")
    entry = Looking().at(0, latest=GOOD).run(Check(settled))
    assert (entry.code, entry.message) == ("settled-by-asking", "words")


@pytest.mark.parametrize(
    ("held", "unless_found", "status", "code", "health"),
    [
        (TOKEN, Status.NOT_ATTEMPTED, "existing", "already-connected", "healthy"),
        ("planted-other", Status.NOT_ATTEMPTED, "existing", "token-changed", "healthy"),
        (None, Status.NOT_ATTEMPTED, "not_attempted", "not-connected", ""),
        (None, Status.UNRESOLVED, "unresolved", "not-connected", ""),
    ],
)
def test_an_unknown_row_is_what_leaf_reports(
    held: str | None, unless_found: Status, status: str, code: str, health: str
) -> None:
    unknown = Entry(2, unless_found.value, ID, "fp")
    looking = Looking(FakeLeaf(held=held)).at(0, latest=GOOD)
    entry = looking.run(Check(unknown, payload=PAYLOAD, unless_found=unless_found))
    assert (entry.status, entry.code, entry.health) == (status, code, health)
    assert looking.leaf.log.count("POST") == 0


def test_a_drain_ends_the_wait_with_the_known_result() -> None:
    looking = Looking()
    entry = looking.run(drain=10)
    assert (entry.health, entry.code) == ("pending", "no-event-yet")
    assert looking.lasted < 16


def test_a_waiting_row_holds_no_slot() -> None:
    waits, goes = Looking(), Looking().at(0, latest=GOOD)

    async def main() -> float:
        loop, stop, slots = asyncio.get_running_loop(), StopSignal(), Slots(1)
        goes.leaf.latest = GOOD
        waiting = asyncio.ensure_future(waits.checking(stop, slots).check(Check(CREATED, now())))
        await asyncio.sleep(0.01)
        began = loop.time()
        await goes.checking(stop, slots).check(Check(CREATED, now()))
        took = loop.time() - began
        await waiting
        return took

    assert warp(main()) < 1


@settings(max_examples=scaled(60))
@given(st.floats(0, 100), st.lists(st.sampled_from([F.NONE, F.THROTTLED, F.LOST_BEFORE]), max_size=12))
def test_each_check_ends_with_one_true_result(at: float, faults: list[Fault]) -> None:
    looking = Looking().at(at, latest=GOOD)
    looking.leaf.looks = iter(faults)
    entry = looking.run()
    assert entry.health in {"healthy", "pending", ""}
    if entry.health == "healthy":
        assert looking.lasted >= at
    if at < WAIT and len(faults) < Policy().attempts:
        assert entry.health == "healthy"
    assert looking.lasted < WAIT + 130


def test_the_time_of_fresh_credentials_is_recorded_where_only_a_get_shows_it() -> None:
    leaf = FakeLeaf(held=TOKEN, latest=GOOD, created=BEGINNING)
    entry = CREATED._replace(credential_id=f"c-{leaf.number}")
    fresh = Looking(leaf).run(Check(entry, BEGINNING))
    assert fresh.credential_created == to_text(BEGINNING)
    later = Looking(FakeLeaf(held=TOKEN, latest=GOOD, created=BEGINNING)).run(Check(entry))
    assert later.credential_created == "", "an id alone identifies nothing in a later run"
