"""bulk_onboard as a library: what the two functions promise, and that a caller can cancel them safely."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import func, select

import bulk_onboard
from bulk_onboard import errors, settings
from bulk_onboard.domain.chunk import CHUNK_ROWS
from bulk_onboard.domain.model import Secret
from bulk_onboard.domain.run_events import About, Fact, RowFinished, RowsRead, RunStarted
from bulk_onboard.engine.past_runs import write_again
from bulk_onboard.ledger import Ledger, history, hold
from bulk_onboard.ledger.schema import block, entry, run
from bulk_onboard.reports.results import COLUMNS
from bulk_onboard.settings import Login, Settings
from tests.support.cli import APP, PLANTED, Rows, Server, growers, open_intents, serving, write
from tests.support.listener import listening

ROOT = Path(__file__).parent.parent
SETTINGS = ["LEAF_BASE_URL", "LEAF_TOKEN", "LEAF_USERNAME", "LEAF_PASSWORD", *APP]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A Leaf that the environment leads to."""
    with serving() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def frame(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["Leaf User ID", "refresh_token"])


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


# --- what comes back --------------------------------------------------------------------------------


async def test_a_run_inside_a_running_loop_returns_its_result(
    server: Server,
) -> None:
    rows = [*growers(3), *growers(1, "refused-", start=3), ("nobody", "x")]
    result = await bulk_onboard.onboard(write(rows), provider="raven", rate=0)
    assert list(result.table.columns) == list(COLUMNS)
    assert result.table["row"].tolist() == [2, 3, 4, 5, 6]
    assert result.table["status"].tolist() == ["created"] * 3 + ["rejected", "invalid"]
    assert result.counts["created"] == 3
    assert sum(result.counts.values()) == 5
    assert result.exit_code == 1
    assert result.summary["exitCode"] == 1
    assert all(path.is_file() for path in result.files)


async def test_the_table_equals_results_csv(server: Server) -> None:
    result = await bulk_onboard.onboard(write(growers(3)), rate=0, keep=("region",))
    written = pd.read_csv(result.files[0], dtype=str, keep_default_na=False)
    assert list(written) == list(result.table)
    for name in written:
        told = ["" if pd.isna(value) else str(value).removesuffix(".0") for value in result.table[name]]
        assert told == written[name].tolist(), name


async def test_a_data_frame_takes_the_place_of_a_file(
    server: Server,
) -> None:
    first = await bulk_onboard.onboard(frame(growers(3)), rate=0)
    again = await bulk_onboard.onboard(frame(growers(5)), rate=0)
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert again.counts["existing"] == 3
    assert again.counts["created"] == 2
    assert server.posts == 5


async def test_validate_inside_a_running_loop_writes_nothing(
    here: Path,
) -> None:
    found = bulk_onboard.validate(frame([*growers(2), ("nobody", f"{PLANTED}x")]))
    assert found.counts == {"valid": 2, "invalid": 1, "duplicate": 0}
    assert found.exit_code == 1
    assert found.table["row"].tolist() == [4]
    assert found.table["code"].tolist() == ["bad-leaf-user-id"]
    assert PLANTED not in found.table.to_csv()
    assert is_empty(here)


OPTIONS = [setting.option for setting in settings.SETTINGS if setting.option and setting.option != "provider"]
ODD = [
    object(),
    3.5,
    -1,
    [],
    {},
    [1],
    {1: "a"},
    b"x",
    float("nan"),
    True,
    "",
    "\ud800",
    {1, 2},
    (None,),
    pd.NA,
]


@pytest.mark.parametrize("name", ["where", "provider", "login", "app", "observer", *OPTIONS])
async def test_a_value_of_a_wrong_type_raises_an_error_of_the_package(name: str, server: Server) -> None:
    for value in ODD:
        arguments: dict[str, Any] = {"where": frame([]), name: value}
        with suppress(errors.UsageError, errors.InputError, errors.OutputError, errors.LedgerError):
            await bulk_onboard.onboard(**arguments)
    assert not server.seen()


@pytest.mark.parametrize(
    "app", [{"clientId": 1}, {"raven": {"clientId": None}}, {"raven": {"a": {"b": "c"}}}]
)
async def test_app_fields_of_a_wrong_type_are_refused(app: Any) -> None:
    with pytest.raises(errors.UsageError, match="app"):
        await bulk_onboard.onboard(frame(growers(1)), app=app)


@pytest.mark.parametrize("login", [Login(3), Login(None, 3), Login(None, "me", 3)])  # type: ignore[arg-type]
async def test_a_login_of_a_wrong_type_is_refused(login: Login) -> None:
    with pytest.raises(errors.UsageError, match=r"login.*not a text"):
        await bulk_onboard.onboard(frame(growers(1)), login=login)


async def test_login_and_app_arguments_override_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LEAF_TOKEN", *APP):
        monkeypatch.delenv(name)
    result = await bulk_onboard.onboard(
        write(growers(1)),
        login=Login(username="ann@x", password=Secret(f"{PLANTED}pw")),
        app={"clientId": f"{PLANTED}id", "clientSecret": f"{PLANTED}secret"},
        rate=0,
    )
    assert result.exit_code == 0
    assert PLANTED not in repr(result)


async def test_the_sandbox_needs_no_setting(here: Path) -> None:
    result = await bulk_onboard.onboard(write(growers(2)), sandbox=True, rate="6000/min")
    assert result.exit_code == 0
    assert (here / "reports" / "sandbox.sqlite3").is_file()


# --- what is raised ---------------------------------------------------------------------------------


async def test_reasons_not_to_start_are_errors_of_the_package(server: Server) -> None:
    with pytest.raises(errors.InputError):
        await bulk_onboard.onboard("absent.csv")
    with pytest.raises(errors.InputError):
        await bulk_onboard.onboard(pd.DataFrame({"a": [1]}))
    with pytest.raises(errors.InputError):
        bulk_onboard.validate("absent.csv")
    with pytest.raises(errors.UsageError, match="rate"):
        await bulk_onboard.onboard(write(growers(1)), rate="fast")
    with pytest.raises(errors.UsageError, match="provider"):
        await bulk_onboard.onboard("growers.csv", provider="ravne")
    with pytest.raises(errors.UsageError, match="colour"):
        await bulk_onboard.onboard("growers.csv", colour="red")  # type: ignore[call-arg]
    with hold(Path("reports/ledger.sqlite3")), pytest.raises(errors.LedgerBusy):
        await bulk_onboard.onboard("growers.csv")
    assert not server.seen()


async def test_missing_settings_are_named_in_one_error() -> None:
    with pytest.raises(errors.UsageError, match=r"LEAF_TOKEN.*RAVEN_CLIENT_ID.*RAVEN_CLIENT_SECRET"):
        await bulk_onboard.onboard(frame(growers(1)))


async def test_a_refused_login_is_an_exit_code(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_TOKEN", f"{PLANTED}no-good")
    result = await bulk_onboard.onboard(write(growers(3)), rate=0)
    assert result.exit_code == 4
    assert result.counts["not_attempted"] == 3


# --- cancelled --------------------------------------------------------------------------------------


async def test_after_a_cancellation_the_next_run_completes_the_file(server: Server) -> None:
    file, begun = write(growers(60)), asyncio.Event()

    def watch(fact: Fact) -> None:
        if isinstance(fact, RowFinished):
            begun.set()

    running = asyncio.create_task(bulk_onboard.onboard(file, rate=50, observer=watch))
    await asyncio.wait_for(begun.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not open_intents(), "what was in flight has an outcome, if only that nobody knows it"
    again = await bulk_onboard.onboard(file, rate=0, timeout=0.5, events=False)
    assert again.exit_code == 0
    assert sum(again.counts.values()) == 60
    server.assert_stored_once(60)


async def test_a_run_cancelled_while_reading_writes_nothing(here: Path, server: Server) -> None:
    reached, go_on, read = asyncio.Event(), threading.Event(), list[int]()
    loop = asyncio.get_running_loop()

    def pause(fact: Fact) -> None:
        if isinstance(fact, RowsRead):
            read.append(fact.rows)
            loop.call_soon_threadsafe(reached.set)
            go_on.wait(10)

    rows = frame(growers(CHUNK_ROWS + 1))
    running = asyncio.create_task(bulk_onboard.onboard(rows, rate=0, observer=pause))
    await asyncio.wait_for(reached.wait(), 20)
    running.cancel()
    await asyncio.sleep(0.05)
    assert not running.done(), "it waits for the thread that writes to the ledger"
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert read == [CHUNK_ROWS], "it stops at the next chunk"
    with Ledger(here / "reports" / "ledger.sqlite3") as ledger, ledger.reading() as db:
        for table in (run, block, entry):
            assert db.execute(select(func.count()).select_from(table)).scalar_one() == 0
    again = await bulk_onboard.onboard(frame(growers(2)), rate=0)
    assert again.counts["created"] == 2


async def test_nothing_is_sent_from_a_file_that_changed_after_the_check(here: Path, server: Server) -> None:
    path = here / write(growers(20))

    def change(fact: Fact) -> None:
        if isinstance(fact, About):
            text = path.read_text().replace("planted-", "another-")
            with path.open("r+") as file:
                file.write(text)

    result = await bulk_onboard.onboard(path, rate=0, observer=change)
    assert (result.exit_code, result.counts["not_attempted"], server.posts) == (5, 20, 0)
    assert "changed while it was being read" in result.summary["stopReason"]


def test_onboard_works_in_another_thread(server: Server) -> None:
    file, codes = write(growers(2)), []
    thread = threading.Thread(
        target=lambda: codes.append(asyncio.run(bulk_onboard.onboard(file, rate=0)).exit_code)
    )
    thread.start()
    thread.join(20)
    assert codes == [0]


async def test_two_runs_with_different_ledgers_at_a_time(server: Server) -> None:
    one, two = await asyncio.gather(
        bulk_onboard.onboard(frame(growers(3)), rate=0, output="one"),
        bulk_onboard.onboard(frame(growers(3, start=3)), rate=0, output="two"),
    )
    assert (one.exit_code, two.exit_code) == (0, 0)
    assert server.posts == 6


# --- after a run ------------------------------------------------------------------------------------


async def test_onboard_notifies_pings_and_exports_metrics(
    here: Path, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with listening() as inbox, listening(500) as broken:
        monkeypatch.setenv("BULK_ONBOARD_NOTIFY", f"json://{inbox.address}/inbox")
        ping = f"http://{inbox.address}/check"
        rows = write(growers(1, "refused-"))
        await bulk_onboard.onboard(rows, rate=0, ping=ping, metrics="raven.prom")
        with pytest.raises(errors.InputError):
            await bulk_onboard.onboard("absent.csv", ping=ping)
        with pytest.raises(errors.UsageError):
            await bulk_onboard.onboard("absent.csv", notify="no-such://place")
        await bulk_onboard.onboard(rows, rate=0, ping=f"http://{broken.address}/{PLANTED}check")
    titles = [json.loads(body)["title"] for _, _, body in inbox.requests if body]
    assert titles == [
        "bulk-onboard: 1 row newly needs attention (growers.csv)",
        "bulk-onboard: the run could not start (absent.csv)",
    ]
    assert inbox.paths == ["/check/fail", "/inbox", "/check/fail", "/inbox"]
    assert "bulk_onboard_exit_code" in here.joinpath("raven.prom").read_text()
    assert "the ping (--ping) did not get through" in caplog.text
    assert PLANTED not in caplog.text


async def test_check_events_notifies(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(growers(2))
    first = await bulk_onboard.onboard(file, rate=0)
    with listening() as inbox:
        monkeypatch.setenv("BULK_ONBOARD_NOTIFY", f"json://{inbox.address}/inbox")
        for where in (first.summary["runId"], frame(growers(2))):
            checked = await bulk_onboard.check_events(where, rate=0, notify_when="always")
            assert (checked.exit_code, checked.summary["health"]["healthy"]) == (0, 2)
        with pytest.raises(errors.UsageError, match="no run 20260101T000000Z-absent"):
            await bulk_onboard.check_events("20260101T000000Z-absent")
    titles = [json.loads(body)["title"] for _, _, body in inbox.requests]
    assert len(titles) == 3
    assert "could not start" in titles[2]
    assert server.posts == 2


async def test_a_run_whose_report_cannot_be_written_is_recorded(
    here: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def obstruct(fact: Fact) -> None:
        if isinstance(fact, RunStarted):
            (here / "reports" / fact.run_id / "results.csv").mkdir(parents=True)

    with listening() as inbox:
        monkeypatch.setenv("BULK_ONBOARD_NOTIFY", f"json://{inbox.address}/inbox")
        with pytest.raises(errors.OutputError):
            await bulk_onboard.onboard(frame(growers(2)), rate=0, observer=obstruct)
    [message] = [json.loads(body) for _, _, body in inbox.requests]
    assert "the run ended, but its report could not be written" in message["title"]
    assert "`bulk-onboard report 2" in message["message"]
    with Ledger(here / "reports" / "ledger.sqlite3") as ledger:
        [past] = history.runs(ledger)
        assert past.info.finished_at
        assert (past.info.exit_code, past.counts["created"]) == (5, 2)
    shutil.rmtree(here / "reports" / past.info.run_id)
    again = write_again(past.info.run_id, Settings())
    assert (again.exit_code, again.summary["counts"]["created"]) == (0, 2)
