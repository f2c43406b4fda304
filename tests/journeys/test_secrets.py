"""No secret is ever written anywhere: not by a verbose run, not by a crash, not by one that is killed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bulk_onboard.sandbox import Fault
from tests.support.cli import Desk, Ran
from tests.support.command import Ended, grower, start
from tests.support.raw_server import Answer, Request, http, serving, serving_aside
from tests.support.secrets import (
    ACCESS,
    BEARER,
    EVENT,
    INPUT,
    PASSWORD,
    SETTINGS_OF_A_RUN,
    SEVERAL,
    TOKENS,
    Canary,
    app_settings,
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


def shown(run: Ended) -> tuple[bytes, ...]:
    """All that a process has shown, to those who list processes too."""
    return run.out, run.err, *run.cmdlines


@pytest.mark.soak(6)
async def test_secrets_echoed_by_leaf_are_written_nowhere(tmp_path: Path) -> None:
    write_input(tmp_path)
    async with serving(echo(201)) as server:
        env, argv = environment(tmp_path, server.url), ("run", INPUT, *LOUD, "--log-format=json", "--json")
        run = await asyncio.to_thread(start(*argv, cwd=tmp_path, env=env, afresh=True).wait)
        assert server.count("GET") >= len(TOKENS)
    assert run.code in {0, 1, 5}, run.told
    assert len(list((tmp_path / "reports").glob("*/results.parquet"))) == 1
    assert len(list((tmp_path / "reports").glob("*/report.html"))) == 1
    assert found(tmp_path, *shown(run)) == []
    assert open_to_others(tmp_path / "reports") == []


@pytest.fixture
def planted(desk: Desk) -> Desk:
    """A desk whose settings are canaries."""
    for name, value in SETTINGS_OF_A_RUN.items():
        desk.set(name, value)
    return desk


def assert_nothing_shows(here: Path, ran: Ran) -> None:
    assert found(here, ran.out.encode(), ran.err.encode()) == []
    assert open_to_others(here / "reports") == []


@pytest.mark.parametrize("status", [200, 400])
def test_echoed_secrets_of_several_providers_are_written_nowhere(
    here: Path, planted: Desk, status: int
) -> None:
    write_mixed_input(here)
    for name, value in app_settings(*SEVERAL).items():
        planted.set(name, value)
    with serving_aside(echo(status)) as server:
        planted.set("LEAF_BASE_URL", server.url)
        ran = planted("run", INPUT, *LOUD)
        posted = {request.path.split("/")[-1] for request in server.requests if request.method == "POST"}
    assert ran.code in {0, 1, 5}, ran.err
    assert status == 200 or {f"{name}-credentials" for name in SEVERAL} <= posted
    assert_nothing_shows(here, ran)


# All of a storm but what makes it long: throttling and hanging.
STORM = "[faults]\n" + "\n".join(
    f"{kind} = 0.012" for kind in Fault if not kind.startswith(("throttle", "hang", "slow"))
)


def test_no_fault_reveals_a_secret(here: Path, planted: Desk) -> None:
    write_input(here)
    Path("storm.toml").write_text(STORM)
    options = ("--sandbox-faults=storm.toml", "--no-events", "--limit=12", "--ledger=new/deep/ledger.db")
    ran = planted("run", INPUT, *LOUD, "--sandbox", *options)
    assert ran.code in {0, 1, 4, 5}, ran.err
    assert found(here, ran.out.encode(), ran.err.encode()) == []
    [folder] = here.glob("reports/2*")
    assert open_to_others(folder) == open_to_others(here / "new") == []


@pytest.mark.parametrize("command", ["run", "validate"])
def test_secrets_in_the_wrong_column_are_written_nowhere(here: Path, planted: Desk, command: str) -> None:
    write_input(here, swapped=True)
    ran = planted(command, INPUT, *(("--sandbox", *LOUD) if command == "run" else ()))
    assert ran.code in {1, 3}, ran.err
    assert_nothing_shows(here, ran)


def test_corrected_files_hold_secrets_only_in_their_cells(here: Path, planted: Desk) -> None:
    write_input(here)
    lines = Path(INPUT).read_text(encoding="utf-8").splitlines()
    # Repeats and a shared token, so that there is something to say of cells that hold a secret.
    shared = grower(99) + lines[5][36:]
    Path(INPUT).write_text("\n".join([*lines, *lines[1:4], shared]), encoding="utf-8")
    ran = planted("validate", INPUT, "--annotate", "new/out.xlsx", "--fix", "new/fixed.csv")
    assert ran.code in {0, 1}, ran.err
    assert open_to_others(here / "new") == open_to_others(here / "reports") == []
    Path("new/fixed.csv").unlink()
    with zipfile.ZipFile("new/out.xlsx") as packed:
        packed.extractall("parts")
    Path("new/out.xlsx").unlink()
    places = {line.split(" in ")[-1] for line in found(here, ran.out.encode(), ran.err.encode())}
    assert places == {"parts/xl/worksheets/sheet2.xml"}


CRASHES = {
    "in a request": "bulk_onboard.leaf.http.Http._url",
    "in a reply": "bulk_onboard.leaf.replies.after_post",
    "in a thread": "bulk_onboard.engine.checked_file.CheckedFile._payload",
    "in the ledger": "bulk_onboard.ledger.ledger.Ledger.write",
    "in a report": "bulk_onboard.engine.closing.count_rows",
}


@pytest.mark.parametrize("place", CRASHES.values(), ids=CRASHES)
def test_a_crash_reveals_no_secret(
    here: Path, planted: Desk, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The part that breaks says all it knows in its last words."""

    def broken(*args: object, **named: object) -> None:
        secrets = [str(dict(a)) for a in args if isinstance(a, dict)] + [repr(args), Path(INPUT).read_text()]
        raise RuntimeError("broken with " + " ".join(secrets))

    write_input(here)
    monkeypatch.setattr(place, broken)
    ran = planted("run", INPUT, "--sandbox", *LOUD)
    assert ran.code in {5, 70}, ran.err
    assert_nothing_shows(here, ran)


@pytest.mark.soak(4)
async def test_a_killed_run_leaves_no_secret_behind(tmp_path: Path) -> None:
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
    assert found(tmp_path, *shown(run)) == []
    assert open_to_others(tmp_path / "reports") == []
