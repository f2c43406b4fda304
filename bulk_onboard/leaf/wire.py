"""Requests on the wire, over aiohttp: each is sent once; what comes back is a reply, or what came instead."""

from __future__ import annotations

import json
import platform
import re
from datetime import UTC, datetime
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

import bulk_onboard
from bulk_onboard.leaf.comparison import Fields, RecentPosts
from bulk_onboard.leaf.connections import Connection, Connections
from bulk_onboard.leaf.limit import Limit
from bulk_onboard.leaf.replies import HEADERS, Reply, TooLarge, parsed, unanswered, unsent
from bulk_onboard.model import Ambiguous, Answer, Created, Transient
from bulk_onboard.window import Window

USER_AGENT = f"bulk-onboard/{bulk_onboard.__version__} (Python {platform.python_version()}; aiohttp)"
LARGEST_BODY = 1 << 20  # bytes; credentials take a few hundred
LARGEST_PAGE = 16 << 20  # bytes; a hundred users, each with the credentials of several providers
# Neither blanks nor ends of lines: nothing in a target can become a part of the request of its own.
ENCODED = re.compile(r"/[!-~]*")
VISIBLE = re.compile(r"[ -~]*")  # nor in a token
STRAY = Ambiguous("stray-reply", "the reply shows the credentials of another grower")
# What comes instead of a reply.
FAILURES = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError, TooLarge)

# Created: the reply said so, and has been read already.
Heard = Answer[Reply | Created | Transient | Ambiguous]


class Message(NamedTuple):
    """A request as it goes out. ``target`` is path and query, encoded; ``bearer`` "" for none;
    ``body`` goes out as JSON.

    ``largest``: bytes that the reply may have. ``fields``: of a body that is a grower's credentials, the
    names in `Fields`, as plain tuples.
    ``event_log``: the reply is an event log of any size, of which no more than the newest events are kept.
    """

    method: str
    target: str
    bearer: str
    body: dict[str, str] | None = None
    largest: int = LARGEST_BODY
    fields: tuple[tuple[str, ...], ...] | None = None
    event_log: bool = False

    def __repr__(self) -> str:
        return f"Message({self.method}, bearer=***, body=***)"


class Wire:
    """Connections to one server. Use as ``async with``. ``timeout``: seconds that an exchange may take.

    ``window``: the log of what goes out, for who keeps it below a rate.
    """

    def __init__(self, base_url: str, timeout: float, window: Window | None = None) -> None:
        self._base, self._limit, self._window = URL(base_url), Limit(timeout), window or Window(0)
        self._headers: dict[tuple[str, bool], str] = {}
        self._posts = RecentPosts()

    async def __aenter__(self) -> Self:
        self._connections = Connections(self._base, {"User-Agent": USER_AGENT, "Accept": "application/json"})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit.close()
        await self._connections.close()

    async def exchange(self, message: Message) -> Heard:
        """Send the request, once, and read the whole reply."""
        began = perf_counter()  # the loop's own clock may count whole milliseconds only
        if message.fields is not None and message.body is not None:
            self._posts.add(message.target, Fields(*message.fields), message.body)
        request, connection = self._request(message), None
        self._window.take(began)
        try:
            with self._limit.kept():
                connection = self._connections.take() or await self._open(began)
                status, headers, body = await connection.exchange(
                    request, message.largest, event_log=message.event_log
                )
            told = {name: headers[name] for name in HEADERS if name in headers}
            reply = Reply(status, told, body, datetime.now(UTC))
            if self._is_stray(message, reply):
                connection.distrust()
                return Answer(STRAY, None, perf_counter() - began)
        except FAILURES as error:
            verdict = unanswered(error) if connection else unsent(error)
            return Answer(verdict, None, perf_counter() - began)
        finally:
            if connection:
                self._connections.give_back(connection)
        return Answer(reply, status, perf_counter() - began)

    def _is_stray(self, message: Message, reply: Reply) -> bool:
        if message.fields is None or message.body is None or not 200 <= reply.status < 300:
            return False
        fields, shown = Fields(*message.fields), parsed(reply)
        return self._posts.is_stray(message.target, fields, message.body, shown, reply.at)

    async def _open(self, asked: float) -> Connection:
        """A new connection. What is sent on it goes out, for the second's sake, when it is open.

        Hundreds that are opened at once, at the start, take a tenth of a second, and what Leaf sees of the
        first second begins only then.
        """
        connection = await self._connections.open()
        self._window.put_off(asked, perf_counter())
        return connection

    def _request(self, message: Message) -> bytes:
        """The message as it goes out."""
        if not ENCODED.fullmatch(message.target):
            raise ValueError("a target that is not encoded")
        head = f"{message.method} {message.target} HTTP/1.1\r\n{self._headers_of(message)}"
        if message.body is None:
            return f"{head}\r\n".encode()
        body = json.dumps(message.body)  # ASCII
        return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    def _headers_of(self, message: Message) -> str:
        """Nearly all requests have the same."""
        kind = message.bearer, message.body is not None
        known = self._headers.get(kind)
        if known is None:
            if not VISIBLE.fullmatch(message.bearer):
                raise ValueError("a token that no header can hold")
            said = dict(self._connections.headers)
            if message.bearer:
                said["Authorization"] = f"Bearer {message.bearer}"
            if message.body is not None:
                said["Content-Type"] = "application/json"
            known = "".join(f"{name}: {value}\r\n" for name, value in said.items())
            # A token that was renewed is not kept.
            self._headers = {each: text for each, text in self._headers.items() if each[0] == message.bearer}
            self._headers[kind] = known
        return known
