"""A round at the strict Leaf: a dry run, its plan carried out, a run, a rollback, and the truth of each."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.strict.leaf import Nature, told
from tests.support import forked

ROOT = Path(__file__).parents[2]
# In every secret, the bearer token too.
MARK = "planted-strict"
APP = {"RAVEN_CLIENT_ID": "app", "RAVEN_CLIENT_SECRET": f"{MARK}-app"}
RATE = 400


@dataclass
class Ran:
    """One command: how it ended, the folder it wrote, and the requests that Leaf saw of it."""

    code: int
    folder: Path | None
    seen: list[dict[str, Any]]
    err: str
    stalled: float

    @property
    def rows(self) -> list[dict[str, str]]:
        """The lines of its results."""
        assert self.folder, self.err
        name = "rollback.csv" if (self.folder / "rollback.csv").exists() else "results.csv"
        with (self.folder / name).open(newline="") as file:
            return list(csv.DictReader(file))

    @property
    def summary(self) -> dict[str, Any]:
        assert self.folder, self.err
        found: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return found

    def sent(self, method: str) -> list[dict[str, Any]]:
        return [each for each in self.seen if each["method"] == method]


@dataclass
class Bench:
    """Commands in a folder, at a Leaf. ``wrong``: every complaint about any of them."""

    url: str
    folder: Path
    wrong: list[str] = field(default_factory=list)
    count: int = 0

    def desk(self, *, calm: bool = False) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}/_desk", method="POST" if calm else "GET")
        with urllib.request.urlopen(request, timeout=20) as reply:
            found: dict[str, Any] = json.load(reply)
        return found

    def held(self) -> dict[tuple[str, str], tuple[str, dict[str, str]]]:
        """By user and provider: the id and the body of what is stored."""
        return {(user, provider): (name, body) for user, provider, name, body in self.desk()["held"]}

    def run(self, *argv: str, kill_after: float = 0.0, env: dict[str, str] | None = None) -> Ran:
        """The command, killed after so many seconds unless it has ended by then."""
        reports, since = self.folder / "reports", len(self.desk()["seen"])
        before = set(reports.glob("*"))
        self.count += 1
        with (self.folder / f"{self.count}.err").open("wb") as err:
            env = self._environment(env or APP)
            process = forked.start(["bulk_onboard", *argv], cwd=self.folder, stderr=err, stdout=err, env=env)
            try:
                code = process.wait(kill_after or 100)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
        new = [path for path in reports.glob("*") if path not in before and path.is_dir()]
        said, desk = (self.folder / f"{self.count}.err").read_text(), self.desk()
        ran = Ran(code, new[0] if new else None, desk["seen"][since:], said, desk["stalled"])
        self.wrong += [f"{' '.join(argv[:4])}: {each}" for each in self._about(ran)]
        return ran

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        ours = {"LEAF_BASE_URL": self.url, "LEAF_TOKEN": f"{MARK}-bearer", "PYTHONPATH": str(ROOT)}
        return kept | ours | more

    def _about(self, ran: Ran) -> Iterator[str]:
        """What holds for every command, whatever it is."""
        yield from (f"{each['method']} {each['path']}: {each['wrong']}" for each in ran.seen if each["wrong"])
        if "Traceback" in ran.err:
            yield ran.err[-400:]
        for path in self.folder.rglob("*"):
            if path.is_file() and path.parent.name != "input" and MARK.encode() in path.read_bytes():
                yield f"a secret shows in {path.name}"
        if ran.folder is None or not (ran.folder / "summary.json").exists():
            return
        sums, counts = ran.summary, Counter(row["status"] for row in ran.rows)
        if counts != {status: n for status, n in sums["counts"].items() if n}:
            yield f"counts {counts} are not {sums['counts']}"
        methods = Counter(each["method"].lower() for each in ran.seen)
        took = {name: methods[name] for name in ("get", "post", "delete")}
        took |= {"total": len(ran.seen), "throttled": sum(each["status"] == 429 for each in ran.seen)}
        if took != sums["requests"] or sums["exitCode"] != ran.code:
            yield f"requests {sums['requests']} were {took}, exit code {sums['exitCode']} was {ran.code}"
        # While a busy machine lets Leaf wait, requests pile up in front of it.
        if (most := fullest(ran.seen)) > RATE * (1.1 + 2 * ran.stalled):
            yield f"{most} requests in a second"


def fullest(seen: list[dict[str, Any]]) -> int:
    """The most requests in any second."""
    times = sorted(each["at"] for each in seen)
    first = most = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


@contextmanager
def bench(nature: Nature, folder: Path) -> Iterator[Bench]:
    """A strict Leaf in a process of its own, and a folder to work in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.strict.leaf"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdin
        assert process.stdout
        process.stdin.write(told(nature))
        process.stdin.flush()
        (folder / "input").mkdir(parents=True)
        yield Bench(process.stdout.readline().decode().strip(), folder)
    finally:
        process.communicate(timeout=20)


def growers(count: int, seed: int) -> list[str]:
    """So many leafUserIds."""
    draw = random.Random(seed)
    return [str(uuid.UUID(int=draw.getrandbits(128), version=4)) for _ in range(count)]


def token(user: str, kind: str = "") -> str:
    return f"{kind}{MARK}-{user[:13]}"


def body(user: str, kind: str = "") -> dict[str, str]:
    return {"clientId": "app", "clientSecret": f"{MARK}-app", "refreshToken": token(user, kind)}


@dataclass(frozen=True)
class Plan:
    """A round: its Leaf, the growers' tokens in the order of the file, and how the command is called."""

    nature: Nature
    tokens: dict[str, str]
    mode: str
    kills: tuple[float, ...]


def drawn(seed: int, users: int) -> Plan:
    """The round of a seed. A third of the users is connected, some of them with the token of the file."""
    draw = random.Random(seed)
    known = growers(users, seed)
    held = [(user, "raven", body(user, "" if n % 9 == 0 else "old-")) for n, user in enumerate(known[::3])]
    connected = [user for user, *_ in held]
    free = sorted(set(known) - set(connected))
    lies = draw.random() < 0.3
    kinds = draw.sample(["throttle", "500-before", "500-after", "cut-before", "cut-after", "slow"], 3)
    nature = Nature(
        bearer=f"{MARK}-bearer",
        users=tuple(known),
        held=tuple(held),
        existing=draw.choice(["409", "400", "200", "201"]),
        none=draw.choice(["404", "404 bare", "204", "", "null", "{}", "[]"]),
        nobody=draw.choice(["404", "404", "204", "{}"]),
        total=draw.random() < 0.5,
        cap=draw.choice([100, 50, 20]),
        shift=draw.choice([0, 0, 1, 2]),
        hidden=tuple(draw.sample(connected, 2)) if lies else (),
        made_up=tuple(draw.sample(free, 2)) if lies else (),
        not_embedded=("raven",) if draw.random() < 0.2 else (),
        shows=draw.choice(["all", "all", "masked", "nothing"]),
        deleted=draw.choice(["204", "200"]),
        gap=draw.choice(["", "cut-before", "cut-after", "500-before", "500-after"]),
        faults=dict.fromkeys(kinds, 0.02) if draw.random() < 0.6 else {},
        retry=draw.choice(["seconds", "date", "none"]),
        seed=seed,
    )
    file = [*known, *growers(3, seed + 10_000)]
    draw.shuffle(file)
    refused = set(draw.sample(file, 4))
    tokens = {user: token(user, "refuse-" if user in refused else "") for user in file}
    mode = draw.choice(["skip", "replace", "replace", "overwrite", "fail"])
    return Plan(nature, tokens, mode, tuple(draw.uniform(0.8, 3.0) for _ in range(draw.choice([0, 0, 1, 2]))))


def tell(plan: Plan, folder: Path) -> list[str]:
    """Go through a round in an empty folder. Every complaint; none of a good one."""
    with bench(plan.nature, folder) as at:
        lines = [f"{user},{secret}" for user, secret in plan.tokens.items()]
        (folder / "input" / "growers.csv").write_text("\n".join(["leafUserId,refreshToken", *lines, ""]))
        command = ["run", "input/growers.csv", "--if-exists", plan.mode, "--rate", str(RATE)]
        command += ["--timeout", "1.2", "--events-wait", "1", "--format", "csv"]
        before = at.held()
        dry = at.run(*command, "--dry-run")
        if dry.sent("POST") or dry.sent("DELETE") or at.held() != before:
            at.wrong.append("a dry run changed something")
        assert dry.folder, dry.err
        planned = [*command, "--plan", str(dry.folder / "plan.csv")]
        runs = [at.run(*planned, kill_after=after) for after in plan.kills]
        runs.append(at.run(*planned))
        at.wrong += _about_requests(plan, [each for ran in runs for each in ran.seen], before)
        at.wrong += _about_rows(plan, runs[-1], before, at.held())
        if not plan.kills:
            at.wrong += _about_plan(dry, runs[-1])
        at.desk(calm=True)
        at.run(*command)
        again = at.run(*command)
        if plan.mode in {"skip", "fail"} and (done := _posted_again(again)):
            at.wrong.append(f"posted again: {done}")
        for ran in [each for each in runs if each.folder and (each.folder / "summary.json").exists()]:
            at.wrong += _about_rollback(at, ran)
        return at.wrong


def _user_of(seen: dict[str, Any]) -> str:
    return str(seen["path"]).split("/")[5]


def _about_requests(plan: Plan, seen: list[dict[str, Any]], before: dict[Any, Any]) -> Iterator[str]:
    """Nothing is sent again once it is stored, nobody touched who is not to be, nothing of ours deleted."""
    stored, lies = set[str](), plan.nature.hidden or plan.nature.made_up
    for each in seen:
        if each["method"] == "GET":
            continue
        user = _user_of(each)
        if each["method"] == "DELETE":
            old, same = before.get((user, "raven")), plan.nature.shows == "all"
            if each["deleted"] and (plan.mode != "replace" or old is None or old[0] != each["deleted"]):
                yield f"deleted of {user} what nobody had seen before"
            if each["deleted"] and same and old and old[1]["refreshToken"] == plan.tokens[user]:
                yield f"deleted of {user} the token of the file"
        elif user in stored:
            yield f"posted to {user} what was stored"
        elif each["over"] and plan.mode != "overwrite" and not lies:
            yield f"posted to {user}, who is connected"
        if each["stored"]:
            stored.add(user)


def _about_rows(plan: Plan, ran: Ran, before: dict[Any, Any], after: dict[Any, Any]) -> Iterator[str]:
    """The results say what Leaf holds."""
    for row in ran.rows:
        user, said = row["leafUserId"], f"{row['status']} {row['code']}"
        old, now = before.get((user, "raven")), after.get((user, "raven"))
        if row["status"] in {"created", "existing"}:
            if now is None or row["credentialId"] != now[0]:
                yield f"{user} is {said}, and Leaf holds {now and now[0]}"
            elif row["status"] == "created" and now[1]["refreshToken"] != plan.tokens[user]:
                yield f"{user} is {said} with another token"
        elif row["status"] != "unresolved":
            if now is not None and (old is None or old[0] != now[0]):
                yield f"{user} is {said}, and Leaf holds something new"
            if now is None and old is not None and row["code"] != "left-without-credentials":
                yield f"{user} is {said}, and has lost what was there"


# What may become of a row that was planned so; who is refused by Leaf, only Leaf knows.
BECOMES = {
    "would_create": {"created", "rejected", "unresolved", "failed"},
    "would_replace": {"created", "rejected", "unresolved", "failed"},
    "existing": {"existing"},
    "no_such_user": {"rejected"},
    "rejected": {"rejected"},
    "failed": {"not_attempted"},
}


def _about_plan(dry: Ran, ran: Ran) -> Iterator[str]:
    """What was planned is what happens, unless Leaf's list has lied."""
    for foretold, row in zip(dry.rows, ran.rows, strict=True):
        planned = foretold["status"]
        if row["code"] != "plan-outdated" and row["status"] not in BECOMES[planned]:
            yield f"row {row['row']} was planned as {planned} and is {row['status']} {row['code']}"


def _posted_again(ran: Ran) -> list[str]:
    done = {row["leafUserId"] for row in ran.rows if row["status"] in {"created", "existing"}}
    return [user for user in map(_user_of, ran.sent("POST")) if user in done]


# Codes of created rows whose credentials are proved to be the run's.
PROVED = frozenset({"", "replaced", "settled-by-asking"})


def _about_rollback(at: Bench, ran: Ran) -> Iterator[str]:
    """A rollback deletes exactly what is proved to be the run's and unchanged since, once."""
    assert ran.folder
    made = {row["leafUserId"]: row["credentialId"] for row in ran.rows if row["status"] == "created"}
    if not made:
        return
    before = at.held()
    ours = {user for user, name in made.items() if before.get((user, "raven"), ("",))[0] == name}
    dry = at.run("rollback", ran.folder.name, "--dry-run", "--rate", str(RATE))
    foretold = {row["leafUserId"] for row in dry.rows if row["status"] == "would_delete"}
    codes = {row["leafUserId"]: row["code"] for row in ran.rows}
    unproven = {row["leafUserId"] for row in dry.rows if row["code"] == "unproven"}
    if surprising := [user for user in unproven if codes[user] in PROVED]:
        yield f"a rollback calls growers unproven that the run has proved: {surprising}"
    ours -= unproven
    done = at.run("rollback", ran.folder.name, "--yes", "--rate", str(RATE))
    gone = {user for user, _ in before.keys() - at.held().keys()}
    if dry.sent("DELETE") or not ours == foretold == gone:
        yield f"a rollback of {len(ours)} foretold {len(foretold)} and deleted {len(gone)}"
    if {row["leafUserId"] for row in done.rows if row["status"] == "deleted"} != gone:
        yield "a rollback says otherwise than it did"
    if at.run("rollback", ran.folder.name, "--yes").sent("DELETE"):
        yield "a rollback deleted twice"
