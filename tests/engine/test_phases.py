"""Many rows at once, on a real ledger in warped time: the canary, the pool, and what ends a run early."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise, repeat
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest

from bulk_onboard.domain.model import Event, Row
from bulk_onboard.domain.run_events import Fact, Paused, PhaseStarted, RowFinished, RunInfo, Stopping, Trouble
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.first_pass import FirstPass
from bulk_onboard.engine.observer import StoppingObserver
from bulk_onboard.engine.phases import Phases
from bulk_onboard.engine.replacement_brake import ReplacementBrake
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import ExitCode, InputError
from bulk_onboard.ledger import Journal, Ledger
from bulk_onboard.pace import Pace
from bulk_onboard.policy.retry import Policy
from bulk_onboard.settings import EventsSettings, RowLimit, Safety, Settings
from bulk_onboard.threads import Slots
from bulk_onboard.workspace import Workspace
from tests.engine.support import hurry
from tests.ledger.support import g
from tests.support.fakes import TOKEN, FakeKeeper, FakeLeaf, FakeWorld, Fault, row
from tests.support.virtual_time import BEGINNING, in_virtual_time, now, warp

GOOD = Event(200, BEGINNING)
F = Fault


@dataclass
class FakeCheckedFile:
    """A file of so many rows; ``breaks_at``: the row at which it turns out to have been changed."""

    count: int
    breaks_at: int | None = None

    def rows(self, wanted: np.ndarray, _ids: Mapping[int, str]) -> Iterator[Row]:
        for number in wanted.tolist():
            if number == self.breaks_at:
                raise InputError("growers.csv was changed while it was being read")
            yield row(number, token=f"{TOKEN}-{number}", grower=g(number))

    def first_pass(self, workspace: Workspace) -> FirstPass:
        numbers = range(2, 2 + self.count)
        workspace.load_rows(
            pa.table({
                "row": pa.array(numbers, pa.int64()),
                "provider": pa.repeat("raven", self.count),
                "id": pa.array([g(number) for number in numbers], pa.string()),
                "fingerprint": pa.array([bytes(16)] * self.count, pa.binary()),
            }),
        )  # fmt: skip
        return FirstPass(workspace, self.count, workspace.to_do(), {}, {})


@dataclass
class Ran:
    """What a run came to."""

    statuses: dict[int, str | None]
    healths: dict[int, str]
    stop: StopSignal
    facts: list[Fact]
    world: FakeWorld
    seconds: float

    @property
    def counts(self) -> Counter[str | None]:
        return Counter(self.statuses.values())

    @property
    def posted(self) -> set[str]:
        return {grower for kind, grower in self.world.log if kind == "POST"}


@dataclass
class Stage:
    """A run on a ledger of its own. ``make`` is the Leaf of each grower."""

    count: int
    make: Callable[[str], FakeLeaf] = lambda _grower: FakeLeaf(latest=GOOD)
    safety: Safety = field(default_factory=Safety)
    events: bool = False
    slots: int = 4
    breaks_at: int | None = None
    at: dict[float, Callable[[StopSignal], object]] = field(default_factory=dict)

    def run(self) -> Ran:
        with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite3") as ledger:
            hurry(ledger)
            with Workspace() as workspace:
                return warp(self._run(ledger, workspace))

    async def _run(self, ledger: Ledger, workspace: Workspace) -> Ran:
        loop, stop, facts = asyncio.get_running_loop(), StopSignal(), list[Fact]()
        checked_file, world = FakeCheckedFile(self.count, self.breaks_at), FakeWorld(make=self.make)
        scope = ledger.scope("https://leaf.example", "me", "raven")
        info = RunInfo("r-1", "raven", "growers.csv", "https://leaf.example", "owner", BEGINNING)
        run_no = ledger.begin(info, scope, "process 1 on here")
        observing = StoppingObserver(facts.append, stop, 600.0, loop.time)
        observing.watch(self.safety, self.count)
        for seconds, act in self.at.items():
            loop.call_later(seconds, act, stop)
        began = loop.time()
        async with Journal(ledger, run_no, scope) as journal:
            found = checked_file.first_pass(workspace)
            slots = Slots(self.slots)
            context = RowContext(journal, Policy(), stop, observing, slots, now=now, starts=self.slots)
            phases = Phases(
                settings=Settings(safety=self.safety, events=EventsSettings(check=self.events)),
                run_no=run_no,
                workspace=workspace,
                memory=ledger,
                leaf=world,
                context=context,
                keeper=FakeKeeper(),
                brake=ReplacementBrake(stop),
            )
            await phases.onboard(checked_file, found)  # type: ignore[arg-type]
        entries = ledger.entries(run_no)
        return Ran(
            {entry.row: entry.status for entry in entries},
            {entry.row: entry.health for entry in entries},
            stop,
            facts,
            world,
            loop.time() - began,
        )


def each(**leaves: FakeLeaf) -> Callable[[str], FakeLeaf]:
    """These growers have a Leaf of their own (``g_7``), all others one that works."""
    return lambda grower: leaves.get(f"g_{UUID(grower).int}") or FakeLeaf(latest=GOOD)


@pytest.fixture
def run() -> Callable[[Stage], Ran]:
    return lambda stage: stage.run()


Runs = Callable[[Stage], Ran]


def test_each_row_gets_an_outcome_within_the_limit_in_flight(run: Runs) -> None:
    ran = run(Stage(600, slots=7))
    assert ran.counts == {"created": 600}
    assert ran.world.most_at_once == 7
    assert (ran.stop.draining, ran.facts[0]) == (False, PhaseStarted("onboard", 600))


def test_a_waiting_row_does_not_delay_others(run: Runs) -> None:
    ran = run(Stage(100, each(g_2=FakeLeaf(repeat(F.THROTTLED)), g_3=FakeLeaf(iter([F.SLOW_LATE]))), slots=1))
    assert ran.counts == {"created": 99, "failed": 1}
    ends = [fact.row for fact in ran.facts if isinstance(fact, RowFinished)]
    assert ends[-2:] == [3, 2]


def test_a_drain_finishes_rows_in_flight_and_begins_none(run: Runs) -> None:
    ran = run(Stage(500, at={0.2: lambda stop: stop.drain("interrupted", ExitCode.INTERRUPTED)}, slots=10))
    assert set(ran.statuses.values()) == {"created"}
    assert 0 < len(ran.statuses) < 60
    assert ran.posted == {g(number) for number in ran.statuses}
    assert ran.seconds < 1


def test_an_abort_leaves_sent_rows_unresolved(run: Runs) -> None:
    ran = run(Stage(500, at={0.1: StopSignal.abort}, slots=10))
    assert ran.seconds == pytest.approx(0.1, abs=0.03)
    for grower in ran.posted:
        assert ran.statuses[UUID(grower).int] in {"created", "unresolved"}


def test_a_drain_ends_after_its_grace(run: Runs) -> None:
    stage = Stage(5, lambda _: FakeLeaf(seconds=1000.0), at={1.0: lambda stop: stop.drain("enough")})
    ran = run(stage)
    assert ran.seconds == pytest.approx(31.0, abs=0.1)


def test_a_refused_login_stops_the_run(run: Runs) -> None:
    ran = run(Stage(500, each(g_40=FakeLeaf(iter([F.LOGIN]))), slots=4))
    assert (ran.stop.exit_code, ran.stop.reason) == (ExitCode.LOGIN, "Leaf refuses our login")
    assert ran.counts["not_attempted"] == 1
    assert len(ran.statuses) < 60
    (stopping,) = [fact for fact in ran.facts if isinstance(fact, Stopping)]
    assert (stopping.reason, stopping.grace) == ("Leaf refuses our login", ran.stop.grace)
    assert 0 < stopping.in_flight <= 60


def test_twenty_equal_failures_stop_the_run(run: Runs) -> None:
    ran = run(Stage(500, lambda _: FakeLeaf(iter([F.REFUSED])), slots=1))
    assert ran.stop.exit_code is ExitCode.STOPPED
    assert 20 <= ran.counts["rejected"] <= 24
    assert len(ran.statuses) == ran.counts["rejected"]


@pytest.mark.parametrize(("limit", "most"), [(RowLimit(count=3), 4), (RowLimit(share=0.01), 6)])
def test_too_many_failures_stop_the_run(run: Runs, limit: RowLimit, most: int) -> None:
    def every_fourth(grower: str) -> FakeLeaf:
        return FakeLeaf(iter([F.REFUSED])) if UUID(grower).int % 4 == 0 else FakeLeaf()

    ran = run(Stage(500, every_fourth, Safety(max_failures=limit), slots=1))
    assert ran.stop.exit_code is ExitCode.STOPPED
    assert most <= ran.counts["rejected"] <= most + 1
    assert sum(ran.counts.values()) < 40


@in_virtual_time
async def test_a_pause_beyond_the_patience_stops_the_run() -> None:
    stop, facts = StopSignal(), list[Fact]()
    observing = StoppingObserver(facts.append, stop, 600.0, asyncio.get_running_loop().time)
    observing(Paused(599.0))
    assert not stop.draining
    observing(Paused(601.0))
    assert stop.draining
    assert "601 s" in (stop.reason or "")


def test_repeated_trouble_is_reported_now_and_then() -> None:
    async def main() -> list[Fact]:
        facts = list[Fact]()
        observing = StoppingObserver(facts.append, StopSignal(), 600.0, asyncio.get_running_loop().time)
        for _ in range(25):
            observing(Trouble("Leaf cannot be reached"))
            observing(Trouble("the same from another door"))
            await asyncio.sleep(1)
        return facts

    assert Counter(str(fact) for fact in warp(main())).most_common(1)[0][1] == 3


def test_a_changed_file_stops_the_run(run: Runs) -> None:
    ran = run(Stage(1500, breaks_at=1002))
    assert ran.stop.exit_code is ExitCode.STOPPED
    assert ran.stop.reason == "growers.csv was changed while it was being read"
    assert ran.posted <= {g(number) for number in range(2, 1002)}
    assert set(ran.statuses.values()) <= {"created"}


# --- the canary -------------------------------------------------------------------------------------


def test_a_healthy_canary_goes_first(run: Runs) -> None:
    ran = run(Stage(50, safety=Safety(canary=3), events=True))
    assert ran.counts == {"created": 50}
    assert set(ran.healths.values()) == {"healthy"}
    begun = [grower for _, grower in ran.world.log]
    canary = {g(2), g(3), g(4)}
    assert set(begun[: len([name for name in begun if name in canary])]) == canary


@pytest.mark.parametrize(
    "sick", [FakeLeaf(latest=Event(401, BEGINNING)), FakeLeaf(), FakeLeaf(iter([F.REFUSED]), latest=GOOD)]
)
@pytest.mark.parametrize("events", [True, False])
def test_nothing_is_sent_after_an_unhealthy_canary(run: Runs, sick: FakeLeaf, events: bool) -> None:
    sick = replace(sick, log=[], times=[], posts=iter([F.REFUSED]) if sick.latest == GOOD else iter(()))
    ran = run(Stage(50, each(g_3=sick), Safety(canary=3), events=events))
    assert ran.posted == {g(2), g(3), g(4)}
    assert ran.stop.exit_code is ExitCode.STOPPED
    assert (ran.stop.reason or "").startswith(f"1 of 3 canary rows is not healthy: row 3 ({g(3)}) is ")


def test_a_canary_waits_for_its_event_before_others_start(run: Runs) -> None:
    def late(grower: str) -> FakeLeaf:
        leaf = FakeLeaf()
        asyncio.get_running_loop().call_later(20, setattr, leaf, "latest", GOOD)
        return leaf

    ran = run(Stage(6, late, Safety(canary=2)))
    assert ran.counts == {"created": 6}
    first = min(ran.world.to(g(number)).times[0] for number in range(4, 8))
    assert first > 1020


# --- Leaf asks to wait ------------------------------------------------------------------------------


def test_a_pause_holds_all_requests() -> None:
    async def main() -> list[float]:
        pace, times = Pace(100.0), list[float]()
        loop = asyncio.get_running_loop()

        async def request(number: int) -> None:
            turn = await pace.turn()
            times.append(loop.time())
            await asyncio.sleep(0.05)
            if number == 10:
                pace.throttled(turn, 7.0)
            else:
                pace.passed(turn)

        await asyncio.gather(*(request(number) for number in range(100)))
        return times

    times = warp(main())
    gaps = [after - before for before, after in pairwise(times)]
    assert sum(gap > 1 for gap in gaps) == 1
    assert max(gaps) == pytest.approx(7.0, abs=0.1)
