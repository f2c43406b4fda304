"""`python -m tests.soak.server`: the Leaf of a round, in a process of its own. Its plan comes on stdin.

SIGUSR1 lets the faults begin, SIGUSR2 ends them; the end of stdin ends it.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import sys
from dataclasses import asdict

from aiohttp import web
from aiohttp.typedefs import Handler

from bulk_onboard.sandbox import Behaviour, Faults, Sandbox
from tests.soak.colleague import Colleague
from tests.soak.plan import Plan


class Company:
    """Makes Leaf take its time over a POST, also when its sender is dead by then, and has a second user."""

    def __init__(self, of: Plan, behaviour: Behaviour) -> None:
        self.at_work = 0.0
        self.is_visited = False
        self.sandbox = Sandbox(behaviour=behaviour, middlewares=(self._join,))
        self._colleague = Colleague(of, self.sandbox.stored, lambda: len(self.sandbox.requests()))

    async def visit(self) -> None:
        """Let the colleague act until there is nothing left to do, or no more visits are wanted."""
        while self.is_visited:
            await asyncio.sleep(self._colleague.pause())
            self.is_visited = self.is_visited and self._colleague.act()

    @web.middleware
    async def _join(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/sandbox/colleague":
            return web.json_response([asdict(act) for act in self._colleague.acts])
        if request.method == "POST":
            await request.read()  # of one that is gone, nothing could be read any more
            if self.is_visited and request.path.endswith("/raven-credentials"):
                self._colleague.forestall(request.path.split("/")[-2])
            await asyncio.sleep(self.at_work)
        return await handler(request)


async def _serve(of: Plan) -> None:
    behaviour = Behaviour(
        unknowns=of.unknowns,
        faults=Faults(of.shares, slow_for=of.slow_for),
        seed=of.seed,
        latency=of.latency,
        event_delay=0.2,
    )
    company = Company(of, behaviour)
    company.sandbox.faults.is_active = False
    visits: set[asyncio.Task[None]] = set()
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def begin() -> None:
        company.sandbox.faults.is_active = True
        company.at_work = of.at_work
        company.is_visited = of.visits > 0
        visits.add(loop.create_task(company.visit()))

    loop.add_signal_handler(signal.SIGUSR1, begin)

    def end() -> None:
        company.sandbox.faults.is_active = False
        company.at_work = 0.0
        company.is_visited = False

    loop.add_signal_handler(signal.SIGUSR2, end)
    loop.add_reader(sys.stdin.fileno(), ended.set)  # at its end whoever began this has let go, or died
    async with company.sandbox.serve() as url:
        print(url, flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve(pickle.load(sys.stdin.buffer)))
