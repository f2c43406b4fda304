"""`python -m tests.soak.server`: the Leaf of a round, in a process of its own. Its plan comes on stdin.

SIGUSR1 lets the faults begin, SIGUSR2 ends them; the end of stdin ends it.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import sys
from dataclasses import asdict, dataclass, field
from threading import Event

from aiohttp import web

from bulk_onboard.sandbox import Behaviour, Faults, Sandbox
from bulk_onboard.sandbox.faults import Area
from tests.soak.colleague import Colleague
from tests.soak.plan import Plan


@dataclass(frozen=True)
class Weather(Faults):
    """Faults that come and go."""

    storm: Event = field(default_factory=Event)

    def concern(self, method: str, area: Area | None) -> bool:
        """Nothing goes wrong before the storm and after it."""
        return self.storm.is_set() and super().concern(method, area)


class Late(Sandbox):
    """A Leaf that takes its time over a POST, also when its sender is dead by then, and has a second user."""

    at_work = 0.0
    is_visited = False

    def __init__(self, of: Plan, behaviour: Behaviour) -> None:
        super().__init__(behaviour=behaviour)
        self._colleague = Colleague(of, self._world, lambda: len(self.requests()))

    async def visit(self) -> None:
        """Let the colleague act until there is nothing left to do, or no more visits are wanted."""
        while self.is_visited:
            await asyncio.sleep(self._colleague.pause())
            self.is_visited = self.is_visited and self._colleague.act()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/sandbox/colleague":
            return web.json_response([asdict(act) for act in self._colleague.acts])
        if request.method == "POST":
            await request.read()  # of one that is gone, nothing could be read any more
            if self.is_visited and request.path.endswith("/raven-credentials"):
                self._colleague.forestall(request.path.split("/")[-2])
            await asyncio.sleep(self.at_work)
        return await super()._handle(request)


async def _serve(of: Plan) -> None:
    weather = Weather(of.shares, slow_for=of.slow_for)
    behaviour = Behaviour(
        unknowns=of.unknowns, faults=weather, seed=of.seed, latency=of.latency, event_delay=0.2
    )
    sandbox = Late(of, behaviour)
    visits: set[asyncio.Task[None]] = set()
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def begin() -> None:
        weather.storm.set()
        sandbox.at_work = of.at_work
        sandbox.is_visited = of.visits > 0
        visits.add(loop.create_task(sandbox.visit()))

    loop.add_signal_handler(signal.SIGUSR1, begin)

    def end() -> None:
        weather.storm.clear()
        sandbox.at_work = 0.0
        sandbox.is_visited = False

    loop.add_signal_handler(signal.SIGUSR2, end)
    loop.add_reader(sys.stdin.fileno(), ended.set)  # at its end whoever began this has let go, or died
    async with sandbox.serve() as url:
        print(url, flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve(pickle.load(sys.stdin.buffer)))
