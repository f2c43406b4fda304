"""The command as people start it, and the file of users."""

from __future__ import annotations

import signal
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from bulk_onboard.cli.sandbox import command
from bulk_onboard.errors import UsageError
from bulk_onboard.sandbox import Sandbox, read_users
from tests.sandbox.support import GROWER, OTHER, RAVEN, address, body, start


async def test_a_wrong_password_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SANDBOX_PASSWORD", "right")
    server = await start()
    url = await address(server)
    statuses = {}
    async with aiohttp.ClientSession() as session:
        for password in ("right", "wrong"):
            login = {"username": "a", "password": password}
            async with session.post(f"{url}/api/authenticate", json=login) as got:
                statuses[password] = got.status
    server.send_signal(signal.SIGTERM)
    _, messages = await server.communicate()
    assert statuses == {"right": 200, "wrong": 401}
    assert b"LEAF_PASSWORD=$SANDBOX_PASSWORD" in messages
    assert b"right" not in messages


async def test_the_command_prints_its_address_and_ends_with_ctrl_c(tmp_path: Path):
    users = tmp_path / "users.txt"
    users.write_text(f"{GROWER}\n")
    server = await start("--users", str(users))
    url = await address(server)
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer practice"}) as session:
        async with session.post(url + RAVEN, json=body()) as got:
            assert got.status == 201
        async with session.get(url + RAVEN.replace(GROWER, OTHER)) as got:
            assert got.status == 404
    server.send_signal(signal.SIGINT)
    out, messages = await server.communicate()
    assert server.returncode == 0
    assert out == b""
    assert f"export LEAF_BASE_URL={url} LEAF_USERNAME=me LEAF_PASSWORD=practice" in messages.decode()
    assert b"Traceback" not in messages


@pytest.mark.parametrize(
    "options", [["--unknown", "colour=red"], ["--faults", "windy"], ["--users", "no-file"]]
)
def test_a_wrong_option_is_refused(options: list[str]):
    result = CliRunner().invoke(command, options)
    assert isinstance(result.exception, UsageError)


async def test_a_used_port_is_refused():
    async with Sandbox().serve() as url:
        with pytest.raises(UsageError, match="cannot listen"):
            async with Sandbox().serve(int(url.rpartition(":")[2])):
                pass


@pytest.mark.parametrize(
    "text",
    [
        f"{GROWER}\n\n{OTHER}\n{GROWER}\n",
        f"\ufeffname,Leaf User ID\nAnn,{GROWER}\nBob,{OTHER.upper()}\n",
        f'leaf_user_id;email\n"{GROWER}";a@x\n{OTHER};b@x\n',
    ],
)
def test_users_are_read_from_a_column_or_lines(tmp_path: Path, text: str):
    path = tmp_path / "users"
    path.write_text(text, encoding="utf-8")
    assert [user.id for user in read_users(path)] == [GROWER, OTHER]


def test_names_and_emails_of_users_are_read(tmp_path: Path):
    path = tmp_path / "users"
    path.write_text(f"leafUserId,name,email,externalId\n{GROWER},Ann,a@x,7\n")
    [user] = read_users(path)
    assert (user.name, user.email, user.external_id) == ("Ann", "a@x", "7")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"leafUserId\n{GROWER}\nunknown\n".encode(), "line 3"),
        (b"unknown\n", "line 1"),
        (b"", "no users"),
        (b"leafUserId\n", "no users"),
        (b"\xff\xfe\xfa", "UTF-8"),
    ],
)
def test_an_error_in_the_users_file_names_its_line(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "users"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_users(path)
