"""Connections to one server, kept and used again, but never with somebody else's reply on them.

aiohttp opens them (TLS, names, several addresses), and its parser reads what comes. What its session does
around that for each request (cookies, redirects, proxies, a task for the body) none of ours needs, and it is
more than half of what HTTP costs: `python -m tests.benchmarks flat-out` measures one beside the other.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from bulk_onboard.leaf.event_log import EventLogReader
from bulk_onboard.leaf.replies import TooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import StreamReader, connector

# Servers close idle connections after 20 to 75 s; leaving first avoids sending into a closing one.
KEEP_ALIVE = 15.0  # seconds
NO_TIMEOUT = aiohttp.ClientTimeout(total=None)  # whoever asks keeps the time


class Connection:
    """One connection, with one exchange at a time on it."""

    __slots__ = ("_busy", "_connection", "_protocol", "used")

    def __init__(self, connection: connector.Connection) -> None:
        assert connection.protocol is not None  # noqa: S101  (narrows the type: it has just been opened)
        self._connection, self._protocol = connection, connection.protocol
        self._busy = False
        self.used = 0.0

    @property
    def clean(self) -> bool:
        """Whether what comes next on it will be the reply to what is sent next.

        It is not if the server has closed it, or has sent something that nobody asked for: a 408 for being
        idle, a reply that a broken proxy sends twice. A POST might count as stored that never was.
        """
        return not self._busy and self._protocol.is_connected() and not self._protocol.should_close

    async def exchange(
        self, request: bytes, largest: int, *, event_log: bool = False
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send the request, and return the reply's status, headers and body.

        ``event_log``: the body of a 200 may have any size, and comes back as `EventLogReader` gives it.

        Raises aiohttp.ClientError or HttpProcessingError for what cannot be read, and TooLarge as soon as the
        body is known to have more than ``largest`` bytes.
        """
        protocol, self._busy = self._protocol, True
        assert protocol.transport is not None  # noqa: S101  (narrows the type: it was clean just now)
        protocol.set_response_params(read_until_eof=True)
        protocol.transport.write(request)
        head, content = await protocol.read()
        while 100 <= head.code < 200 and head.code != 101:  # only hints at the reply (RFC 9110 §15.2)
            head, content = await protocol.read()
        if event_log and head.code == 200:
            log = EventLogReader()
            async for piece in content.iter_any():
                log.feed(piece)
                if log.full:
                    return head.code, head.headers, log.body()  # still busy: the rest is not read
            body = log.body()
        else:
            body = await _read(head.headers, content, largest)
        # After a 101, or a number that is no status, the reply may still be to come.
        self._busy = head.code < 200
        return head.code, head.headers, body

    def distrust(self) -> None:
        """Do not use it again: what came on it was the reply to another request."""
        self._busy = True

    def close(self) -> None:
        """Whatever still comes on it is nobody's, and what has not gone out by now never will."""
        self._protocol.abort()
        self._connection.close()

    def release(self) -> None:
        """It is aiohttp's again."""
        self._connection.release()


class Connections:
    """All that lead to the server at ``base``. ``headers`` are those that every request has."""

    def __init__(self, base: URL, headers: Mapping[str, str]) -> None:
        # As many as are asked for: how many exchanges there are at a time is limited by who asks for them.
        self._connector = aiohttp.TCPConnector(limit=0)
        self._place = aiohttp.ClientRequest("GET", base, headers=headers, loop=asyncio.get_running_loop())
        self._idle: list[Connection] = []  # the one used last is the last

    @property
    def headers(self) -> Mapping[str, str]:
        """What every request has to say, ``Host`` included."""
        return self._place.headers

    def take(self) -> Connection | None:
        """One that is open and waits for nothing, if there is any."""
        while self._idle:
            connection = self._idle.pop()
            if connection.clean and perf_counter() - connection.used < KEEP_ALIVE:
                return connection
            connection.close()
        return None

    async def open(self) -> Connection:
        """A new one. Raises aiohttp.ClientConnectionError, also if the server closes it or speaks first."""
        connection = Connection(await self._connector.connect(self._place, [], NO_TIMEOUT))
        if not connection.clean:
            connection.close()
            raise aiohttp.ServerDisconnectedError
        return connection

    def give_back(self, connection: Connection) -> None:
        """It is not needed any more: kept for the next, unless its exchange broke off."""
        if connection.clean:
            connection.used = perf_counter()
            self._idle.append(connection)
        else:
            connection.close()

    async def close(self) -> None:
        """Close them all; return when they are closed."""
        for connection in self._idle:
            connection.release()
        await self._connector.close()


async def _read(headers: Mapping[str, str], content: StreamReader, largest: int) -> bytes:
    size = int(headers.get("Content-Length", 0))
    if size > largest:
        raise TooLarge
    if size and "Content-Encoding" not in headers:
        return await content.read()
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > largest:
            raise TooLarge
    return bytes(body)
