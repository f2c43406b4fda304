"""What a user would write instead: measured beside the tool, in the same run."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp
import uvloop

from tests.benchmarks.server import ROOT

PATH = "/services/usermanagement/api/users/{}/raven-credentials"
APP = {"clientId": "benchmark", "clientSecret": "benchmark"}


async def bare_loop(file: Path, url: str, connections: int) -> None:
    """The same POSTs with nothing around them: no ledger, no journal, no ceiling, no report."""
    with file.open(newline="") as opened:
        rows = iter(list(csv.DictReader(opened)))
    headers = {"Authorization": "Bearer benchmark"}
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(url, connector=connector, headers=headers) as session:

        async def worker() -> None:
            for row in rows:
                body = {**APP, "refreshToken": row["refreshToken"]}
                async with session.post(PATH.format(row["leafUserId"]), json=body) as response:
                    assert response.status == 201
                    await response.json()

        await asyncio.gather(*(worker() for _ in range(connections)))


async def naive_gather(file: Path, url: str, at_once: int) -> None:
    """What most people write first: all rows as tasks, and a semaphore."""
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    semaphore = asyncio.Semaphore(at_once)
    async with aiohttp.ClientSession(url, headers={"Authorization": "Bearer benchmark"}) as session:

        async def post(row: dict[str, str]) -> str:
            async with semaphore:
                body = {**APP, "refreshToken": row["refreshToken"]}
                async with session.post(PATH.format(row["leafUserId"]), json=body) as response:
                    return f"{row['leafUserId']},{response.status},{(await response.json())['id']}\n"

        results = await asyncio.gather(*(post(row) for row in rows))
    file.with_suffix(".results").write_text("".join(results))


class Spent(NamedTuple):
    """Seconds that a yardstick took, start-up included: on the wall, and of CPU."""

    seconds: float
    cpu: float


def timed(name: str, file: Path, url: str, connections: int) -> Spent:
    """One of the loops above, in a process of its own as a user would run it."""
    return _timed(
        [sys.executable, "-m", "tests.benchmarks.yardsticks", name, str(file), url, str(connections)]
    )


def bulk_post(file: Path, url: str, at_once: int) -> Spent | None:
    """The tool of that name (PyPI): a request per line of a CSV, with threads. None: not installed."""
    program = shutil.which("bulk-post")
    if program is None:
        return None
    body = json.dumps({**APP, "refreshToken": "{{refreshToken}}"})
    asked = ["--url", url + PATH.format("{{leafUserId}}"), "--csv", str(file), "--body", body]
    login = ["--auth-type", "bearer", "--token", "benchmark"]
    return _timed([program, *asked, *login, "--parallel", "--concurrency-level", str(at_once)])


def newman(file: Path, url: str) -> Spent | None:
    """Postman's runner (npm): a request per line of a CSV, one at a time. None: not installed."""
    program = shutil.which("newman")
    if program is None:
        return None
    body = {"mode": "raw", "raw": json.dumps({**APP, "refreshToken": "{{refreshToken}}"})}
    header = [{"key": "Authorization", "value": "Bearer benchmark"}]
    header += [{"key": "Content-Type", "value": "application/json"}]
    request = {"method": "POST", "url": url + PATH.format("{{leafUserId}}"), "header": header, "body": body}
    schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    collection = file.with_suffix(".json")
    items = [{"name": "onboard", "request": request}]
    collection.write_text(json.dumps({"info": {"name": "growers", "schema": schema}, "item": items}))
    return _timed([program, "run", str(collection), "--iteration-data", str(file), "--silent"])


def _timed(command: list[str]) -> Spent:
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, spent = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {process.returncode}")
    return Spent(seconds, spent.ru_utime + spent.ru_stime)


if __name__ == "__main__":
    asked, where, to, how_many = sys.argv[1:]
    loop = {"bare": bare_loop, "gather": naive_gather}[asked]
    uvloop.run(loop(Path(where), to, int(how_many)))
