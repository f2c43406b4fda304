"""What the sandbox remembers on disk, and what it never writes there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from bulk_onboard.errors import UsageError
from bulk_onboard.sandbox import Behaviour, Sandbox
from tests.sandbox.support import GROWER, RAVEN, address, body, serve_sandbox, start


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "sandbox.sqlite3"


async def test_a_second_sandbox_remembers_what_the_first_one_stored(store: Path):
    async with serve_sandbox(store=store) as leaf:
        await leaf.post(body("expired-1"))
        before, identity, state = (await leaf.get()).json, leaf.sandbox.identity, leaf.sandbox.state()
    async with serve_sandbox(Behaviour(event_delay=0), store=store) as leaf:
        after = (await leaf.get()).json
        assert leaf.sandbox.identity == identity
        assert leaf.sandbox.state() == state
        assert (await leaf.post(body("expired-1"))).status == 400
        assert [e["statusCode"] for e in (await leaf.get(f"{RAVEN}/events")).json] == [401]
        assert (await leaf.state())["posts"] == 2
    assert (after["id"], after["createdTime"]) == (before["id"], before["createdTime"])
    assert after["refreshToken"] == after["clientSecret"] == after["accessToken"] == "***"


async def test_the_files_never_hold_a_secret(store: Path):
    secrets = [b"rt-secret-1", b"app-secret", b"rt-other", b"refused-me"]
    async with serve_sandbox(store=store) as leaf:
        await leaf.post()
        await leaf.post(body("rt-other"))
        await leaf.post(body("refused-me"))
        await leaf.post({"refreshToken": "app-secret"})
        open_files = _bytes(store.parent)
    for content in (open_files, _bytes(store.parent)):
        assert GROWER.encode() in content
        assert not any(secret in content for secret in secrets)
    assert _mode(store) == 0o600


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_a_reset_forgets_the_store_and_makes_another_sandbox(store: Path):
    async with serve_sandbox(store=store) as leaf:
        await leaf.post()
        first = leaf.sandbox.identity
    Sandbox.reset(store)
    assert list(store.parent.iterdir()) == []
    async with serve_sandbox(store=store) as leaf:
        assert leaf.sandbox.identity != first
        assert (await leaf.get()).status == 404
        await leaf.post()
        await leaf.ask("POST", "/sandbox/reset")
        second = leaf.sandbox.identity
    async with serve_sandbox(store=store) as leaf:
        assert leaf.sandbox.identity == second
        assert leaf.sandbox.state()["growers"] == []
    Sandbox.reset(store.with_name("never-was"))


async def test_one_sandbox_has_one_identity_whatever_its_port(store: Path):
    names, urls = set(), set()
    for _ in range(2):
        async with serve_sandbox(store=store) as leaf:
            names.add(leaf.sandbox.identity)
            urls.add(leaf.url)
    assert len(names) == 1
    assert names.pop().startswith("sandbox:")


async def test_a_store_that_is_in_use_is_refused(store: Path):
    async with serve_sandbox(store=store):
        with pytest.raises(UsageError, match="other sandbox"):
            Sandbox(store=store)


def test_the_message_about_an_unreadable_file_says_how_to_start_again(store: Path):
    store.parent.mkdir()
    store.write_bytes(b"not a database" * 100)
    with pytest.raises(UsageError, match="Reset"):
        Sandbox(store=store)


def test_a_store_of_another_version_is_refused(store: Path):
    Sandbox(store=store).close()
    with closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="another version"):
        Sandbox(store=store)


async def test_what_was_answered_survives_a_kill(store: Path):
    server = await start("--store", str(store))
    url = await address(server)
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer practice"}) as session:
        async with session.post(url + RAVEN, json=body()) as got:
            assert got.status == 201
        server.kill()
        await server.communicate()
    async with serve_sandbox(store=store) as leaf:
        assert (await leaf.get()).status == 200
