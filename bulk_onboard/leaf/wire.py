"""Requests on the wire, over aiohttp: each is sent once; what comes back is a reply, or what came instead."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
from yarl import URL

import bulk_onboard
from bulk_onboard.leaf.connector import Connector
from bulk_onboard.leaf.limit import Limit
from bulk_onboard.leaf.replies import HEADERS, Reply, TooLarge, after_exception
from bulk_onboard.model import Ambiguous, Answer, Created, Transient
from bulk_onboard.window import Window

USER_AGENT = f"bulk-onboard/{bulk_onboard.__version__} (Python {platform.python_version()}; aiohttp)"
LARGEST_BODY = 1 << 20  # bytes; credentials take a few hundred, a log of 30 days some ten thousand
LARGEST_PAGE = 16 << 20  # bytes; a hundred users, each with the credentials of several providers
# Servers close idle connections after 20 to 75 s; leaving first avoids sending into a closing one.
KEEP_ALIVE = 15.0  # seconds

# Created: the reply said so, and has been read already.
Heard = Answer[Reply | Created | Transient | Ambiguous]


class Message(NamedTuple):
    """A request as it goes out. ``target`` is path and query, encoded; ``bearer`` "" for none;
    ``body`` goes out as JSON.

    ``largest``: bytes that the reply may have. ``secret_fields``: of a body that is a grower's credentials.
    """

    method: str
    target: str
    bearer: str
    body: dict[str, str] | None = None
    largest: int = LARGEST_BODY
    secret_fields: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"Message({self.method}, bearer=***, body=***)"


class Wire:
    """Connections to one server. Use as ``async with``. ``timeout``: seconds that an exchange may take.

    ``window``: the log of what goes out, for who keeps it below a rate.
    """

    def __init__(self, base_url: str, timeout: float, connections: int, window: Window | None = None) -> None:
        self._base, self._window = URL(base_url), window or Window(0)
        self._limit, self._connections = Limit(timeout), connections
        self._headers: dict[tuple[str, bool], dict[str, str]] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=Connector(self._connections, KEEP_ALIVE, self._window),
            timeout=aiohttp.ClientTimeout(total=None),  # `Limit` does that
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # aiohttp repeats idempotent requests on its own; those would escape the ceiling and the count.
        self._session._retry_connection = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit.close()
        await self._session.close()

    async def exchange(self, message: Message) -> Heard:
        """Send the request, once, and read the whole reply."""
        began = perf_counter()  # the loop's own clock may count whole milliseconds only
        try:
            with self._limit.kept():
                reply = await self._exchange(message)
        except (aiohttp.ClientError, TimeoutError, OSError, TooLarge) as error:
            return Answer(after_exception(error), None, perf_counter() - began)
        return Answer(reply, reply.status, perf_counter() - began)

    async def _exchange(self, message: Message) -> Reply:
        url, headers = self._url(message.target), self._headers_of(message)
        body = None if message.body is None else json.dumps(message.body).encode()
        response = await self._session.request(
            message.method, url, headers=headers, data=body, allow_redirects=False
        )
        content = await _read(response, message.largest)
        told = {name: response.headers[name] for name in HEADERS if name in response.headers}
        return Reply(response.status, told, content, datetime.now(UTC))

    def _headers_of(self, message: Message) -> dict[str, str]:
        """Nearly all requests have the same."""
        kind = message.bearer, message.body is not None
        known = self._headers.get(kind)
        if known is None:
            known = {"Authorization": f"Bearer {message.bearer}"} if message.bearer else {}
            if message.body is not None:
                known["Content-Type"] = "application/json"
            self._headers = {kind: known}  # a token that was renewed is not kept
        return known

    def _url(self, target: str) -> URL:
        if "?" in target:
            return self._base.join(URL(target, encoded=True))
        return self._base.with_path(target, encoded=True)  # a third of the time


async def _read(response: aiohttp.ClientResponse, largest: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it is known to be more than Leaf would ever send."""
    size = response.content_length
    if size is not None and size <= largest and "Content-Encoding" not in response.headers:
        return await response.read()
    async with response:  # it may end before its end is read
        if (size or 0) > largest:
            response.close()
            raise TooLarge
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > largest:
                response.close()
                raise TooLarge
        return bytes(body)
