"""The life of one row: what may follow on each answer, and what is on disk before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.model import Absent, Answer, IfExists, Intent, Refused, Row, Status, Transient
from bulk_onboard.domain.run_events import RowFinished, Trouble
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.engine.driver import deciding
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import LedgerError, LoginRefused
from bulk_onboard.policy.credentials import BARE_LOOKS
from bulk_onboard.policy.retry import Policy
from bulk_onboard.threads import Slots
from tests.engine.support import Life
from tests.support.fakes import ID, TOKEN, FakeJournal, FakeLeaf, FakeWorld, Fault, row
from tests.support.properties import scaled
from tests.support.virtual_time import BEGINNING, now, warp

OVERWRITE = Policy(if_exists=IfExists.OVERWRITE)
OTHER = "planted-other-token"


def leaf(
    *posts: Fault, gets: tuple[Fault, ...] = (), held: str | None = None, shows: bool = True
) -> FakeLeaf:
    return FakeLeaf(iter(posts), iter(gets), held=held, created=BEGINNING if held else None, shows=shows)


F = Fault
# Looks at a row that may have been stored, until absence is believed.
LOOKS = "GET GET GET GET GET"
# Leaf -> status, code, requests
LIVES: dict[str, tuple[Callable[[], FakeLeaf], str, str, str]] = {
    "absent": (leaf, "created", "", "GET POST"),
    "held with the same token": (lambda: leaf(held=TOKEN), "existing", "already-connected", "GET"),
    "held with another": (lambda: leaf(held=OTHER), "existing", "token-changed", "GET GET"),
    "held and not shown": (lambda: leaf(held=OTHER, shows=False), "existing", "already-connected", "GET GET"),
    "refused": (lambda: leaf(F.REFUSED), "rejected", "leaf:no", "GET POST"),
    "asking refused": (lambda: leaf(gets=(F.REFUSED,)), "rejected", "leaf:no", "GET"),
    "asking throttled": (lambda: leaf(gets=(F.THROTTLED,)), "created", "", "GET GET POST"),
    "asking in vain": (lambda: leaf(gets=(F.LOST_BEFORE,)), "created", "", "GET GET POST"),
    "throttled": (lambda: leaf(F.THROTTLED), "created", "", "GET POST POST"),
    "transient": (lambda: leaf(F.TRANSIENT), "created", "", "GET POST POST"),
    "lost on the way there": (lambda: leaf(F.LOST_BEFORE), "created", "", f"GET POST {LOOKS} POST"),
    "lost on the way back": (lambda: leaf(F.LOST_AFTER), "created", "settled-by-asking", "GET POST GET"),
    "stored late": (lambda: leaf(F.LOST_LATE), "created", "settled-by-asking", "GET POST GET GET"),
    "stored very late": (lambda: leaf(F.SLOW_LATE), "created", "settled-by-asking", f"GET POST {LOOKS}"),
    "lost on the way back, not shown": (
        lambda: leaf(F.LOST_AFTER, shows=False), "existing", "ownership-unclear", "GET POST GET GET",
    ),
    "lost, then a broken answer": (
        lambda: leaf(F.LOST_AFTER, gets=(F.NONE, F.LOST_BEFORE)), "created", "settled-by-asking",
        "GET POST GET GET",
    ),
    "lost, then throttled": (
        lambda: leaf(F.LOST_AFTER, gets=(F.NONE, F.THROTTLED)), "created", "settled-by-asking",
        "GET POST GET GET",
    ),
    "lost, then refused": (
        lambda: leaf(F.LOST_AFTER, gets=(F.NONE, F.REFUSED)), "unresolved", "leaf:no", "GET POST GET",
    ),
    "lost, then an empty answer": (
        lambda: leaf(F.LOST_AFTER, gets=(F.NONE, F.BARE)), "created", "settled-by-asking",
        "GET POST GET GET",
    ),
    "lost twice": (
        lambda: leaf(F.LOST_BEFORE, F.LOST_AFTER), "created", "settled-by-asking",
        f"GET POST {LOOKS} POST GET",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIVES)
def test_each_first_response_leads_to_its_outcome(name: str) -> None:
    make, status, code, wire = LIVES[name]
    life = Life(make())
    end = life.run()
    assert (end.status, end.code, " ".join(life.wire)) == (status, code, wire)
    assert end.attempts == life.wire.count("POST")
    assert life.leaf.dangerous == 0
    assert life.facts[-1] == RowFinished(2, Status(status), code)


def test_an_outcome_has_times_attempts_and_http_status() -> None:
    end = Life(leaf(F.THROTTLED)).run()
    assert (end.row, end.leaf_user_id, end.fingerprint) == (2, ID, row().fingerprint)
    assert (end.http_status, end.attempts, end.credential_id, end.credential_status) == (201, 2, "c-2", "OK")
    assert (end.started_at, end.latency_ms) == ("2026-11-23T12:00:00.000Z", 50.0)
    assert end.started_at < end.intended_at < end.finished_at


@pytest.mark.parametrize(
    ("make", "code", "http_status"),
    [
        (lambda: leaf(F.REFUSED), "leaf:no", 400),
        (lambda: leaf(*[F.LOST_BEFORE] * 9), "no-answer", None),
        (lambda: leaf(F.LOST_AFTER), "settled-by-asking", 200),
    ],
)
def test_code_and_http_status_describe_the_same_reply(
    make: Callable[[], FakeLeaf], code: str, http_status: int | None
) -> None:
    end = Life(make()).run()
    assert (end.code, end.http_status) == (code, http_status)
    assert (end.latency_ms is None) is (http_status is None)


def test_the_outcome_names_the_reply_of_its_code() -> None:
    refused, absent, down = (
        Answer(Refused("taken"), 409),
        Answer(Absent(), 200),
        Answer(Transient("down"), 503),
    )
    replies = (refused, absent, down)
    assert deciding(replies, "taken", "") is refused
    assert deciding(replies, "down", "") is down
    assert deciding(replies, "", "") is down
    assert deciding(replies, "interrupted", "") is None
    assert deciding(replies, "left-without-credentials", "taken: a message") is refused
    assert deciding(replies, "left-without-credentials", "interrupted") is None


def test_credentials_are_recorded_with_their_id_and_created_time() -> None:
    held = leaf(held=OTHER)
    life = Life(held, policy=Policy(if_exists=IfExists.REPLACE))
    end = life.run()
    assert (end.status, end.code, end.deleting) == ("created", "replaced", "c-1")
    assert end.deleting_created == to_text(BEGINNING)
    assert (end.credential_id, end.credential_created) == ("c-2", to_text(held.created))


def test_the_intent_is_on_disk_before_each_post_and_none_before_a_get() -> None:
    life = Life(leaf(F.THROTTLED))
    life.run()
    assert life.log == ["GET", "intend", "on disk", "POST", "intend", "on disk", "POST", "settle"]


def test_nothing_is_sent_without_a_committed_intent() -> None:
    life = Life(journal=FakeJournal(broken=True), policy=OVERWRITE)
    with pytest.raises(LedgerError):
        life.run()
    assert life.wire == []


def test_overwrite_verifies_only_unknown_outcomes() -> None:
    life = Life(leaf(F.LOST_AFTER), policy=OVERWRITE)
    assert (life.run().status, life.wire) == ("created", ["POST", "GET"])


def test_overwrite_replaces_what_is_held() -> None:
    held = leaf(held=OTHER)
    held.replaces = True
    life = Life(held, policy=OVERWRITE)
    assert (life.run().status, life.wire, held.held) == ("created", ["POST"], TOKEN)


def test_a_delete_that_finds_nothing_leaves_credentials_alone() -> None:
    held = leaf(held=OTHER)
    held.finds = False
    life = Life(held, policy=Policy(if_exists=IfExists.REPLACE))
    end = life.run()
    assert (end.status, end.code, end.deleting, "POST" in life.wire) == ("failed", "not-deleted", "", False)
    assert life.wire.count("DELETE") == Policy().attempts


def test_a_post_refused_because_credentials_exist_is_verified() -> None:
    life = Life(leaf(held=OTHER), policy=OVERWRITE)
    end = life.run()
    assert (end.status, end.code, life.wire) == ("existing", "token-changed", ["POST", "GET", "GET"])


def test_a_row_that_cannot_be_verified_stays_unresolved() -> None:
    life = Life(FakeLeaf(repeat(F.LOST_AFTER), chain([F.NONE], repeat(F.LOST_BEFORE))))
    end = life.run()
    assert (end.status, end.code, life.wire.count("POST")) == ("unresolved", "connection-lost", 1)
    assert life.wire.count("GET") == 1 + life.policy.attempts
    assert end.intended_at == life.journal.intents[0].intended_at


def test_absence_is_accepted_only_late() -> None:
    life = Life(leaf(F.SLOW_LATE))
    life.run()
    _, sent, *looks = life.leaf.times
    assert looks[0] - sent < 1
    assert looks[-1] - sent >= life.policy.settle


def test_an_empty_response_is_accepted_after_several_checks() -> None:
    life = Life(leaf(F.LOST_BEFORE, gets=(F.NONE, *[F.BARE] * 9)))
    end = life.run()
    assert end.status == "created"
    assert " ".join(life.wire) == f"GET POST {LOOKS} GET GET POST"


# --- an intent of an earlier run --------------------------------------------------------------------


def _intended(seconds: float, *, same: bool = True) -> Callable[[], Row]:
    return lambda: row(intent=Intent(now() - timedelta(seconds=seconds), same))


@pytest.mark.parametrize("policy", [Policy(), OVERWRITE])
@pytest.mark.parametrize("age", [0, 10, 599, -5, -86_400 * 400])
def test_an_open_intent_is_verified_first_in_every_mode(policy: Policy, age: int) -> None:
    life = Life(policy=policy)
    assert life.run(_intended(age)).status == "created"
    assert " ".join(life.wire) == f"{LOOKS} POST"
    assert policy.settle <= life.leaf.times[4] - life.leaf.times[0] < policy.settle + 1


@pytest.mark.parametrize(
    ("held", "shows", "age", "same", "status"),
    [
        (TOKEN, True, -3600, True, "created"),  # the token is ours, whatever the clocks say
        (TOKEN, True, 9, True, "created"),
        (OTHER, True, 9, True, "created"),  # stored since, and exchanged by the provider
        (OTHER, True, 1.5, True, "created"),
        (OTHER, True, -1.5, True, "created"),  # times are cut to the second
        (OTHER, True, -5, True, "existing"),  # was there before
        (OTHER, False, 9, True, "existing"),  # nothing proves it
        (TOKEN, True, 9, False, "existing"),  # the lost POST was of other secrets
        (OTHER, True, 9, False, "existing"),
    ],
)
def test_credentials_of_an_earlier_post_are_recognised_by_token_or_time(
    held: str, shows: bool, age: float, same: bool, status: str
) -> None:
    found = FakeLeaf(held=held, shows=shows, created=BEGINNING + timedelta(seconds=age - 100))
    life = Life(found)
    assert life.run(_intended(100, same=same)).status == status
    assert life.wire == ["GET"] * (1 if held == TOKEN else 2)


def test_an_unverified_intent_keeps_its_time() -> None:
    life = Life(FakeLeaf(gets=repeat(F.LOST_BEFORE)))
    end = life.run(_intended(100))
    assert (end.status, end.intended_at) == ("unresolved", "2026-11-23T11:58:20.000Z")
    assert end.fingerprint == row().fingerprint


@pytest.mark.parametrize(("given", "looks"), [(row, 6), (_intended(86_400), 10)])
def test_each_post_has_its_own_intent_time(given: Callable[[], Row], looks: int) -> None:
    life = Life(FakeLeaf(iter([F.LOST_BEFORE, F.SLOW_LATE]), chain([F.NONE] * looks, repeat(F.LOST_BEFORE))))
    end = life.run(given)
    first, second = life.journal.intents
    assert (end.status, life.wire.count("POST")) == ("unresolved", 2)
    assert "2026-11-23T12:00:00" < first.intended_at < second.intended_at == end.intended_at


def test_an_unresolved_post_of_other_secrets_is_told_apart() -> None:
    end = Life(FakeLeaf(gets=repeat(F.LOST_BEFORE))).run(_intended(100, same=False))
    assert (end.status, end.fingerprint) == ("unresolved", "")


# --- how old a response may be ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "waits", "wire"),
    [
        (0.0, [4.9], "GET POST"),
        (0.0, [5.1], "GET GET POST"),
        (0.1, [19.9], "GET POST"),  # two turns of ten seconds each
        (0.1, [20.1], "GET GET POST"),
        (50.0, [8.0, 8.0, 1.0], "GET GET GET POST"),
    ],
)
def test_a_late_post_is_verified_again_before_it_is_sent(rate: float, waits: list[float], wire: str) -> None:
    life = Life(FakeLeaf(rate=rate, waits=iter(waits)))
    end = life.run()
    assert (end.status, end.attempts, " ".join(life.wire)) == ("created", 1, wire)


def test_credentials_stored_while_a_post_waited_stay() -> None:
    colleague = FakeLeaf(waits=iter([8.0]))
    life = Life(colleague, policy=OVERWRITE)
    colleague.replaces = True

    async def main() -> None:
        asyncio.get_running_loop().call_later(4.0, colleague.hold, OTHER)
        await replace(life, policy=Policy()).shared().onboard(row())

    warp(main())
    assert (life.end.status, life.end.code, colleague.held) == ("existing", "token-changed", OTHER)
    assert (life.end.attempts, life.wire) == (0, ["GET", "GET", "GET"])


def test_credentials_replaced_while_a_delete_waited_stay() -> None:
    colleague = leaf(held=OTHER)
    colleague.waits = iter([8.0])
    life = Life(colleague, policy=Policy(if_exists=IfExists.REPLACE))

    async def main() -> None:
        asyncio.get_running_loop().call_later(4.0, colleague.hold, "by-hand")
        await life.shared().onboard(row())

    warp(main())
    assert (life.end.status, life.end.deleting, colleague.held) == ("existing", "", "by-hand")
    assert life.wire == ["GET", "GET", "LOG", "GET", "GET"]


def test_a_slow_leaf_is_not_asked_for_ever() -> None:
    life = Life(FakeLeaf(seconds=6.0))
    assert (life.run().status, life.wire) == ("created", ["GET", "GET", "GET", "POST"])


def test_no_delete_goes_out_after_a_stop() -> None:
    for after in (0.02, 0.07, 0.13, 1.0):  # asking, reading the log, writing the intent, waiting for the turn
        old = leaf(held=OTHER)
        old.waits = iter([2.0])
        life = Life(old, policy=Policy(if_exists=IfExists.REPLACE))
        _stopped(life, after, _drain)
        assert (life.end.status, life.end.code, life.end.deleting) == ("not_attempted", "interrupted", "")
        assert "DELETE" not in life.wire


# --- bounds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [(F.THROTTLED, "throttled-too-long"), (F.TRANSIENT, "connection-refused"), (F.LOST_BEFORE, "no-answer")],
)
def test_a_row_that_never_succeeds_fails_within_its_patience(fault: Fault, code: str) -> None:
    life = Life(FakeLeaf(repeat(fault)))
    end = life.run()
    assert (end.status, end.code) == ("failed", code)
    assert life.ended <= life.policy.patience
    if fault is not F.THROTTLED:
        assert life.wire.count("POST") == life.policy.attempts


def test_network_trouble_is_reported() -> None:
    life = Life(leaf(F.TRANSIENT))
    life.run()
    assert [fact for fact in life.facts if isinstance(fact, Trouble)] == [
        Trouble("Leaf cannot be reached: connection-refused")
    ]


@pytest.mark.parametrize("fault", [F.THROTTLED, F.TRANSIENT, F.LOST_BEFORE, F.SLOW_LATE])
def test_a_waiting_row_releases_its_slot(fault: Fault) -> None:
    waits, goes = leaf(fault), leaf()

    async def main() -> dict[int, float]:
        life, slots = Life(), Slots(1)
        clock = asyncio.get_running_loop().time
        began, ends = clock(), dict[int, float]()

        async def one(number: int, held: FakeLeaf) -> None:
            await life.shared(slots=slots, leaf=held).onboard(row(number))
            ends[number] = clock() - began

        await asyncio.gather(one(2, waits), one(3, goes))
        return ends

    ends = warp(main())
    # Of its own: a GET and a POST; and it may have to let pass those that the other row sends meanwhile.
    assert ends[3] < 0.35
    assert ends[2] > ends[3]


def test_a_replacement_keeps_its_slot_between_delete_and_post() -> None:
    life, world = Life(policy=Policy(if_exists=IfExists.REPLACE)), FakeWorld()
    world.make = lambda _grower: leaf(held=OTHER)

    async def main() -> None:
        slots, stop = Slots(1), StopSignal()
        shared = life.shared(stop, slots, world)
        await asyncio.gather(*(shared.onboard(row(n, grower=f"g-{n}")) for n in range(2, 6)))

    warp(main())
    for number, (kind, grower) in enumerate(world.log):
        if kind in {"LOG", "DELETE"}:
            assert world.log[number + 1][1] == grower, world.log


# --- stopping ---------------------------------------------------------------------------------------


def _stopped(
    life: Life,
    after: float,
    how: Callable[[StopSignal, asyncio.Task[None]], object],
    given: Callable[[], Row] = row,
    grace: float = 30.0,
) -> None:
    """Stop a row some seconds after it began."""

    async def main() -> None:
        stop = StopSignal()
        stop.grace = grace
        task = asyncio.ensure_future(life.shared(stop).onboard(given()))
        await asyncio.sleep(after)
        how(stop, task)
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(100)

    warp(main())


def _drain(stop: StopSignal, _task: asyncio.Task[None]) -> None:
    stop.drain("enough")


def _kill(_stop: StopSignal, task: asyncio.Task[None]) -> None:
    task.cancel()


def test_a_drain_finishes_rows_in_flight() -> None:
    for after in (0.01, 0.055, 0.07, 0.1):
        life = Life()
        _stopped(life, after, _drain)
        assert (life.end.status, life.wire) == ("created", ["GET", "POST"])


def test_a_drain_begins_no_waiting_row() -> None:
    life = Life()

    async def main() -> None:
        stop = StopSignal()
        shared = life.shared(stop, Slots(1))
        rows = [asyncio.ensure_future(shared.onboard(row(number))) for number in (2, 3)]
        await asyncio.sleep(0.01)
        stop.drain("enough")
        await asyncio.gather(*rows)

    warp(main())
    assert (life.end.row, life.wire) == (2, ["GET", "POST"])


def test_a_short_drain_ends_waits_with_the_known_state() -> None:
    throttled = Life(FakeLeaf(repeat(F.THROTTLED)))
    _stopped(throttled, 0.5, _drain, grace=1.0)
    assert (throttled.end.status, throttled.end.code) == ("not_attempted", "interrupted")
    slow = Life(leaf(F.SLOW_LATE))
    _stopped(slow, 0.5, _drain, grace=1.0)
    assert (slow.end.status, slow.end.code) == ("unresolved", "interrupted")
    assert slow.wire == ["GET", "POST", "GET"]


def test_a_long_drain_lets_a_lost_post_be_verified() -> None:
    life = Life(leaf(F.LOST_LATE))
    _stopped(life, 0.2, _drain)
    assert (life.end.status, life.end.code) == ("created", "settled-by-asking")


@pytest.mark.parametrize(
    ("after", "ends"),
    [
        (0.01, []),  # the first GET: nothing was done, so there is nothing to say
        (0.055, ["not_attempted"]),  # the intent is on its way to the disk: not sent
        (0.07, ["unresolved"]),  # the POST is out
        (0.1, ["unresolved"]),  # it was stored, and the answer is under way
    ],
)
def test_a_cancelled_row_is_unresolved_if_anything_was_sent(after: float, ends: list[str]) -> None:
    life = Life()
    _stopped(life, after, _kill)
    assert [entry.status for entry in life.journal.outcomes] == ends


@pytest.mark.parametrize(("after", "status"), [(0.005, "not_attempted"), (0.02, "unresolved")])
def test_a_row_cancelled_in_its_first_request_closes_or_keeps_its_intent(after: float, status: str) -> None:
    life = Life(policy=OVERWRITE)
    _stopped(life, after, _kill)
    assert life.end.status == status


def test_a_cancelled_verification_leaves_the_intent_open() -> None:
    life = Life()
    _stopped(life, 0.01, _kill, _intended(100))
    assert life.journal.outcomes == []
    suspect = Life()
    _stopped(suspect, 0.06, _kill, _intended(10))
    assert suspect.end.status == "unresolved"


def test_a_refused_login_leaves_the_row_not_attempted() -> None:
    for found in (leaf(gets=(F.LOGIN,)), leaf(F.LOGIN)):
        life = Life(found)
        with pytest.raises(LoginRefused):
            life.run()
        assert (life.end.status, life.end.code) == ("not_attempted", "login-refused")


def test_a_refused_login_leaves_an_unknown_post_unresolved() -> None:
    life = Life(leaf(F.LOST_AFTER, gets=(F.NONE, F.LOGIN)))
    with pytest.raises(LoginRefused):
        life.run()
    assert (life.end.status, life.end.code) == ("unresolved", "login-refused")


def test_the_observer_is_notified_of_each_request() -> None:
    life, heard = Life(leaf(F.THROTTLED)), 0

    def hear() -> None:
        nonlocal heard
        heard += 1

    async def main() -> None:
        await life.shared().onboard(row(), hear)

    warp(main())
    assert heard == len(life.wire) == 3


# --- any faults -------------------------------------------------------------------------------------

post_faults = st.lists(st.sampled_from([f for f in Fault if f not in {F.BARE, F.LOGIN}]), max_size=8)
get_faults = st.lists(st.sampled_from([f for f in Fault if f is not F.LOGIN]), max_size=10)
# Nobody can tell a Leaf that lies for so long from one that holds nothing.
get_faults = get_faults.filter(lambda faults: faults.count(Fault.BARE) < BARE_LOOKS)
policies = st.builds(Policy, st.sampled_from(IfExists), attempts=st.integers(1, 8))


@settings(max_examples=scaled(150))
@given(post_faults, get_faults, st.booleans(), policies, st.none() | st.just(50))
# A look that comes too early is no proof, however often broken replies look like it later.
@example([F.LOST_LATE], [F.NONE, F.BARE, F.BARE], False, Policy(IfExists.OVERWRITE, attempts=2), None)
def test_nothing_is_sent_twice_and_the_outcome_is_true(
    posts: list[Fault], gets: list[Fault], shows: bool, policy: Policy, intended: int | None
) -> None:
    found = FakeLeaf(iter(posts), iter(gets), shows=shows)
    life = Life(found, policy=policy)
    end = life.run(_intended(intended) if intended else row)
    assert found.dangerous == 0
    assert len(found.stored) <= 1
    _assert_posts_are_intended_and_settled_by_asking(life.log, posts)
    truth = found.held is not None
    match end.status:
        case "created":
            assert truth
        case "existing" | "failed" | "rejected":
            found_only = end.status == "existing" or end.code == "already-exists"
            assert not truth or (found_only and not shows)
        case status:
            assert status == "unresolved"
            assert gets or end.code == "ownership-unclear", "Leaf could be asked"


def _assert_posts_are_intended_and_settled_by_asking(log: list[str], posts: list[Fault]) -> None:
    played = iter(posts)
    on_disk = unknown = False
    for what in log:
        match what:
            case "on disk":
                on_disk = True
            case "GET":
                unknown = False
            case "POST":
                assert on_disk, "a POST without an intent of its own"
                assert not unknown, "a POST right after one that was not answered"
                fault = next(played, F.NONE)
                on_disk, unknown = False, fault.name.startswith(("LOST", "SLOW"))
