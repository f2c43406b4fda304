"""Made-up growers in files of any length, and the command that onboards them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Any

import pandas as pd

from tests.benchmarks.server import ROOT

HEADER = "leafUserId,refreshToken\n"
TOKEN = "benchmark"
APP_FIELDS = {"clientId": "benchmark", "clientSecret": "benchmark"}


def write_csv(path: Path, rows: int, seed: int = 1) -> Path:
    """So many growers with tokens of a usual length."""
    draw = Random(seed)
    with path.open("w") as file:
        file.write(HEADER)
        for start in range(0, rows, 10_000):
            count = min(10_000, rows - start)
            file.write("".join(f"{_id(draw)},{draw.randbytes(24).hex()}\n" for _ in range(count)))
    return path


def write_parquet(path: Path, rows: int, seed: int = 1) -> Path:
    """The same as Parquet, in one row group: the most that a reader could hold at once."""
    csv = write_csv(path.with_suffix(".csv"), rows, seed)
    pd.read_csv(csv, dtype=str).to_parquet(path, row_group_size=rows)
    return path


def _id(draw: Random) -> uuid.UUID:
    return uuid.UUID(int=draw.getrandbits(128), version=4)


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended: wall and CPU seconds, peak resident memory in MiB, and its summary."""

    seconds: float
    cpu: float
    peak: float
    exit_code: int
    summary: dict[str, Any]


def command(
    *arguments: str,
    url: str = "",
    folder: Path | None = None,
    token: str = TOKEN,
    cores: int | None = None,
) -> Ran:
    """Run bulk-onboard as a process of its own and measure it. ``cores``: how many it may use; None: all."""
    environment = {**os.environ, "LEAF_BASE_URL": url, "LEAF_TOKEN": token}
    environment |= {
        "RAVEN_CLIENT_ID": APP_FIELDS["clientId"],
        "RAVEN_CLIENT_SECRET": APP_FIELDS["clientSecret"],
    }
    with TemporaryFile() as out, TemporaryFile() as err, NamedTemporaryFile() as report:
        weighed = [sys.executable, "-m", "tests.benchmarks.weigh", report.name, str(cores or 0)]
        subprocess.run(
            [*weighed, sys.executable, "-m", "bulk_onboard", *arguments],
            cwd=folder or ROOT,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=err,
            check=True,
        )
        out.seek(0), err.seek(0)
        found = json.load(report)
        if found["exit_code"] not in {0, 1}:
            raise RuntimeError(f"exit {found['exit_code']}: {err.read().decode()[-2000:]}")
        return Ran(**found, summary=json.load(out) if "--json" in arguments else {})


def run(file: Path, url: str, folder: Path, *more: str, token: str = TOKEN, cores: int | None = None) -> Ran:
    """Onboard a file, with a ledger and reports in the folder."""
    said = ("run", str(file), "--json", "-q", "--output", str(folder), *more)
    return command(*said, url=url, token=token, cores=cores)
