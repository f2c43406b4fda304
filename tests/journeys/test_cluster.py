"""The same run on several workers: the same results, whoever dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import bulk_onboard
from bulk_onboard.cli import run
from bulk_onboard.sandbox import Account, Behaviour
from tests.support.cli import (
    COMMAND,
    PLANTED,
    Desk,
    Leaf,
    Process,
    Ran,
    Rows,
    Server,
    end,
    environment,
    grower,
    growers,
    start,
    wait_for_posts,
    write,
)
from tests.support.postgres import Server as Postgres

pytest.importorskip("distributed", reason="needs distributed: pip install -e '.[integration]'")
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals"),
    pytest.mark.timeout(240),
]

LOCAL = ("--cluster", "local:2")
REPLACE_ALL = ("--if-exists", "replace", "--replace-healthy")
COUNT = 300


def rows_of_all_kinds() -> Rows:
    """Good rows, and at both ends of the file some that concern each other."""
    rows = growers(COUNT)
    first, second, third = rows[:3]
    return [
        *rows,
        first,  # a repetition
        (second[0], f"{PLANTED}other"),  # a contradiction
        (grower(9_000), third[1]),  # somebody else's token
        ("no-uuid", f"{PLANTED}lost"),
        (grower(9_001), ""),
    ]


# What a later run says of them.
KNOWN = {"existing": COUNT - 2, "duplicate": 1, "invalid": 5 + 1}


def told(ran: Ran) -> list[tuple[str, ...]]:
    """What the results say that does not depend on the moment."""
    names = ("row", "leafUserId", "provider", "status", "health", "code", "message", "attempts", "region")
    return [tuple(row[name] for name in names) for row in ran.rows]


def start_on(server: Server, *argv: str) -> Process:
    return start("run", "growers.csv", *argv, env=server.environment)


def workers_of(process: Process) -> list[int]:
    """The numbers of its worker processes."""
    pids = []
    for children in Path(f"/proc/{process.pid}/task").glob("*/children"):
        pids += [int(pid) for pid in children.read_text().split()]
    return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.soak(15)
def test_results_equal_those_of_one_process(desk: Desk, leaf: Leaf) -> None:
    write(rows_of_all_kinds())
    alone = desk.at(leaf()).run("growers.csv", "--keep", "region", "--output", "alone")
    server = leaf()
    process = start_on(server, *LOCAL, "--rate", "0", "--keep", "region")
    together = end(process, 120)
    assert (alone.code, together.code) == (1, 1)
    alone.folder = next(Path("alone").glob("*/summary.json")).parent
    assert told(together) == told(alone)
    for name in ("counts", "health", "rows", "exitCode", "provider"):
        assert together.summary[name] == alone.summary[name], name
    assert together.summary["requests"]["post"] == server.posts
    again = desk.at(server).run("growers.csv", "--keep", "region")
    assert again.summary["requests"]["post"] == 0
    assert again.statuses == KNOWN


@pytest.mark.soak(13)
def test_confirmation_and_login_come_before_the_workers(
    desk: Desk, leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = leaf(Behaviour(event_delay=0))
    monkeypatch.setattr(run, "confirmation", lambda _settings: lambda _about: False)
    declined = desk.at(server)("run", write(growers(3)), *LOCAL, "--rate", "0")
    assert (declined.code, declined.statuses) == (130, {"not_attempted": 3})
    assert server.seen() == []
    strict = leaf(Behaviour(account=Account(username="ann@example.com", password=f"{PLANTED}right")))
    login = {"LEAF_TOKEN": "", "LEAF_USERNAME": "ann@example.com", "LEAF_PASSWORD": f"{PLANTED}wrong"}
    process = start("run", "growers.csv", *LOCAL, "--rate", "0", env=strict.environment | login)
    refused = end(process, 120)
    assert (refused.code, refused.statuses) == (4, {"not_attempted": 3})
    assert len(strict.seen()) == 1


@pytest.mark.soak(40)
def test_dry_run_plan_and_limit_equal_those_of_one_process(desk: Desk, leaf: Leaf) -> None:
    write(growers(COUNT))
    server = leaf(Behaviour(event_delay=0))
    dry = desk.at(server).run("growers.csv", *LOCAL, "--rate", "0", "--dry-run")
    assert (dry.code, server.posts) == (0, 0)
    (plan,) = Path("reports").glob("*/plan.csv")
    some = ("--plan", str(plan), "--limit", "100", "--rate", "0", "--no-events")
    ran = end(start_on(server, *LOCAL, *some), 120)
    assert (ran.code, ran.statuses, server.posts) == (0, {"created": 100}, 100)
    rest = end(start_on(server, *LOCAL, "--plan", str(plan), "--rate", "0", "--no-events"), 120)
    assert (rest.code, rest.statuses) == (0, {"created": COUNT - 100, "existing": 100})
    server.assert_stored_once(COUNT)


@pytest.mark.soak(40)
def test_a_dead_worker_is_replaced(leaf: Leaf) -> None:
    write(growers(COUNT))
    server = leaf(Behaviour(event_delay=0, latency=0.05))
    process = start_on(server, "--cluster", "local:3", "--rate", "100", "--timeout", "2", "--no-events")
    wait_for_posts(server, process)
    for _ in range(2):
        os.kill(workers_of(process)[0], signal.SIGKILL)
        time.sleep(1)
    ran = end(process, 150)
    assert (ran.code, ran.statuses) == (0, {"created": COUNT})
    server.assert_stored_once(COUNT)


@pytest.mark.soak(50)
def test_the_same_command_continues_after_the_leader_died(desk: Desk, leaf: Leaf) -> None:
    write(rows_of_all_kinds())
    server = leaf(Behaviour(event_delay=0, latency=0.05))
    process = start_on(server, *LOCAL, "--rate", "100", "--timeout", "2", "--no-events")
    wait_for_posts(server, process, 20)
    process.kill()
    process.communicate()
    ran = end(start_on(server, *LOCAL, "--rate", "100", "--timeout", "2", "--no-events"), 150)
    assert ran.code == 1
    assert set(ran.statuses) <= {"created", "existing", "duplicate", "invalid"}
    server.assert_stored_once(COUNT - 2)
    assert desk.at(server).run("growers.csv", "--no-events").statuses == KNOWN  # also alone


@pytest.mark.soak(60)
def test_saved_events_reach_the_files_after_the_leader_died(desk: Desk, leaf: Leaf) -> None:
    server, rows = leaf(Behaviour(event_delay=0, latency=0.05)), growers(COUNT)
    others = desk.at(server).run(write(rows, "others.csv"), "--no-events", "--output", "elsewhere")
    assert others.code == 0
    write([(user, f"{token}-new") for user, token in rows])
    replacing = (*REPLACE_ALL, "--rate", "150", "--timeout", "2", "--no-events")
    process = start_on(server, *LOCAL, *replacing)
    while len(server.seen("DELETE")) < 20:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    ran = end(start_on(server, *LOCAL, *replacing), 150)
    assert ran.code == 0
    assert ran.summary["rows"] == COUNT
    kept = [path.read_text().splitlines() for path in Path("reports").glob("*/replaced-events.jsonl")]
    assert len(kept) == 2  # in the folder of either run
    told = [json.loads(line)["leafUserId"] for lines in kept for line in lines]
    assert set(told) == {grower(number) for number in range(COUNT)}
    assert server.connected == set(told)


@pytest.mark.soak(33)
def test_the_first_signal_lets_rows_in_flight_finish_on_all_workers(desk: Desk, leaf: Leaf) -> None:
    write(growers(COUNT))
    server = leaf(Behaviour(event_delay=0, latency=0.1))
    process = start_on(server, *LOCAL, "--rate", "30", "--no-events")
    wait_for_posts(server, process)
    process.send_signal(signal.SIGINT)
    ran = end(process, 120)
    assert ran.code == ran.summary["exitCode"] == 130
    assert set(ran.statuses) == {"created", "not_attempted"}
    created = {row["leafUserId"] for row in ran.rows if row["status"] == "created"}
    assert created == server.connected
    assert desk.at(server).run("growers.csv", "--no-events").code == 0
    server.assert_stored_once(COUNT)


@pytest.mark.soak(27)
def test_the_canary_counts_rows_of_the_whole_file(leaf: Leaf) -> None:
    write([*growers(1, "expired-", 5_000), *growers(COUNT)])
    server = leaf()
    ran = end(start_on(server, *LOCAL, "--rate", "0", "--canary", "2", "--events-wait", "0"), 120)
    assert ran.code == 5
    assert "1 of 2 canary rows is not healthy" in ran.err
    assert ran.statuses == {"created": 2, "not_attempted": COUNT - 1}
    assert server.posts == 2


@pytest.mark.soak(35)
def test_the_first_reason_to_stop_stops_all_workers(leaf: Leaf) -> None:
    write(growers(COUNT, "refused-"))
    ran = end(start_on(leaf(), *LOCAL, "--rate", "50"), 120)
    assert ran.code == 5
    assert "the first 20 rows all ended rejected" in ran.err
    assert ran.statuses["not_attempted"] > 0
    assert sum(ran.statuses.values()) == COUNT


# --- a cluster that is there -----------------------------------------------------------------------


@contextmanager
def cluster(folder: Path, *environments: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler, its address first, and a worker in each of these environments; they log into files."""
    folder.mkdir()
    place = folder / "scheduler.json"
    processes: list[subprocess.Popen[bytes]] = []

    def begin(name: str, module: str, env: dict[str, str], *argv: str) -> None:
        with (folder / f"{name}.log").open("w") as log:
            command = [sys.executable, "-m", f"distributed.cli.{module}", *argv]
            processes.append(
                subprocess.Popen(command, env=environment(env), stdout=log, stderr=log, cwd=Path.cwd())
            )

    try:
        begin("scheduler", "dask_scheduler", {}, "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
              "--scheduler-file", str(place))  # fmt: skip
        for number, env in enumerate(environments):
            begin(f"worker-{number}", "dask_worker", env, "--scheduler-file", str(place), "--nthreads", "2",
                  "--no-dashboard", "--local-directory", str(folder / f"spill-{number}"))  # fmt: skip
        yield _address(place), processes[0]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _address(place: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            return str(json.loads(place.read_text())["address"])
        except (OSError, ValueError):
            time.sleep(0.1)
    raise AssertionError("the scheduler did not start")


@pytest.mark.soak(15)
def test_workers_read_their_own_settings_and_leave_no_secret(
    here: Path, leaf: Leaf, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write(growers(COUNT))
    server, folder = leaf(), tmp_path_factory.mktemp("cluster") / "left"
    with cluster(folder, server.environment, server.environment) as (address, _):
        ran = end(start_on(server, "--cluster", address, "--rate", "0", "--events-wait", "0"), 120)
        assert (ran.code, ran.statuses) == (0, {"created": COUNT})
        server.assert_stored_once(COUNT)
    for path in folder.rglob("*"):
        assert not path.is_file() or PLANTED.encode() not in path.read_bytes(), path


@pytest.mark.soak(50)
def test_nothing_is_sent_after_the_scheduler_died(
    leaf: Leaf, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write(growers(COUNT))
    server, folder = leaf(Behaviour(event_delay=0, latency=0.05)), tmp_path_factory.mktemp("cluster")
    env = server.environment | {"BULK_ONBOARD_LEDGER": postgres.url()}
    some = ("run", "growers.csv", "--rate", "60", "--timeout", "2", "--no-events")
    with cluster(folder / "first", env, env) as (address, scheduler):
        process = start(*some, "--cluster", address, env=env)
        wait_for_posts(server, process, 20)
        scheduler.kill()
        ran = end(process, 120)
        sent = len(server.seen())
        assert (ran.code, "its scheduler is gone" in ran.err) == (5, True)
        assert set(ran.statuses) <= {"created", "unresolved", "not_attempted"}
    assert len(server.seen()) == sent
    with cluster(folder / "second", env, env) as (address, _):
        again = end(start(*some, "--cluster", address, env=env), 120)
    assert (again.code, set(again.statuses)) == (0, {"created", "existing"})
    server.assert_stored_once(COUNT)


@pytest.mark.soak(17)
def test_a_worker_with_other_settings_is_refused(
    leaf: Leaf, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write(growers(COUNT))
    server = leaf()
    other = server.environment | {"RAVEN_CLIENT_SECRET": f"{PLANTED}other"}
    with cluster(tmp_path_factory.mktemp("cluster") / "left", other) as (address, _):
        ran = end(start_on(server, "--cluster", address), 120)
    assert ran.code == 2
    assert "is set up differently (RAVEN_CLIENT_ID, RAVEN_CLIENT_SECRET)" in ran.err
    assert server.posts == 0


@pytest.mark.soak(11)
def test_a_missing_scheduler_is_reported_and_no_run_begins(desk: Desk, leaf: Leaf) -> None:
    write(growers(3))
    ran = desk.at(leaf()).run("growers.csv", "--cluster", "tcp://127.0.0.1:9")
    assert (ran.code, "no scheduler with workers answers at tcp://127.0.0.1:9" in ran.err) == (2, True)
    assert "there is no run" in desk("report").err


def test_without_dask_the_message_names_the_extra(
    desk: Desk, leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(growers(3))
    for name in [name for name in sys.modules if name.startswith("bulk_onboard.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "distributed", None)
    ran = desk.at(leaf()).run("growers.csv", *LOCAL)
    assert (ran.code, "pip install 'bulk-onboard[dask]'" in ran.err) == (2, True)


@pytest.mark.soak(5)
def test_the_package_works_without_the_cluster_folder(here: Path, leaf: Leaf) -> None:
    package = here / "elsewhere" / "bulk_onboard"
    shutil.copytree(Path(bulk_onboard.__file__).parent, package)
    shutil.rmtree(package / "cluster")
    write(growers(3))
    server = leaf()
    env: dict[str, Any] = {**server.environment, "PYTHONPATH": str(package.parent)}
    argv = [sys.executable, "-P", *COMMAND[1:], "run", "growers.csv", "--events-wait", "0"]
    alone, together = (
        subprocess.run(each, env=environment(env), capture_output=True, text=True, timeout=40, check=False)
        for each in (argv, [*argv, *LOCAL])
    )
    assert alone.returncode == 0, alone.stderr
    assert (together.returncode, "Traceback" in together.stderr) == (2, False)
    assert "--cluster is not part of this installation" in together.stderr
