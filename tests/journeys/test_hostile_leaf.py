"""The whole command against a server with hostile replies."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.leaf.hostile_replies import GOOD, HOSTILE, MEGA
from tests.support.cli import APP, PLANTED, Desk, Ran
from tests.support.command import environment, grower, start, write_growers
from tests.support.raw_server import Answer, Request, Server, http, serving, serving_aside

FEW = "--rate=0", "--timeout=1", "--events-wait=0", "-v"
# The interpreter with pandas and Arrow takes two thirds of it.
ALLOWED = 400 * MEGA


@pytest.fixture
def planted(desk: Desk) -> Desk:
    """A desk with a login and an application."""
    for name, value in {"LEAF_TOKEN": f"{PLANTED}bearer", **APP}.items():
        desk.set(name, value)
    return desk


def run(planted: Desk, server: Server, *options: str) -> Ran:
    planted.set("LEAF_BASE_URL", server.url)
    ran = planted("run", "growers.csv", *FEW, *options)
    assert all(c.isprintable() or c in "\n\r" for c in ran.err + ran.out), ascii(ran.err + ran.out)
    return ran


def owner_of(request: Request) -> str:
    return request.path.split("/users/")[1].split("/")[0]


class Enemy:
    """Answers the first question and the POST of each grower in that grower's evil way, else well."""

    def __init__(self, ways: Sequence[Answer]) -> None:
        self._ways = {grower(n): way for n, way in enumerate(ways)}
        self.asked: Counter[str] = Counter()
        self.stored: dict[str, str] = {}
        self.sequence: dict[str, str] = dict.fromkeys(self._ways, "")

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if "/users/" not in request.path:  # the first contact of a run
            writer.write(http(200, []))
            return
        who = owner_of(request)
        if request.path.endswith("/events"):
            writer.write(http(200, [{"statusCode": 200}]))
            return
        self.sequence[who] += request.method[0]
        if request.method == "POST":
            self.stored[who] = datetime.now(UTC).isoformat()
            await self._ways[who](request, writer)
            return
        self.asked[who] += 1
        if self.asked[who] == 1:
            await self._ways[who](request, writer)
        elif who in self.stored:
            writer.write(http(200, GOOD | {"createdTime": self.stored[who]}))
        else:
            writer.write(http(404))


@pytest.mark.soak(8)
async def test_hostile_replies_to_posts_are_verified_and_posts_are_sent_once(here: Path) -> None:
    # Floods keep two cores busy; what the client does about them does not depend on the run.
    ways = {way: answer for way, answer in HOSTILE.items() if "flood" not in way and "extension" not in way}
    enemy = Enemy(list(ways.values()))
    ids = write_growers(here / "growers.csv", len(ways))
    async with serving(enemy) as server:
        started = start(
            "run", "growers.csv", *FEW, "--format=csv", cwd=here, env=environment(server.url), afresh=True
        )
        run = await asyncio.to_thread(started.wait)
        ran = Ran(run.code, run.out.decode(), run.told)
        told = {row["leafUserId"]: (row["status"], row["code"]) for row in ran.rows}
        for who, way in zip(ids, ways, strict=True):
            assert told[who] == ("created", "settled-by-time"), way
            assert enemy.sequence[who].count("P") == 1, way
            assert "PG" in enemy.sequence[who], way
        assert server.count("POST") == len(ids)
    assert run.code == 0, run.told
    assert run.peak < ALLOWED, f"{run.peak / MEGA:.0f} MB"


NASTY = "\x1b]0;owned\x07\x1b[2J<script>alert(1)</script>\u202e=HYPERLINK('http://evil')\r\nthe end"
COOKIE = "Set-Cookie: \x1b[31mbad[]=\x1b]0;t\x07; expires=never"


def test_hostile_texts_are_harmless_on_a_terminal_and_in_a_spreadsheet(here: Path, planted: Desk) -> None:
    said = {"title": f"={NASTY}", "message": f"@{NASTY}", "errorKey": f"=cmd|{NASTY}", "id": f"={NASTY}"}

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if "/users/" not in request.path:  # the first contact
            writer.write(http(200, []))
            return
        odd = int(owner_of(request)[-1], 16) % 4
        if request.path.endswith("/events"):
            event = {"statusCode": 401, "body": NASTY, "headers": NASTY, "createdDate": NASTY, "id": NASTY}
            writer.write(http(200, [event], COOKIE))
        elif request.method == "GET":
            writer.write(http(404, said, COOKIE))
        else:
            own = {"id": f"={owner_of(request)}{NASTY}"}
            body = said | own | {"status": f"+{NASTY}", "createdTime": NASTY}
            writer.write(
                http([201, 400, 422, 403][odd], body, COOKIE).replace(b" X\r\n", b" \x1b[31mX\r\n", 1)
            )

    write_growers(here / "growers.csv", 8)
    with serving_aside(answer) as server:
        ran = run(planted, server, "--format=csv,jsonl", "--json")
    assert ran.code == 1, ran.err
    assert ran.statuses == {"created": 2, "rejected": 6}
    for row in ran.rows:
        for cell in row.values():
            assert cell.isprintable()
            assert not cell.startswith(("=", "+", "-", "@"))
            assert PLANTED not in cell
    assert not [path for path in here.glob("reports/*/*") if b"\x1b" in path.read_bytes()]


@pytest.mark.parametrize("status", [429, 503])
def test_an_absurd_retry_after_ends_the_run(here: Path, planted: Desk, status: int) -> None:
    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(http(status, b"", "Retry-After: 999999999"))

    write_growers(here / "growers.csv", 5)
    began = time.monotonic()
    with serving_aside(answer) as server:
        ran = run(planted, server, "--format=csv")
    assert (ran.code, "999999999 s" in ran.err) == (5, True), ran.err
    assert time.monotonic() - began < 10


TRICKS = [
    "../../x", "..%2f..%2fx", "%2e%2e", ".", "/", "//evil.example/x", "http://evil.example/", "x@evil",
    f"{grower(1)}?x=1", f"{grower(1)}#x", f"{grower(1)}/../{grower(2)}", f"{grower(1)}@evil", f"{grower(1)};",
    f"{grower(1)}%00", f"{grower(1)}\\..", f"{grower(1)}&x", grower(1).replace("-", ""), f"{{{grower(1)}}}",
    grower(1).replace("a", "\u0430"), grower(1).replace("0", "\uff10"), grower(1) * 2, "*", "${jndi:ldap://x}",
    f"{grower(1)} {grower(2)}", "0", "-1",
]  # fmt: skip


def test_a_path_or_url_as_leaf_user_id_is_never_sent(here: Path, planted: Desk) -> None:
    enemy = Enemy([HOSTILE["answers a list"]])
    lines = [json.dumps(each) + f",planted-token-of-{n}-x" for n, each in enumerate(TRICKS)]
    (here / "growers.csv").write_text(
        "\n".join(["leafUserId,refreshToken", *lines, f"{grower(0)},planted-good-one-x"]), encoding="utf-8"
    )
    with serving_aside(enemy) as server:
        ran = run(planted, server, "--format=csv")
        first, *others = server.requests
    assert first.path.endswith("/users?page=0&size=1")
    assert {owner_of(request) for request in others} == {grower(0)}
    assert all(request.path.isascii() for request in server.requests)
    *tricks, good = ran.rows
    assert {row["status"] for row in tricks} == {"invalid"}
    # ${…} is a template variable that was not replaced.
    assert {row["code"] for row in tricks} == {"bad-leaf-user-id", "placeholder-value"}
    assert (ran.code, good["status"]) == (1, "created")
