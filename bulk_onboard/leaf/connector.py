"""Connections that are kept and used again, but never with somebody else's reply on them."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import aiohttp

from bulk_onboard.window import Window

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


# A connection that took longer than so many seconds was not in the pool, it had to be opened.
OPENED = 0.001


class Connector(aiohttp.TCPConnector):
    """aiohttp's pool, less the connections on which something came while they were idle.

    Such bytes (a 408 for being idle, a reply that a broken proxy sends twice) would be read as the reply to
    the next request, and a POST might count as stored that never was.

    ``connections``: how many at most. ``kept``: seconds for which an idle one is kept. ``window``: is told
    when each request goes out, which is when it has its connection: hundreds that are opened at once, at the
    start, take a tenth of a second, and what Leaf sees of the first second begins only then.
    """

    def __init__(self, connections: int, kept: float, window: Window) -> None:
        super().__init__(limit=connections, keepalive_timeout=kept)
        self._window = window

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109  (aiohttp's own)
    ) -> Connection:
        """A connection for the request, from the pool or a new one."""
        asked = perf_counter()
        self._window.take(asked)
        connection = await super().connect(req, traces, timeout)
        if (now := perf_counter()) - asked > OPENED:
            self._window.put_off(asked, now)
        return connection

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while connection := await super()._get(key, traces):
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        return None
