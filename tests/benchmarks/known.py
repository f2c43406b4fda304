"""A ledger that knows the growers of a file already, as if an earlier run had connected and checked them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Health, Secret, Status
from bulk_onboard.domain.providers import ENVIRONMENT
from bulk_onboard.domain.run_events import RunInfo
from bulk_onboard.domain.timestamps import to_text, utc_now
from bulk_onboard.leaf.auth import owner_of
from bulk_onboard.ledger import Ledger
from bulk_onboard.settings import Login
from bulk_onboard.validation.fingerprints import Fingerprints
from tests.benchmarks.cohort import APP_FIELDS, TOKEN

_ROWS_AT_A_TIME = 50_000


def write_known_growers(file: Path, url: str, folder: Path) -> Path:
    """Write the ledger of the folder: a run at this address has created all growers of the CSV file."""
    folder.mkdir(parents=True, exist_ok=True)
    with Ledger(folder / "ledger.sqlite3") as ledger:
        prints, now = Fingerprints(ledger.key), to_text(utc_now())
        app = prints.of_entry(APP_FIELDS, ENVIRONMENT)
        owner = owner_of(Login(token=Secret(TOKEN)), ledger.key)
        scope = ledger.scope(url, owner, "raven")
        info = RunInfo("20260101T000000Z-known", "raven", file.name, url, owner, utc_now())
        run_no, first = ledger.begin(info, scope, "benchmark"), 2
        for cells in pd.read_csv(file, dtype=str, chunksize=_ROWS_AT_A_TIME):
            tokens = prints.of_columns([pa.array(cells["refreshToken"], pa.large_string())])
            entries = (
                Entry(
                    row,
                    Status.CREATED.value,
                    grower,
                    np.ascontiguousarray(words).tobytes().hex(),
                    credential_id=grower,
                    health=Health.HEALTHY.value,
                    health_checked_at=now,
                    app=app,
                    started_at=now,
                    finished_at=now,
                )
                for row, grower, words in zip(
                    range(first, first + len(cells)), cells["leafUserId"], tokens, strict=True
                )
            )
            ledger.write(run_no, scope, (), entries)
            first += len(cells)
    return folder
