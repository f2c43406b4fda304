"""A request counts, for the second's sake, from when it has its connection."""

from __future__ import annotations

import asyncio
from time import perf_counter

import aiohttp
from aiohttp import ClientRequest, ClientTimeout
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace

from bulk_onboard.leaf.connector import Connector
from bulk_onboard.window import Window
from tests.leaf.server import Request, http, serving

SLOW = 0.02  # seconds


class SlowlyOpened(Connector):
    """As over a long way, or while hundreds are opened at once."""

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> ResponseHandler:
        await asyncio.sleep(SLOW)
        return await super()._create_connection(req, traces, timeout)


async def empty(_request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(http(200, b""))


async def test_a_request_goes_out_when_its_connection_is_open_and_at_once_on_one_that_is() -> None:
    window = Window(1)
    async with (
        serving(empty) as server,
        aiohttp.ClientSession(connector=SlowlyOpened(4, 5.0, window)) as session,
    ):
        for kept_back in (SLOW, 0.0):
            asked = perf_counter()
            await (await session.get(server.url)).read()
            assert window.last is not None
            assert asked + kept_back <= window.last <= perf_counter()
            assert window.opens() == window.last + 1.0  # it was counted once
        assert len(server.requests) == 2
