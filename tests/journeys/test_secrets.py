"""No secret is ever written anywhere: not by a verbose run, not by a crash, not by one that is killed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bulk_onboard.sandbox import Fault
from tests.support.command import Ended, Started, grower, start
from tests.support.raw_server import Answer, Request, http, serving
from tests.support.secrets import (
    ACCESS,
    ALL,
    BEARER,
    EVENT,
    INPUT,
    PASSWORD,
    SEVERAL,
    TOKENS,
    Canary,
    app_settings,
    canary,
    environment,
    found,
    open_to_others,
    write_input,
    write_mixed_input,
)

LOUD = "-vv", "--rate=0", "--timeout=0.5", "--events-wait=0", "--format=csv,jsonl,parquet,html"


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """The usual one, which lets others read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("each", [TOKENS[3], TOKENS[20], PASSWORD], ids=lambda c: c.kind)
@pytest.mark.parametrize(
    "form",
    [
        str.encode,
        lambda text: json.dumps(text).encode(),
        lambda text: quote(text, safe="").encode(),
        lambda text: text.encode().hex().encode(),
        lambda text: text.swapcase().encode(),
        *(lambda text, n=n: base64.b64encode(b"x" * n + text.encode()) for n in range(3)),
    ],
)
def test_the_search_finds_a_canary_in_every_form(tmp_path: Path, each: Canary, form: object) -> None:
    (tmp_path / "leak").write_bytes(b"before " + form(each.secret) + b" after")  # type: ignore[operator]
    assert any(each.core in line for line in found(tmp_path))


def echo(status: int) -> Answer:
    """A Leaf that repeats all it was told, in every form, wherever there is room."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/api/authenticate":
            writer.write(http(200, {"id_token": BEARER.secret}))
            return
        told = json.loads(request.body or b"{}")
        number = int(request.path.split("/users/")[1].split("/")[0][-2:], 16)
        # An id is all that is kept of a reply, also of one to a request without the token: it is taken
        # for a secret by its looks then.
        known_by_looks = TOKENS[number].secret if number < 16 else BEARER.secret
        secrets = [str(value) for value in told.values()] + [TOKENS[number].secret, BEARER.secret]
        text = " ".join(form for each in secrets for form in (each, quote(each), each.swapcase()))
        packed = [base64.b64encode(each.encode()).decode() for each in secrets]
        said = {"title": f"bad {text}", "message": f"{packed} {request.headers}", "detail": text}
        said |= {
            "errorKey": f"error.{secrets[-2]}",
            "id": known_by_looks,
            "status": known_by_looks,
            "accessToken": ACCESS.secret,
        }
        said |= {"createdTime": text, "refreshToken": TOKENS[number].secret}
        event = {
            "statusCode": 401,
            "createdDate": text,
            "headers": str(request.headers),
            "body": EVENT.secret,
        }
        lines = (
            f"X-Echo: {quote(text)[:4000]}",
            f"Set-Cookie: t={quote(text)[:2000]}",
            f"Location: /{quote(text)[:900]}",
        )
        if request.path.endswith("/events"):
            body: object = [event] if status < 300 else said | event
            writer.write(http(200 if status < 300 else 400, body, *lines))
        elif request.method == "GET" and status != 200:
            writer.write(http(404, said, *lines))
        else:
            writer.write(http(status, said, *lines))

    return answer


@pytest.mark.parametrize(("status", "log"), [(200, "text"), (201, "json"), (400, "json")])
async def test_what_leaf_echoes_is_written_nowhere(tmp_path: Path, status: int, log: str) -> None:
    write_input(tmp_path)
    async with serving(echo(status)) as server:
        env, argv = environment(tmp_path, server.url), ("run", INPUT, *LOUD, f"--log-format={log}", "--json")
        run = await asyncio.to_thread(start(*argv, cwd=tmp_path, env=env, afresh=log == "json").wait)
        assert server.count("GET") >= len(TOKENS)
    assert run.code in {0, 1, 5}, run.told
    assert len(list((tmp_path / "reports").glob("*/results.parquet"))) == 1
    assert len(list((tmp_path / "reports").glob("*/report.html"))) == 1
    assert found(tmp_path, run) == []
    assert open_to_others(tmp_path / "reports") == []


@pytest.mark.parametrize("status", [201, 400])
async def test_what_leaf_echoes_of_several_providers_is_written_nowhere(tmp_path: Path, status: int) -> None:
    write_mixed_input(tmp_path)
    async with serving(echo(status)) as server:
        env = environment(tmp_path, server.url, **app_settings(*SEVERAL))
        run = await asyncio.to_thread(start("run", INPUT, *LOUD, "--json", cwd=tmp_path, env=env).wait)
        posted = {request.path.split("/")[-1] for request in server.requests if request.method == "POST"}
    assert run.code in {0, 1, 5}, run.told
    assert {f"{name}-credentials" for name in SEVERAL} <= posted
    assert found(tmp_path, run) == []
    assert open_to_others(tmp_path / "reports") == []


# All of a storm but what makes it long: throttling and hanging.
STORM = "[faults]\n" + "\n".join(
    f"{kind} = 0.012" for kind in Fault if not kind.startswith(("throttle", "hang", "slow"))
)


def test_no_storm_brings_a_secret_to_light(tmp_path: Path) -> None:
    write_input(tmp_path)
    (tmp_path / "storm.toml").write_text(STORM)
    options = (
        "--sandbox",
        "--sandbox-faults=storm.toml",
        "--no-events",
        "--limit=12",
        "--ledger=new/deep/ledger.db",
    )
    run = start("run", INPUT, *LOUD, *options, cwd=tmp_path, env=environment(tmp_path)).wait()
    assert run.code in {0, 1, 4, 5}, run.told
    assert found(tmp_path, run) == []
    [folder] = (tmp_path / "reports").glob("2*")
    assert open_to_others(folder) == open_to_others(tmp_path / "new") == []


@pytest.mark.parametrize("command", ["run", "validate"])
def test_secrets_in_the_wrong_column_are_written_nowhere(tmp_path: Path, command: str) -> None:
    write_input(tmp_path, swapped=True)
    options = ("--sandbox", *LOUD) if command == "run" else ()
    run = start(command, INPUT, *options, cwd=tmp_path, env=environment(tmp_path)).wait()
    assert run.code in {1, 3}, run.told
    assert found(tmp_path, run) == []


def test_what_is_given_back_holds_secrets_in_its_cells_and_nowhere_else(tmp_path: Path) -> None:
    write_input(tmp_path)
    lines = (tmp_path / INPUT).read_text(encoding="utf-8").splitlines()
    # Repeats and a shared token, so that there is something to say of cells that hold a secret.
    shared = grower(99) + lines[5][36:]
    (tmp_path / INPUT).write_text("\n".join([*lines, *lines[1:4], shared]), encoding="utf-8")
    options = ("--annotate", "new/out.xlsx", "--fix", "new/fixed.csv")
    run = start("validate", INPUT, *options, cwd=tmp_path, env=environment(tmp_path)).wait()
    assert run.code in {0, 1}, run.told
    assert open_to_others(tmp_path / "new") == open_to_others(tmp_path / "reports") == []
    (tmp_path / "new" / "fixed.csv").unlink()
    with zipfile.ZipFile(tmp_path / "new" / "out.xlsx") as packed:
        packed.extractall(tmp_path / "parts")
    (tmp_path / "new" / "out.xlsx").unlink()
    told = found(tmp_path, run)
    assert {line.split(" in ")[-1] for line in told} == {"parts/xl/worksheets/sheet2.xml"}


CRASHES = {
    "in a request": "from bulk_onboard.leaf.http import Http as P; P._url",
    "in a reply": "import bulk_onboard.leaf.replies as P; P.after_post",
    "in a thread": "from bulk_onboard.engine.scan import Scan as P; P._payload",
    "in the ledger": "from bulk_onboard.ledger.ledger import Ledger as P; P.write",
    "in a report": "import bulk_onboard.engine.closing as P; P.count_rows",
}


def crashing(place: str, folder: Path) -> Started:
    """The command with a part that breaks, and says all it knows in its last words."""
    code = f"""
import sys
import zipfile
from bulk_onboard.cli.main import main
def broken(*args, **named):
    secrets = [str(dict(a)) for a in args if isinstance(a, dict)] + [repr(args), open({INPUT!r}).read()]
    raise RuntimeError("broken with " + " ".join(secrets))
{place} = broken
sys.exit(main(["run", {INPUT!r}, "--sandbox", *{LOUD!r}]))
"""
    return Started([sys.executable, "-X", "dev", "-W", "ignore", "-c", code], folder, environment(folder))


@pytest.mark.parametrize("place", CRASHES.values(), ids=CRASHES)
def test_a_crash_tells_its_place_and_no_secret(tmp_path: Path, place: str) -> None:
    write_input(tmp_path)
    run: Ended = crashing(place, tmp_path).wait()
    assert "Traceback" not in run.told
    assert run.code in {5, 70}, run.told
    assert found(tmp_path, run) == []
    assert open_to_others(tmp_path / "reports") == []


async def test_a_run_that_is_killed_leaves_no_secret_behind(tmp_path: Path) -> None:
    write_input(tmp_path)

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/api/authenticate":
            writer.write(http(200, {"id_token": BEARER.secret}))
        elif request.method == "GET":
            writer.write(http(404))
        elif server.count("POST") > len(TOKENS) // 2:
            await asyncio.sleep(5)
        else:
            writer.write(http(201, {"id": "c", "refreshToken": json.loads(request.body)["refreshToken"]}))

    async with serving(answer) as server:
        started = start("run", INPUT, *LOUD, cwd=tmp_path, env=environment(tmp_path, server.url), afresh=True)
        while server.count("POST") < len(TOKENS):
            assert started.is_running(), started.err()
            await asyncio.sleep(0.02)
        run = started.kill()
    assert (tmp_path / "reports" / "ledger.sqlite3-wal").stat().st_size > 0
    assert found(tmp_path, run) == []
    assert open_to_others(tmp_path / "reports") == []


def test_the_canaries_are_all_different() -> None:
    assert len({each.core for each in ALL}) == len(ALL)
    assert canary("refresh", 1) == TOKENS[1]
