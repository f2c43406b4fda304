"""The server as an enemy of the real command: every row gets its true outcome, and nobody is harmed."""

from __future__ import annotations

import asyncio
import csv
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.leaf.hostile_replies import GOOD, HOSTILE, MEGA
from tests.support.command import Ended, environment, grower, start, write_growers
from tests.support.raw_server import Answer, Request, Server, http, serving

FEW = "--rate=0", "--timeout=1", "--events-wait=0", "-v"
# The interpreter with pandas and Arrow takes two thirds of it.
ALLOWED = 400 * MEGA


@asynccontextmanager
async def ended(
    answer: Answer, folder: Path, *options: str, afresh: bool = False
) -> AsyncIterator[tuple[Ended, Server]]:
    """The command against a server of ours; ``afresh``: so that its memory can be measured."""
    async with serving(answer) as server:
        env = environment(server.url)
        started = start("run", "growers.csv", *options, cwd=folder, env=env, afresh=afresh)
        yield await asyncio.to_thread(started.wait), server


def results(folder: Path) -> list[dict[str, str]]:
    [path] = folder.glob("reports/*/results.csv")
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def assert_clean(run: Ended) -> None:
    """Nothing for a terminal to run, no secret, no traceback."""
    told = (run.err + run.out).decode()
    assert all(c.isprintable() or c in "\n\r" for c in told), ascii(told)
    assert "planted" not in told
    assert "Traceback" not in told


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


async def test_every_post_that_an_enemy_answers_is_settled_by_asking_and_sent_once(tmp_path: Path) -> None:
    # Floods keep two cores busy; what the client does about them does not depend on the run.
    ways = {way: answer for way, answer in HOSTILE.items() if "flood" not in way and "extension" not in way}
    enemy = Enemy(list(ways.values()))
    ids = write_growers(tmp_path / "growers.csv", len(ways))
    async with ended(enemy, tmp_path, *FEW, afresh=True) as (run, server):
        told = {row["leafUserId"]: (row["status"], row["code"]) for row in results(tmp_path)}
        for who, way in zip(ids, ways, strict=True):
            assert told[who] == ("created", "settled-by-time"), way
            assert enemy.sequence[who].count("P") == 1, way
            assert "PG" in enemy.sequence[who], way
        assert server.count("POST") == len(ids)
    assert run.code == 0, run.told
    assert run.peak < ALLOWED, f"{run.peak / MEGA:.0f} MB"
    assert_clean(run)


NASTY = "\x1b]0;owned\x07\x1b[2J<script>alert(1)</script>\u202e=HYPERLINK('http://evil')\r\nthe end"
COOKIE = "Set-Cookie: \x1b[31mbad[]=\x1b]0;t\x07; expires=never"


async def test_what_an_enemy_says_is_harmless_on_a_terminal_and_in_a_spreadsheet(tmp_path: Path) -> None:
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

    write_growers(tmp_path / "growers.csv", 8)
    async with ended(answer, tmp_path, *FEW, "--format=csv,jsonl", "--json") as (run, _):
        pass
    assert run.code == 1, run.told
    assert_clean(run)
    assert Counter(row["status"] for row in results(tmp_path)) == {"created": 2, "rejected": 6}
    for row in results(tmp_path):
        for cell in row.values():
            assert cell.isprintable()
            assert not cell.startswith(("=", "+", "-", "@"))
            assert "planted" not in cell
    for path in (tmp_path / "reports").glob("*/*"):
        assert b"\x1b" not in path.read_bytes()
        assert b"planted" not in path.read_bytes()


@pytest.mark.parametrize("status", [429, 503])
async def test_a_leaf_that_asks_to_wait_for_thirty_years_ends_the_run_and_is_not_waited_for(
    tmp_path: Path, status: int
) -> None:
    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(http(status, b"", "Retry-After: 999999999"))

    write_growers(tmp_path / "growers.csv", 5)
    async with ended(answer, tmp_path, *FEW) as (run, _):
        pass
    assert run.code == 5, run.told
    assert "999999999 s" in run.told
    assert run.seconds < 10
    assert_clean(run)


TRICKS = [
    "../../x", "..%2f..%2fx", "%2e%2e", ".", "/", "//evil.example/x", "http://evil.example/", "x@evil",
    f"{grower(1)}?x=1", f"{grower(1)}#x", f"{grower(1)}/../{grower(2)}", f"{grower(1)}@evil", f"{grower(1)};",
    f"{grower(1)}%00", f"{grower(1)}\\..", f"{grower(1)}&x", grower(1).replace("-", ""), f"{{{grower(1)}}}",
    grower(1).replace("a", "\u0430"), grower(1).replace("0", "\uff10"), grower(1) * 2, "*", "${jndi:ldap://x}",
    f"{grower(1)} {grower(2)}", "0", "-1",
]  # fmt: skip


async def test_a_leaf_user_id_that_is_a_path_or_a_url_never_reaches_the_wire(tmp_path: Path) -> None:
    enemy = Enemy([HOSTILE["answers a list"]])
    lines = [json.dumps(each) + f",planted-token-of-{n}-x" for n, each in enumerate(TRICKS)]
    (tmp_path / "growers.csv").write_text(
        "\n".join(["leafUserId,refreshToken", *lines, f"{grower(0)},planted-good-one-x"]), encoding="utf-8"
    )
    async with ended(enemy, tmp_path, *FEW) as (run, server):
        first, *others = server.requests
        assert first.path.endswith("/users?page=0&size=1")
        assert {owner_of(request) for request in others} == {grower(0)}
        assert all(request.path.isascii() for request in server.requests)
    *tricks, good = results(tmp_path)
    assert {row["status"] for row in tricks} == {"invalid"}
    # ${…} is a template variable that was not replaced.
    assert {row["code"] for row in tricks} == {"bad-leaf-user-id", "placeholder-value"}
    assert good["status"] == "created"
    assert run.code == 1
    assert_clean(run)
