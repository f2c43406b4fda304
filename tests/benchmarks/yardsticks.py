"""What a user would write instead: measured beside the tool, in the same run."""

from __future__ import annotations

import asyncio
import csv
import subprocess
import sys
import time
from pathlib import Path

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


def timed(name: str, file: Path, url: str, connections: int) -> float:
    """Wall seconds of one of these, start-up included, in a process of its own as a user would run it."""
    command = [sys.executable, "-m", "tests.benchmarks.yardsticks", name, str(file), url, str(connections)]
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    asked, where, to, how_many = sys.argv[1:]
    loop = {"bare": bare_loop, "gather": naive_gather}[asked]
    uvloop.run(loop(Path(where), to, int(how_many)))
