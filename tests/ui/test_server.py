"""Who may ask the page, and what it answers others."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientSession, CookieJar

from bulk_onboard.errors import UsageError
from bulk_onboard.ui.server import CLOSED_FOR, NEVER_OPENED_FOR, Server
from bulk_onboard.ui.session import Session
from tests.ui.support import SAMPLES, Client, client

PATHS = [
    ("GET", ""),
    ("GET", "page.js"),
    ("GET", "events"),
    ("GET", "report"),
    ("GET", "download/marked"),
    ("POST", "file"),
    ("POST", "api/rows"),
    ("POST", "api/cell"),
]
ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "null"},
    {"Host": "evil.example"},
    {"Host": "localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_the_token_in_the_address_works_once() -> None:
    server = Server(Session())
    async with server.serve(), ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
        first = server.address
        async with http.get(first) as response:
            assert response.status == 200
            cookie = response.cookies["bulk_onboard"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert len(cookie["path"]) > 20
        assert cookie.value not in first
        async with http.get(first) as response:
            assert response.status == 403
            assert "used already" in await response.text()
        assert server.address != first


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_requests_without_the_cookie_are_refused(method: str, path: str) -> None:
    async with client() as known, ClientSession() as stranger:
        origin = {"Origin": known.server.origin}
        async with stranger.request(method, known.page + path, headers=origin, json={}) as response:
            assert response.status == 403
        async with stranger.get(f"{known.server.origin}/?token=guess") as response:
            assert response.status == 403


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("headers", ELSEWHERE)
async def test_requests_of_another_site_are_refused(method: str, path: str, headers: dict[str, str]) -> None:
    async with client() as known:
        if method == "POST" and "Sec-Fetch-Site" in headers:
            headers = {**headers, "Origin": "https://evil.example"}
        status, content = await known.ask(method, path, headers=headers)
        assert (status, content) == (403, b"This page answers only itself.\n")


@pytest.mark.parametrize("header_row", [0, 2, 3])
async def test_passwords_stay_masked_below_another_header(header_row: int) -> None:
    rows = [f"Farm {n},u{n}@farm.example,Sommer {n}!,{UUID(int=n, version=4)}" for n in range(1, 6)]
    async with client() as known:
        await known.upload("logins.csv", "\n".join(["Org,Login,Passwort,ID", *rows]).encode())
        await known.post("choose", sheets=[], header_row=header_row)
        assert (await known.post("rows", start=0, count=400))["total"]
        known.state()
        assert b"Farm 4" in b"".join(known.seen)
        assert b"Sommer" not in b"".join(known.seen)


@pytest.mark.parametrize("header_row", [None, 3])
async def test_names_of_secret_columns_are_shown_whatever_another_sheet_has(header_row: int | None) -> None:
    async with client() as known:
        await known.upload("messy.xlsx", (SAMPLES / "messy.xlsx").read_bytes())
        first = known.state()["sheets"][0]["name"]
        await known.post("choose", sheets=[first], header_row=header_row)
        assert known.state()["columns"]["header"][:2] == ["Leaf user ID", "Refresh-Token"]
        lines = {line["row"]: line["cells"] for line in known.state()["sheets"][0]["lines"]}
        assert "Refresh-Token" in lines[3]


async def test_a_cookie_of_any_bytes_is_refused() -> None:
    async with client() as known:
        host, path = known.server.origin.removeprefix("http://"), known.page.removeprefix(known.server.origin)
        reader, writer = await asyncio.open_connection(*host.split(":"))
        head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: bulk_onboard="
        writer.write(head.encode() + b"\xff\xe9\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 403 ")
        writer.close()


async def test_a_post_without_an_origin_is_refused() -> None:
    async with client() as known, known.http.post(known.page + "api/repair", json={}) as response:
        assert response.status == 403


async def test_each_response_has_a_strict_policy() -> None:
    async with client() as known:
        for path in ("", "page.js", "page.css", "nothing"):
            async with known.http.get(known.page + path) as response:
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert response.headers["Cache-Control"] == "no-store"
                assert response.headers["Referrer-Policy"] == "no-referrer"
        async with known.http.get(known.page) as response:
            assert "http" not in (await response.text()).replace("http-equiv", "")


async def test_the_server_listens_on_loopback_only() -> None:
    async with client() as known:
        port = int(known.server.origin.rpartition(":")[2])
        for address in ("127.0.0.2", socket.gethostbyname("localhost").replace("127.0.0.1", "127.1.1.1")):
            with pytest.raises(OSError, match=r"refused|unreachable"):
                socket.create_connection((address, port), timeout=2).close()


async def test_secrets_are_sent_only_on_request() -> None:
    async with client() as known:
        for name in ("messy.xlsx",):
            await known.upload(name, (SAMPLES / name).read_bytes())
            await known.post("rows", start=0, count=400)
            await known.post("rows", start=0, count=400, code="!")
            await known.post("repair")
            await known.post("edit", cells=[{"row": 5, "column": 1, "text": "planted-token-77-abcdef"}])
            await known.post("rows", start=0, count=400, search="demo-rt")
            await known.post("start", dry=True)
            await known.wait("dry")
            await known.post("results", start=0, count=400, dry=True)
            await known.ask("GET", "download/plan")
        everything = b"\n".join(known.seen)
        for secret in (b"demo-rt-", b"planted-token", b"rt-"):
            assert secret not in everything.lower()
        found = await known.post("cell", row=5, column=1)
        assert found["text"] == "planted-token-77-abcdef"


async def test_a_search_ignores_secrets() -> None:
    async with client() as known:
        await known.upload("messy.xlsx", (SAMPLES / "messy.xlsx").read_bytes())
        found = await known.post("rows", start=0, count=400, search="demo-rt-85")
        assert found["total"] == 0
        assert (await known.post("rows", start=0, count=400, search="anna"))["total"] == 2


@pytest.mark.parametrize(
    ("action", "body"),
    [("cell", {"row": 1, "column": 1}), ("edit", {"cells": [{"row": 4, "column": 99, "text": "x"}]})],
)
async def test_a_missing_cell_is_an_error(action: str, body: dict[str, Any]) -> None:
    async with client() as known:
        await known.upload("messy.xlsx", (SAMPLES / "messy.xlsx").read_bytes())
        status, content = await known.ask("POST", f"api/{action}", json=body)
        said = json.loads(content).get("error") or known.state()["error"]
        assert status in {200, 422}
        assert "there is no cell" in said


async def test_invalid_requests_are_refused_without_quoting_them() -> None:
    async with client() as known:
        for body in ({"start": "planted-x"}, {"start": None}, []):
            status, content = await known.ask("POST", "api/rows", json=body)
            assert status == 400
            assert b"planted" not in content
        status, _ = await known.ask("POST", "api/nothing", json={})
        assert status == 404


async def test_a_column_that_is_not_there_changes_nothing() -> None:
    async with client() as known:
        await known.upload("growers.csv", (SAMPLES / "growers.csv").read_bytes())
        for field, column in (("nothing", 1), ("refreshToken", 99), ("refreshToken", -1)):
            await known.post("choose", column={"field": field, "column": column})
            assert known.state()["error"] == "there is no such field or column"
        await known.post("choose", column={"field": "refreshToken", "column": 1})
        assert (known.state()["error"], known.state()["check"]["valid"]) == ("", 200)


async def test_a_change_that_waited_for_another_does_not_meet_a_run() -> None:
    async with client() as known:
        few = (SAMPLES / "growers.csv").read_bytes().splitlines(keepends=True)[:4]
        await known.upload("growers.csv", b"".join(few))
        session = known.server.session
        async with session._lock:
            waiting = asyncio.create_task(session.repair())
            await asyncio.sleep(0)
        session.start(dry=True)
        with pytest.raises(UsageError, match="a run is in progress"):
            await waiting
        await session.finish()


async def test_the_server_does_not_wait_for_an_unanswered_question() -> None:
    now = [0.0]
    server = Server(Session(), clock=lambda: now[0])
    async with server.serve(), ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
        known = Client(server, http)
        await known.enter()
        await known.upload("growers.csv", (SAMPLES / "growers.csv").read_bytes())
        closing = asyncio.create_task(server.closed())
        await known.post("start", dry=False)
        await known.wait("run", "asking")
        now[0] += NEVER_OPENED_FOR + 1
        await asyncio.wait_for(closing, 5)
        await known.post("control", what="stop")
        assert (await known.wait("run"))["outcome"]["counts"] == {"not_attempted": 200}


async def test_the_server_ends_after_the_page_was_closed() -> None:
    now = [0.0]
    server = Server(Session(), clock=lambda: now[0])
    async with server.serve(), ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
        closing = asyncio.create_task(server.closed())
        now[0] = NEVER_OPENED_FOR - 1
        async with http.get(server.address) as response:
            page = server.origin + (await response.text()).partition("url=")[2].partition('"')[0]
        async with http.get(page + "events") as events:
            assert (await events.content.readline()).startswith(b"data: ")
            now[0] += 10 * NEVER_OPENED_FOR
            await asyncio.sleep(0.5)
            assert not closing.done()
        await asyncio.sleep(0.5)
        now[0] += CLOSED_FOR + 1
        await asyncio.wait_for(closing, 5)
