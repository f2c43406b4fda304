"""HTTP over one aiohttp session: a request is sent once, and its reply is read within bounds.

What comes back is a reply, or a verdict in its place: Transient if nothing was sent, Ambiguous if the
request may have arrived.
"""

from __future__ import annotations

import asyncio
import platform
import re
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Generic, NamedTuple, TypeVar

import aiohttp
from yarl import URL

import bulk_onboard
from bulk_onboard.domain.model import Ambiguous, Answer, Transient
from bulk_onboard.domain.turns import StillValid, Urgency, always
from bulk_onboard.leaf.event_log import EventLogReader
from bulk_onboard.leaf.replies import HEADERS, Reply, TooLarge, Unreadable, unanswered, unsent
from bulk_onboard.settings import LeafSettings

USER_AGENT = f"bulk-onboard/{bulk_onboard.__version__} (Python {platform.python_version()}; aiohttp)"
API = "/services/usermanagement/api"
LARGEST_BODY = 1 << 20  # bytes; credentials take a few hundred
LARGEST_PAGE = 16 << 20  # bytes; a hundred users with the credentials of several providers
PIECE = 1 << 16  # bytes of a body that are read or unpacked at a time
# Servers close idle connections after 20 to 75 s; closing first avoids sending on a closing connection.
KEEP_ALIVE = 15.0  # seconds
# Neither blanks nor line ends: a target or a token cannot add anything else to the request.
_ENCODED, _TOKEN = re.compile(r"/[!-~]*"), re.compile(r"[ -~]*")
_ANSWERED_BEFORE_SENT = Ambiguous("stray-reply", "a reply was there before the request was sent")
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError, TooLarge, Unreadable)

V = TypeVar("V")
# Called when a request has got its turn and goes out.
Sent = Callable[[], None]


def ignore_sent() -> None:
    """For callers that do not need to know when a request goes out."""


class NotValidError(Exception):
    """A request was not sent: it was no longer valid when its turn came."""


class Request(NamedTuple, Generic[V]):
    """What is sent, and what its reply means.

    ``target``: path and query below the base URL, encoded. ``verdict``: reads the reply. ``body``: sent as
    JSON. ``largest``: bytes that the reply may have. ``event_log``: the reply may have any size, and only
    the newest events are kept. ``still_valid`` is asked when the request gets its turn; if it returns False,
    nothing is sent.
    """

    method: str
    target: str
    verdict: Callable[[Reply], V]
    sent: Sent = ignore_sent
    body: dict[str, str] | None = None
    largest: int = LARGEST_BODY
    event_log: bool = False
    urgency: Urgency = Urgency.BEGIN
    still_valid: StillValid = always

    def __repr__(self) -> str:
        return f"Request({self.method}, body=***)"


class _Attempt:
    """How far one exchange has come: whether it asked for a connection, and whether it has got one."""

    __slots__ = ("connected", "started")

    def __init__(self) -> None:
        self.started = self.connected = False


_attempt: ContextVar[_Attempt] = ContextVar("attempt")


class _OneConnection(aiohttp.TCPConnector):
    """Gives an exchange one connection.

    aiohttp sends a GET or DELETE a second time if its connection breaks. The second one would go out without
    a turn of the pace, and a DELETE must never be sent twice without asking Leaf in between.
    """

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Return a connection. Raises ServerDisconnectedError at the second attempt of an exchange."""
        attempt = _attempt.get()
        if attempt.started:
            raise aiohttp.ServerDisconnectedError
        attempt.started = True
        connection = await super().connect(*args, **kwargs)
        attempt.connected = True
        return connection


class Http:
    """The session with one server, between `open` and `close`. ``connections``: the most that are open."""

    def __init__(self, settings: LeafSettings, connections: int) -> None:
        self._settings, self._limit = settings, connections
        self._base = URL(settings.base_url)
        self._path = self._base.raw_path.rstrip("/")

    async def open(self) -> None:
        """Make the session. No connection is opened before the first request."""
        # Plain http goes to this machine only, and there is no proxy in between.
        encrypted = self._base.scheme == "https"
        proxy = self._settings.proxy if encrypted else None
        # Certificates: those of the system, or of SSL_CERT_FILE. They take 30 ms to load.
        tls = ssl.create_default_context() if encrypted else True
        self._session = aiohttp.ClientSession(
            connector=_OneConnection(limit=self._limit, keepalive_timeout=KEEP_ALIVE, ssl=tls),
            # Not trust_env: it lets ~/.netrc replace our Authorization header, and takes two thread calls
            # for each request, which is two thirds of the throughput.
            proxy=proxy.reveal() if proxy else None,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close all connections; requests under way end as if their connections had broken."""
        await self._session.close()

    async def exchange(self, request: Request[V], token: str) -> Answer[Reply | Transient | Ambiguous]:
        """Send the request, once, and read the whole reply. ``token``: for Authorization; "" for none.

        Raises ValueError, before anything is sent, if the target or the token cannot be part of a request.
        """
        url, headers = self._url(request.target), _authorization(token)
        began, attempt, waited = perf_counter(), _Attempt(), list[bool]()
        _attempt.set(attempt)
        # Runs when this task first waits for the network. A reply that needs no wait is not to this request:
        # it is a 408 for being idle, or a reply that a proxy has sent twice.
        asyncio.get_running_loop().call_soon(waited.append, True)
        try:
            async with self._session.request(
                request.method, url, json=request.body, headers=headers, allow_redirects=False
            ) as response:
                if not waited:
                    response.close()
                    return Answer(_ANSWERED_BEFORE_SENT, None, perf_counter() - began)
                reply = await _read(response, request)
        except _FAILURES as error:
            took = perf_counter() - began
            if attempt.connected:
                return Answer(unanswered(error), None, took)
            return Answer(unsent(error), None, took)
        return Answer(reply, reply.status, perf_counter() - began)

    def _url(self, target: str) -> URL:
        if not _ENCODED.fullmatch(target):
            raise ValueError("a target that is not encoded")
        if "?" in target or "#" in target:
            return URL(f"{self._base.origin()}{self._path}{target}", encoded=True)
        return self._base.with_path(self._path + target, encoded=True)  # in a third of the time


def _authorization(token: str) -> dict[str, str]:
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token that no header can hold")
    return {"Authorization": f"Bearer {token}"} if token else {}


async def _read(response: aiohttp.ClientResponse, request: Request[V]) -> Reply:
    """The reply. Raises TooLarge as soon as the body is known to be too large, and what aiohttp raises."""
    if request.event_log and response.status == 200:
        body = await _event_log(response)
    else:
        body = await _body(response, request.largest)
    headers = {name: response.headers[name] for name in HEADERS if name in response.headers}
    return Reply(response.status, headers, body, datetime.now(UTC))


async def _body(response: aiohttp.ClientResponse, largest: int) -> bytes:
    length = response.content_length or 0
    if length > largest:
        raise TooLarge
    if length and "Content-Encoding" not in response.headers:
        return await response.read()  # no more than the length
    body = bytearray()
    async for piece in _pieces(response):
        body += piece
        if len(body) > largest:
            raise TooLarge
    return bytes(body)


async def _event_log(response: aiohttp.ClientResponse) -> bytes:
    log = EventLogReader()
    async for piece in _pieces(response):
        log.feed(piece)
        if log.full:  # the rest is not read
            break
    return log.body()


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body in pieces of at most `PIECE` bytes. Some gateways pack it although we ask for identity."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in {"identity", "gzip", "deflate"}:
        raise Unreadable
    unpacker = None if coding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
    while piece := await response.content.read(PIECE):
        if unpacker is None:
            yield piece
            continue
        try:
            while part := unpacker.decompress(piece, PIECE):
                yield part
                piece = unpacker.unconsumed_tail
        except zlib.error as error:
            raise Unreadable from error
    if unpacker is not None and not unpacker.eof:
        raise Unreadable
