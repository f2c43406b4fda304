"""One round: a file, a Leaf with faults, runs that are killed, runs that end, and the truth after each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pandas as pd

from tests.soak import truth
from tests.soak.leaf import ROOT, Leaf, leaf
from tests.soak.leaks import leaks, shown
from tests.soak.plan import APP, MARK, Plan, Stop, When
from tests.soak.store import InFile, OnServer, Store, contents
from tests.support.postgres import Server

# Longer than any run of a round should take by itself in bad weather; then it is killed as well.
PATIENCE = 25.0
# In good weather a run has to be through by then, and after so many of them nothing may be left.
CALM_PATIENCE = 120.0
CALM_RUNS = 3
# What a run may end with by itself in bad weather: done, attention, no login, stopped, interrupted.
ENDED = {0, 1, 4, 5, 130}
KILLED = {-signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM, 130}


@dataclass(slots=True)
class Story:
    """What came of a round. ``wrong``: every complaint; none in a good round."""

    seed: int
    rows: int
    folder: Path
    wrong: list[str] = field(default_factory=list)
    runs: int = 0
    kills: int = 0
    worker_kills: int = 0
    interrupts: int = 0
    posts: int = 0
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    stored: int = 0
    visits: int = 0
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        """Rows that are not where they belong."""
        return sum(text.startswith(("lost", "stored", "open")) for text in self.wrong)

    @property
    def twice(self) -> int:
        """POSTs of what was stored already."""
        return sum(text.startswith("twice") for text in self.wrong)

    @property
    def touched(self) -> int:
        """Credentials of others that were deleted or overwritten, and requests that could have done it."""
        return sum(text.startswith("touched") for text in self.wrong)


def tell(plan: Plan, folder: Path, postgres: Server | None = None) -> Story:
    """Go through a round in an empty folder. The ledger is on a server, if one is given."""
    began = time.monotonic()
    story = Story(plan.seed, len(plan.lines), folder)
    with leaf(plan) as server:
        runner = _Round(plan, folder, server, story, postgres)
        runner.prepare()
        try:
            runner.go()
        except Exception as error:
            story.wrong.append(f"harness: {type(error).__name__}: {error}")
    story.seconds = time.monotonic() - began
    return story


class _Round:
    def __init__(self, plan: Plan, folder: Path, server: Leaf, story: Story, postgres: Server | None) -> None:
        self._plan, self._server, self._story = plan, server, story
        self._input = folder / "input" / f"growers.{plan.suffix}"
        self._work = folder / "work"
        self._reports = self._work / "reports"
        self._ledger: Store = (
            OnServer(postgres, f"soak_{plan.seed}") if postgres else InFile(self._reports / "ledger.sqlite3")
        )
        self._patience = PATIENCE * (4 if plan.workers else 1)
        self._seen = 0  # requests, before the latest run

    def prepare(self) -> None:
        """Write the file, and connect those who are connected already."""
        self._input.parent.mkdir(parents=True)
        self._work.mkdir()
        lines = self._plan.lines
        table = pd.DataFrame(
            {
                "leafUserId": [line.leaf_user_id for line in lines],
                "refreshToken": [line.token for line in lines],
            }
        )
        if self._plan.suffix == "csv":
            table.to_csv(self._input, index=False)
        else:
            table.to_parquet(self._input)
        self._server.begin(self._plan)

    def go(self) -> None:
        """Runs that are stopped, runs that are not, good weather, and the accounts."""
        for stop in self._plan.stops:
            self._run(lambda process, stop=stop: self._stop(process, stop))
            if stop.report and self._folders():
                self._report()
        for _ in range(self._plan.stormy):
            self._run(lambda process: _outlast(process, self._patience))
        self._server.calm()
        self._until_over()
        time.sleep(self._plan.at_work)  # whatever is still under way shows
        held = self._server.held()
        self._story.wrong += truth.about_posts(held, replaces=self._plan.replaces)
        self._story.wrong += truth.about_deletes(held, replaces=self._plan.replaces)
        self._story.wrong += truth.about_colleague(self._plan, held)
        self._story.wrong += [f"secret: it shows in {path}" for path in leaks(self._work)]
        if any(map(shown, contents(self._ledger))):
            self._story.wrong.append("secret: it shows in the ledger")
        self._count(held)

    def _until_over(self) -> None:
        for _ in range(CALM_RUNS):
            code = self._run(lambda process: _outlast(process, CALM_PATIENCE))
            if code not in {0, 1}:
                self._story.wrong.append(f"calm: a run in good weather ended with {code}")
                return
            if truth.is_over(self._plan, self._newest(), self._server.held()):
                break
        self._story.wrong += truth.about_end(self._plan, self._newest(), self._server.held(), self._ledger)

    def _run(self, stopped: Callable[[subprocess.Popen[bytes]], bool]) -> int:
        """One run, stopped or not, and what it says. The exit code."""
        self._story.runs += 1
        before = self._folders()
        name = f"run-{self._story.runs}"
        with (self._work / f"{name}.out").open("wb") as out, (self._work / f"{name}.err").open("wb") as err:
            process = self._command(
                *("run", str(self._input), "--timeout", str(self._plan.timeout), "--json", "-v"),
                *self._plan.options,
                out=out,
                err=err,
            )
            was_stopped = stopped(process)
            code = process.wait()
        self._look_at(name, code, was_stopped, self._folders() - before)
        return code

    def _command(
        self,
        *arguments: str,
        out: IO[bytes] | int = subprocess.DEVNULL,
        err: IO[bytes] | int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "bulk_onboard", *arguments],
            cwd=self._work,
            env=self._environment(),
            stdout=out,
            stderr=err,
        )

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        app = {"RAVEN_CLIENT_ID": APP["clientId"], "RAVEN_CLIENT_SECRET": APP["clientSecret"]}
        login = (
            {"LEAF_USERNAME": "soak@example.com", "LEAF_PASSWORD": f"password-{MARK}"}
            if self._plan.by_password
            else {"LEAF_TOKEN": f"practice-{MARK}"}
        )
        places = {"LEAF_BASE_URL": self._server.url, "PYTHONPATH": str(ROOT), **self._ledger.environment}
        return kept | app | login | places

    def _stop(self, process: subprocess.Popen[bytes], stop: Stop) -> bool:
        """Wait for the moment, then send the signals. Whether there was still somebody to stop."""
        come = self._moment(stop)
        ends = time.monotonic() + self._patience
        while process.poll() is None and not come() and time.monotonic() < ends:
            time.sleep(0.002)
        time.sleep(stop.after)
        if process.poll() is not None:
            return False
        if stop.rival:
            self._rival(process)
        if stop.workers:
            return self._kill_workers(process, stop)
        for name in stop.signals:
            if process.poll() is None:
                process.send_signal(signal.Signals[f"SIG{name}"])
                self._story.kills += name == "KILL"
                self._story.interrupts += name != "KILL"
                time.sleep(min(0.3, 0.05 + stop.after))
        return _outlast(process, self._patience, self._story) or True

    def _kill_workers(self, process: subprocess.Popen[bytes], stop: Stop) -> bool:
        """The run goes on with those who are left, and those who take the place of the dead."""
        for _ in range(stop.workers):
            if workers := _workers(process):
                with suppress(ProcessLookupError):
                    os.kill(workers[int(stop.amount * 7) % len(workers)], signal.SIGKILL)
                    self._story.worker_kills += 1
            time.sleep(0.1 + stop.after)
        return _outlast(process, self._patience, self._story)

    def _rival(self, process: subprocess.Popen[bytes]) -> None:
        """A second run on the same ledger is turned away while the first one lives."""
        elsewhere = (*self._ledger.elsewhere, "--output", "rival")
        code = self._command("run", str(self._input), "--limit", "1", *elsewhere).wait()
        if process.poll() is None and code != 6:
            self._story.wrong.append(f"rival: a second run at the same time ended with {code}")

    def _report(self) -> None:
        """The files of the latest run, written again, tell the truth too; also of one that was killed."""
        before = self._folders()
        code = self._command("report").wait()
        held = self._server.held()
        for folder in self._folders() - before:
            if truth.results(folder):  # none if it was killed before the file had been read
                self._story.wrong += truth.about_run(self._plan, folder, held, code, len(held.requests))

    def _moment(self, stop: Stop) -> Callable[[], bool]:
        match stop.when:
            case When.SECONDS:
                at = time.monotonic() + stop.amount
                return lambda: time.monotonic() >= at
            case When.POSTS:
                wanted = self._server.posts() + stop.amount
                return lambda: self._server.posts() >= wanted
            case When.REPORT:
                before = self._folders()
                return lambda: bool(self._folders() - before)

    def _folders(self) -> set[Path]:
        return {path for path in self._reports.glob("*") if path.is_dir()}

    def _newest(self) -> Path:
        whole = [path for path in self._folders() if (path / "summary.json").exists()]
        return max(whole, key=lambda path: (path / "summary.json").stat().st_mtime_ns)

    def _look_at(self, name: str, code: int, was_stopped: bool, folders: set[Path]) -> None:
        wrong = self._story.wrong
        if code not in ENDED and not (was_stopped and code in KILLED):
            wrong.append(f"exit: {name} ended with {code}")
        if b"Traceback" in (self._work / f"{name}.err").read_bytes():
            wrong.append(f"traceback: in {name}.err")
        held = self._server.held()
        for folder in folders:
            if (folder / "summary.json").exists() and code >= 0:
                wrong += truth.about_run(self._plan, folder, held, code, self._seen)
            elif (folder / "results.csv").exists() and len(truth.results(folder)) != len(self._plan.lines):
                wrong.append(f"half: {folder}/results.csv is not whole")
        if not was_stopped and code in {0, 1} and not folders:
            wrong.append(f"files: {name} ended with {code} and wrote no folder")
        self._seen = len(held.requests)

    def _count(self, held: truth.Paused) -> None:
        story = self._story
        story.requests, story.posts = len(held.requests), len(held.posts)
        story.stored = sum(seen["stored"] for seen in held.posts)
        story.visits = len(held.acts)
        story.faults.update(seen["fault"] for seen in held.requests if seen["fault"])


def _workers(leader: subprocess.Popen[bytes]) -> list[int]:
    """The processes that work for the one that was started."""
    pids: list[int] = []
    for children in Path(f"/proc/{leader.pid}/task").glob("*/children"):  # of each thread
        with suppress(OSError):
            pids += map(int, children.read_text().split())
    return [pid for pid in pids if b"spawn_main" in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _outlast(process: subprocess.Popen[bytes], seconds: float, story: Story | None = None) -> bool:
    """Wait for the end, but not for ever. Whether it had to be killed."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        if story:
            story.kills += 1
        return True
    return False
