"""What a worker process has for one run, whatever part it works on: settings, ledger, connection, lease."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from bulk_onboard.cluster.job import Job
from bulk_onboard.cluster.marks import differing, marks_of
from bulk_onboard.cluster.talk import Order, Outbox, Stopped, Told, order_of
from bulk_onboard.engine.opening import provider_named
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import BulkOnboardError, ExitCode, LedgerBusy, LedgerError, UsageError
from bulk_onboard.facts import Fact, RowFinished
from bulk_onboard.leaf.auth import owner_of
from bulk_onboard.leaf.client import LeafClient
from bulk_onboard.ledger import Ledger
from bulk_onboard.ledger.crew import Crew
from bulk_onboard.orders import Orders
from bulk_onboard.pace.shared import SharedPace
from bulk_onboard.settings import Settings

T = TypeVar("T")
# Requests leave little behind for the collector; with the usual threshold it would run all the time.
GARBAGE = 20_000
# Seconds until a part that another worker has in hand is asked for again.
TAKEN = 0.5
# Seconds between two renewals of the lease, if nothing is urgent.
RENEWED = 0.5
# Between two that are: a hundred rows that fail at once are told together.
URGENT = 0.05
# Between two looks whether there are new orders.
LOOKED = 0.1
# Who has had nothing in hand for so many seconds has nothing to send.
IDLE = 0.3
# Who has had no lease for so many seconds has lost its leader, and gives up.
LONELY = 30.0
LEDGER = "BULK_ONBOARD_LEDGER"
_LOST = "another worker has taken over this part of the input"
# Under a ceiling the share and Leaf's latency keep it below this.
MOST_IN_FLIGHT = 512


class Hand:
    """A part that this worker has in hand. Without the claim on it nothing of it goes on."""

    def __init__(self, grace: float) -> None:
        self.stop = StopSignal()
        self.stop.grace = grace
        self.let_go = asyncio.Event()

    async def lose(self) -> None:
        """Return when nothing of the part is under way any more: somebody else has it."""
        self.stop.drain(_LOST, ExitCode.BUSY)
        self.stop.abort()
        await self.let_go.wait()


class Station:
    """Opened by the first errand of a run on this process; has a loop and a thread of its own.

    ``name`` tells the workers apart; ``settings``, ``ledger``, ``crew``, ``client``, ``stop`` and ``facts``
    (the observer) are there for whoever works.
    """

    settings: Settings
    ledger: Ledger
    crew: Crew
    client: LeafClient
    stop: StopSignal

    def __init__(self, job: Job) -> None:
        self.job = job
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._loop = _new_event_loop()
        self._opened: asyncio.Future[None] | None = None
        self._stack = AsyncExitStack()
        self._outbox = Outbox()
        self._stopped: Stopped | None = None
        self._hands: dict[int, Hand] = {}
        self._busy, self._in_hand_at = 0, float("inf")
        self._order = Order()
        self.closed = False
        # Of its own: a lease must not wait for files to be read.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lease")
        threading.Thread(target=self._loop.run_forever, name="station", daemon=True).start()

    def do(self, work: Callable[[Self], Coroutine[Any, Any, T]]) -> T:
        """Do something on the station's loop, and wait for it. Raises what that raises, or opening."""
        return asyncio.run_coroutine_threadsafe(self._do(work), self._loop).result()

    def facts(self, fact: Fact) -> None:
        """The observer: facts go to the leader, at once where they may be a reason to stop."""
        self._outbox.add(fact)
        if isinstance(fact, RowFinished) and fact.status.needs_attention:
            self._urgent.set()

    @property
    def told(self) -> int:
        """How many facts there were for the leader since the beginning."""
        return self._outbox.count

    def give_up(self, error: BulkOnboardError) -> None:
        """Go no further, and let the leader know why."""
        self.stop.drain(str(error), error.exit_code)

    async def take(self, part: int) -> Hand | None:
        """Take a part in hand, as soon as nobody else has it. None if the run stops before that."""
        while not self.stop.draining:
            if await asyncio.to_thread(self.crew.claim, part, self.name):
                hand = self._hands[part] = Hand(self.stop.grace)
                return hand
            await self.stop.pause(TAKEN)
        return None

    async def let_go(self, part: int) -> None:
        """Nothing of the part is under way any more."""
        self._hands.pop(part).let_go.set()
        await asyncio.to_thread(self.crew.release, part, self.name)

    async def _do(self, work: Callable[[Self], Coroutine[Any, Any, T]]) -> T:
        if self._opened is None:
            self._opened = asyncio.ensure_future(self._open())
        await asyncio.shield(self._opened)
        self._busy += 1
        try:
            return await work(self)
        finally:
            self._urgent.set()  # the leader waits for what there is to tell
            self._busy -= 1

    async def _open(self) -> None:
        # As in a run of one process: else the collector would start all the time.
        self._stack.callback(gc.set_threshold, *gc.get_threshold())
        gc.freeze()
        gc.set_threshold(GARBAGE)
        await asyncio.to_thread(self._open_ledger)
        job = self.job
        self.stop = StopSignal()
        self.stop.grace = self.settings.leaf.timeout
        self.stop.on_drain = self._on_drain
        self._urgent = asyncio.Event()
        self._pace = SharedPace(self.name, urgent=self._urgent.set)
        self.client = LeafClient(
            replace(self.settings.leaf, base_url=job.base_url),
            [provider_named(name, self.settings.providers) for name in job.providers],
            self._pace,
            connections=connections_of(self.settings),
        )
        await self._stack.enter_async_context(self.client)
        self._renewing = asyncio.create_task(self._renew())

    def _open_ledger(self) -> None:
        from bulk_onboard.settings.load import load  # noqa: PLC0415  (takes a while to import)

        job = self.job
        self.settings = load(job.given, Path(job.config) if job.config else None, warn=_unheard)
        self.ledger = self._stack.enter_context(_ledger(job, self.settings))
        self.crew = Crew(self.ledger, job.run_no)
        self.scopes = {name: self.ledger.scope(job.identity, job.owner, name) for name in job.providers}
        self.scope = self.ledger.scope(job.identity, job.owner, ",".join(job.providers))
        self._require_same()

    def _require_same(self) -> None:
        """Raises UsageError if this worker would speak to another Leaf, or for another application."""
        told, settings = self.job, self.settings
        providers = [provider_named(name, settings.providers) for name in told.providers]
        ours = marks_of(settings, providers, self.ledger.key, owner_of(settings.leaf.login, self.ledger.key))
        if names := differing(told.marks, ours):
            raise UsageError(
                f"{_me()} is set up differently: {', '.join(names)}."
                " Give the workers the same environment as the command"
            )

    # --- the lease ----------------------------------------------------------------------------------

    async def _renew(self) -> None:
        clock = self._loop.time
        last = clock()
        while not self.closed:
            began = clock()
            try:
                if await self._renewed():
                    last = clock()
            except LedgerError:
                pass  # the lease runs out by itself
            except LedgerBusy as error:  # the run is over: whatever is still under way is somebody else's
                self.give_up(error)
                self.stop.abort()
                if not self._busy:
                    await self._close()
            if clock() - last > LONELY:
                self.give_up(LedgerError("this worker has not heard from the leader for too long"))
                self.stop.abort()
            while not self._urgent.is_set() and clock() < began + RENEWED:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._urgent.wait(), LOOKED)
                if await self._has_orders():
                    break
                self._rest()
            await asyncio.sleep(max(0.0, began + URGENT - clock()))
            self._urgent.clear()

    async def _has_orders(self) -> bool:
        """Whether the leader says something else than when the lease was last renewed."""
        try:
            told = await self._loop.run_in_executor(self._thread, self.crew.orders, self.name)
        except LedgerError:
            return False
        return order_of(told).gist != self._order.gist

    def _rest(self) -> None:
        """Others may have the share of who has had no part in hand for a while."""
        now = self._loop.time()
        if self._hands:
            self._in_hand_at = now
        elif now > self._in_hand_at + IDLE:
            self._pace.rest()

    async def _renewed(self) -> bool:
        """Whether the leader is there. Raises LedgerError, and LedgerBusy if the run is over."""
        hands = dict(self._hands)
        first, facts = self._outbox.pending()
        report = asdict(self._pace.report())
        told = Told(self.client.requests, report, first, facts, self._stopped)
        orders = await self._loop.run_in_executor(self._thread, self.crew.renew, self.name, told.text())
        # Before anything may go out again: what is somebody else's by now must not.
        for part in hands.keys() - orders.parts:
            await hands[part].lose()
        order = self._order = order_of(orders.own)
        self._outbox.heard(order.heard)
        if order.pace:
            self._pace.obey(Orders(**order.pace))
        if order.stop:
            self._obey_stop(order.stop)
        return orders.led

    async def _close(self) -> None:
        self.closed = True
        await self._stack.aclose()
        self._thread.shutdown(wait=False)
        self._loop.call_soon(self._loop.stop)

    def _obey_stop(self, told: Stopped) -> None:
        self.stop.drain(told.reason, ExitCode(told.exit_code))
        if told.at_once:
            self.stop.abort()
            for hand in self._hands.values():
                hand.stop.abort()

    def _on_drain(self, reason: str) -> None:
        """Nothing new begins here, of any part; and the leader is to know why."""
        code = self.stop.exit_code or ExitCode.STOPPED
        self._stopped = Stopped(reason, int(code))
        self._urgent.set()
        for hand in self._hands.values():
            hand.stop.drain(reason, code)


def _ledger(job: Job, settings: Settings) -> Ledger:
    """The run's. Raises UsageError if this worker has none, or another one."""
    place = Path(job.ledger) if job.ledger else settings.output.ledger_place
    try:
        ledger = Ledger(place, make=False, epoch=job.epoch)
    except UsageError as error:
        raise UsageError(f"{_me()}: {error}; workers take its address from {LEDGER}") from None
    found = ledger.find(job.run_id)
    if found is None or found[0] != job.run_no:
        raise UsageError(f"{_me()} has another ledger ({place}); give it the same {LEDGER}")
    ledger.require_same_fingerprints()
    return ledger


def _me() -> str:
    return f"the worker on {socket.gethostname()} (process {os.getpid()})"


def connections_of(settings: Settings) -> int:
    """How many requests a worker may have under way."""
    return settings.pace.max_in_flight or MOST_IN_FLIGHT


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415  (there is none on Windows)
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _unheard(_text: str) -> None:
    """What there is to warn of, the leader has said already."""


_stations: dict[str, Station] = {}
_lock = threading.Lock()


def station_of(job: Job) -> Station:
    """This process's station for a run; opened when it is first used."""
    with _lock:
        for run_id in [name for name, each in _stations.items() if each.closed]:
            del _stations[run_id]
        if job.run_id not in _stations:
            _stations[job.run_id] = Station(job)
        return _stations[job.run_id]
