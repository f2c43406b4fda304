"""What an enemy answers. None of these is a readable answer to a POST of credentials."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from functools import cache

import aiohttp

from tests.support.raw_server import Answer, Request, always, http

MEGA = 1 << 20
GIGA = 1 << 30
GOOD = {"id": "c-1", "status": "OK", "createdTime": "2026-11-23T15:44:59Z"}


def head(*lines: str, status: str = "HTTP/1.1 201 X") -> bytes:
    return "\r\n".join([status, *lines, "", ""]).encode()


def streaming(first: bytes, piece: bytes, total: int) -> Answer:
    """``first``, then ``piece`` again and again, never more in memory than the other side has taken."""

    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        for _ in range(total // len(piece)):
            if writer.is_closing():
                return
            writer.write(piece)
            await writer.drain()
        writer.close()

    return answer


def by_bytes(raw: bytes, pause: float) -> Answer:
    """One byte at a time."""

    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        for byte in raw:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


def packed(how: Callable[[bytes], bytes], name: str) -> Answer:
    """A small body that unpacks to a large one; made when it is first asked for."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        await always(_bomb(how, name))(request, writer)

    return answer


@cache
def _bomb(how: Callable[[bytes], bytes], name: str) -> bytes:
    return http(201, how(bytes(64 * MEGA)), f"Content-Encoding: {name}")


def twice_packed(data: bytes) -> bytes:
    return gzip.compress(gzip.compress(data))


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CHUNKED = "Transfer-Encoding: chunked"
SPACES = b" " * 0x10000
CHUNK = b"10000\r\n" + SPACES + b"\r\n"
DEEP = b"[" * 100_000 + b"]" * 100_000
DEEP_OBJECT = b'{"id":' * 100_000 + b"1" + b"}" * 100_000

# Since 3.14, aiohttp bounds the number of headers, and not only their length.
BOUNDS_HEADERS = tuple(map(int, aiohttp.__version__.split(".")[:2])) >= (3, 14)
HOSTILE: dict[str, Answer] = {
    # --- too much
    "announces a gigabyte": streaming(head(f"Content-Length: {GIGA}"), SPACES, GIGA),
    "sends a gigabyte in chunks": streaming(head(CHUNKED), CHUNK, GIGA),
    "sends a gigabyte until it closes": streaming(head("Connection: close"), SPACES, GIGA),
    "sends one huge chunk": streaming(head(CHUNKED) + b"7fffffff\r\n", SPACES, GIGA),
    "sends one header without end": streaming(b"HTTP/1.1 201 X\r\nX: ", b"y" * 0x10000, GIGA),
    "sends headers without end": streaming(b"HTTP/1.1 201 X\r\n", b"X-A: y\r\n" * 8192, GIGA),
    "sends a status line without end": streaming(b"HTTP/1.1 201 ", b"X" * 0x10000, GIGA),
    "floods with 100 Continue": streaming(b"", head(status="HTTP/1.1 100 C") * 2000, GIGA),
    "floods with 103 Early Hints": streaming(b"", head("Link: <x>", status="HTTP/1.1 103 E") * 1000, GIGA),
    "sends trailers without end": streaming(head(CHUNKED) + b"0\r\n", b"X-A: y\r\n" * 8192, GIGA),
    "sends a chunk extension without end": streaming(head(CHUNKED) + b"5;", b"y" * 0x10000, GIGA),
    "sends a gzip bomb": packed(gzip.compress, "gzip"),
    "sends a deflate bomb": packed(zlib.compress, "deflate"),
    "sends a raw deflate bomb": packed(raw_deflate, "deflate"),
    "sends a gzip in a gzip": packed(twice_packed, "gzip, gzip"),
    "sends a bomb that nobody can unpack": packed(gzip.compress, "br"),
    "sends a zstd that is none": always(http(201, GOOD, "Content-Encoding: zstd")),
    # --- lies about its length
    "announces more than it sends": always(head("Content-Length: 99") + b'{"id": "c-1"}', close=True),
    "announces less than it sends": always(head("Content-Length: 5") + b'{"id": "c-1"}', close=True),
    "announces a negative length": always(head("Content-Length: -1") + b'{"id": "c-1"}', close=True),
    "announces no number": always(head("Content-Length: many") + b'{"id": "c-1"}', close=True),
    "announces two lengths": always(
        head("Content-Length: 13", "Content-Length: 5") + b'{"id": "c-1"}', close=True
    ),
    "announces a length too long to count": always(head(f"Content-Length: {'9' * 400}") + b"{}", close=True),
    "sends garbage for a chunk": always(head(CHUNKED) + b'zz\r\n{"id": "c-1"}\r\n0\r\n\r\n', close=True),
    "sends a negative chunk": always(head(CHUNKED) + b'-5\r\n{"id": "c-1"}\r\n0\r\n\r\n', close=True),
    "sends a chunk size of 400 digits": always(head(CHUNKED) + b"f" * 400 + b"\r\n{}\r\n", close=True),
    "never ends its chunks": always(head(CHUNKED) + b'd\r\n{"id": "c-1"}\r\n', close=True),
    # --- no HTTP, or a strange one
    "answers nonsense": always(b"\x00\xff\xfe\x16\x03\x01 nonsense\r\n\r\n", close=True),
    "answers an HTTP of the future": always(head(status="HTTP/9.7 201 X"), close=True),
    "answers a status of four digits": always(head(status="HTTP/1.1 2010 X"), close=True),
    "answers a negative status": always(head(status="HTTP/1.1 -201 X"), close=True),
    "answers with a request": always(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", close=True),
    "answers HTTP/0.9": always(b'{"id": "c-1"}', close=True),
    "answers HTTP/2": always(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00", close=True),
    "switches protocols": always(
        head("Upgrade: websocket", "Connection: upgrade", status="HTTP/1.1 101 X") + b"\x81\x05hello",
        close=True,
    ),
    "sends a null in a header": always(head("X: a\x00b", "Content-Length: 2") + b"{}", close=True),
    "folds its headers": always(head("X: a", " b", "Content-Length: 2") + b"{}", close=True),
    "sends nameless headers": always(head(": a", "Content-Length: 2") + b"{}", close=True),
    "answers status 999": always(http(999, GOOD)),
    "answers 199 and no more": always(head(status="HTTP/1.1 199 X"), close=True),
    "drips its head": by_bytes(http(201, GOOD), 0.05),
    "drips its body": by_bytes(http(201, b" " * 1000), 0.05),
    # --- HTTP, but no credentials
    "nests 100,000 lists": always(http(201, DEEP)),
    "nests 100,000 objects": always(http(201, DEEP_OBJECT)),
    "leaves 100,000 lists open": always(http(201, b"[" * 100_000)),
    "answers a number of 100,000 digits": always(http(201, b'{"id": ' + b"9" * 100_000 + b"}")),
    "answers NaN for an id": always(http(201, b'{"id": NaN}')),
    "answers Infinity for an id": always(http(201, b'{"id": -Infinity}')),
    "answers 1e999 for an id": always(http(201, b'{"id": 1e999}')),
    "answers invalid UTF-8": always(http(201, b'{"id": "\xff\xfe\x80", "x": "\xc3"}')),
    "answers overlong UTF-8": always(http(201, b'{"id": "\xc0\xaf"}')),
    "answers a list": always(http(201, [GOOD])),
    "answers a text": always(http(201, "created")),
    "answers a last id that is none": always(http(201, b'{"id": "c-1", "id": null}')),
    "answers an empty id": always(http(201, {"id": ""})),
    "answers an id of lists": always(http(201, {"id": [[["c-1"]]]})),
    "answers true for an id": always(http(201, {"id": True})),
    "answers two documents": always(http(201, json.dumps(GOOD).encode() * 2)),
    "answers a script": always(http(201, b"<script>alert(1)</script>", "Content-Type: application/json")),
    "answers 204 with a body": always(head(status="HTTP/1.1 204 X") + b'{"id": "c-1"}', close=True),
    "answers 500 with credentials": always(http(500, GOOD)),
}
if not BOUNDS_HEADERS:
    for way in ("sends headers without end", "sends trailers without end"):
        del HOSTILE[way]
