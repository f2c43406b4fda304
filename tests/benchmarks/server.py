"""A Leaf that is never the bottleneck: HTTP taken apart by hand, and its own clock on every request.

Run as a process of its own. It answers at once or after a fixed latency, may allow only so many requests in
any second, and tells at ``/dump`` when it saw what.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Manners:
    """``latency`` and ``retry_after`` in seconds, ``limit`` in requests of any second (0: none).

    ``later_limit`` takes the place of ``limit`` so many seconds (``later``) after the first request.
    ``counts_refused``: whether a refused request counts against the limit too.
    """

    latency: float = 0.0
    limit: int = 0
    later: float = 0.0
    later_limit: int = 0
    retry_after: float = 0.0
    counts_refused: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: seconds by the server's clock, its method, and whether it was refused with 429."""

    at: float
    method: str
    throttled: bool


class _World:
    def __init__(self) -> None:
        self.begin(Manners())

    def begin(self, manners: Manners) -> None:
        self.manners = manners
        self.held: set[bytes] = set()
        self.times: list[float] = []
        self.kinds = bytearray()
        self._window: deque[float] = deque()

    def throttles(self, now: float) -> bool:
        manners = self.manners
        limit = manners.limit
        if manners.later_limit and self.times and now - self.times[0] >= manners.later:
            limit = manners.later_limit
        if not limit:
            return False
        window = self._window
        while window and window[0] <= now - 1.0:
            window.popleft()
        full = len(window) >= limit
        if not full or manners.counts_refused:
            window.append(now)
        return full

    def note(self, now: float, method: bytes, throttled: bool) -> None:
        self.times.append(now)
        self.kinds.append(method[0] | (128 if throttled else 0))

    def dump(self) -> bytes:
        return struct.pack(f"<{len(self.times)}d", *self.times) + bytes(self.kinds)


def _reply(status: bytes, body: bytes, more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
    return head % (status, more, len(body)) + body


_NONE = _reply(b"404 Not Found", b'{"title":"Not Found","status":404}')
_TOKEN = _reply(b"200 OK", b'{"id_token":"benchmark"}')
_NO_EVENTS = _reply(b"200 OK", b'[{"id":"1","createdDate":"2026-01-01T00:00:00.000000Z","statusCode":200}]')


class _Connection(asyncio.Protocol):
    def __init__(self, world: _World) -> None:
        self._world, self._rest = world, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                break
            head = data[:end]
            at = head.lower().find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(data) < end + 4 + size:
                break
            method, path, _ = head.split(b" ", 2)
            self._answer(method, path, data[end + 4 : end + 4 + size])
            data = data[end + 4 + size :]
        self._rest = data

    def _answer(self, method: bytes, path: bytes, body: bytes) -> None:
        world = self._world
        if path == b"/dump":
            self._write(_reply(b"200 OK", world.dump()))
        elif path == b"/cpu":
            self._write(_reply(b"200 OK", b"%.6f" % time.process_time()))
        elif path == b"/begin":
            world.begin(Manners(**json.loads(body)))
            self._write(_reply(b"200 OK", b"{}"))
        elif path == b"/api/authenticate":
            self._write(_TOKEN)
        else:
            self._leaf(method, path, body)

    def _leaf(self, method: bytes, path: bytes, body: bytes) -> None:
        world, now = self._world, time.perf_counter()
        throttled = world.throttles(now)
        world.note(now, method, throttled)
        if throttled:
            after = world.manners.retry_after
            more = b"Retry-After: %d\r\n" % after if after else b""
            answer = _reply(b"429 Too Many Requests", b'{"title":"Too Many Requests","status":429}', more)
        elif path.endswith(b"/events"):
            answer = _NO_EVENTS
        elif method == b"POST":
            world.held.add(path)
            answer = _stored(path, body)
        else:
            answer = _stored(path, b"{}") if path in world.held else _NONE
        if world.manners.latency:
            asyncio.get_running_loop().call_later(world.manners.latency, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():  # type: ignore[attr-defined]
            self._transport.write(answer)  # type: ignore[attr-defined]


def _stored(path: bytes, body: bytes) -> bytes:
    user = path.split(b"/")[-2]
    echoed = b"," + body[1:] if len(body) > 2 else b"}"
    said = b'{"id":"%b","status":"OK","createdTime":"2026-01-01T00:00:00.000000Z"%b' % (user, echoed)
    return _reply(b"201 Created", said) if echoed != b"}" else _reply(b"200 OK", said)


async def _serve() -> None:
    loop, world = asyncio.get_running_loop(), _World()
    server = await loop.create_server(lambda: _Connection(world), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Server:
    """The process, from outside."""

    def __init__(self, port: int) -> None:
        self.port, self.url = port, f"http://127.0.0.1:{port}"

    def begin(self, **manners: float | bool) -> None:
        """Forget all that was seen, and answer like this from now on (see `Manners`)."""
        body = json.dumps(asdict(Manners(**manners))).encode()  # type: ignore[arg-type]
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/begin", body)) as reply:
            reply.read()

    def seen(self) -> list[Seen]:
        """Every request since `begin`, in the order of arrival."""
        with urllib.request.urlopen(f"{self.url}/dump") as reply:
            data = reply.read()
        count = len(data) // 9
        kinds = data[8 * count :]
        names = {ord("G"): "GET", ord("P"): "POST", ord("D"): "DELETE"}
        times = struct.unpack(f"<{count}d", data[: 8 * count])
        return [Seen(at, names[kind & 127], kind >= 128) for at, kind in zip(times, kinds, strict=True)]

    def cpu(self) -> float:
        """CPU seconds that the server has used so far."""
        with urllib.request.urlopen(f"{self.url}/cpu") as reply:
            return float(reply.read())


@contextmanager
def served() -> Iterator[Server]:
    """A server of its own process, ended with the block."""
    command = [sys.executable, "-m", "tests.benchmarks.server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        server = Server(int(process.stdout.readline()))
        try:
            yield server
        finally:
            process.terminate()


def free_port() -> int:
    """A port nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    uvloop.run(_serve())
