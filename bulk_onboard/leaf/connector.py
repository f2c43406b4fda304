"""Connections that are kept and used again, but never with somebody else's reply on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class Connector(aiohttp.TCPConnector):
    """aiohttp's pool, less the connections on which something came while they were idle.

    Such bytes (a 408 for being idle, a reply that a broken proxy sends twice) would be read as the reply to
    the next request, and a POST might count as stored that never was.
    """

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while connection := await super()._get(key, traces):
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        return None
