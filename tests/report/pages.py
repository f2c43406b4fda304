"""Manifests, entries and runs to report on."""

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from bulk_onboard import manifest
from bulk_onboard.facts import RunInfo
from bulk_onboard.model import Requests

STARTED = datetime(2026, 11, 23, 15, 45, tzinfo=UTC)


def grower(number: int) -> str:
    """The same id for the same row, in every test."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(number)))


def print_of(number: int) -> str:
    """A fingerprint, 64 hex digits."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def manifest_of(statuses: Sequence[str], first: int = 2, **columns: Any) -> pd.DataFrame:
    """One line per status; ``columns`` sets others, a text for all rows or one for each."""
    rows = range(first, first + len(statuses))
    frame = pd.DataFrame(
        {
            "row": pd.Series(list(rows), dtype="int64"),
            "leafUserId": [grower(row) for row in rows],
            "fingerprint": [print_of(row) for row in rows],
            "status": list(statuses),
            "code": "",
            "message": "",
            "health": "",
            "credentialId": "",
        }
    )
    for name, value in columns.items():
        frame[name] = value
    kept = [name for name in frame if name not in manifest.COLUMNS]
    texts = [name for name in frame if name != "row"]
    packed = frame.rename(columns={name: f"{manifest.KEPT_PREFIX}{name}" for name in kept})
    names = [f"{manifest.KEPT_PREFIX}{name}" if name in kept else name for name in texts]
    return manifest.unpack(manifest.pack(packed.astype(dict.fromkeys(names, "str"))))


def run_of(rows: int, **fields: Any) -> RunInfo:
    """A run of ten seconds that read so many rows."""
    told: dict[str, Any] = {
        "run_id": "20261123T154500Z-growers",
        "provider": "raven",
        "input": "growers.csv",
        "leaf": "https://leaf.example",
        "owner": "owner@example.com",
        "started_at": STARTED,
        "finished_at": STARTED + timedelta(seconds=10),
        "rows": rows,
        "ceiling": 10.0,
        "requests": Requests(get=50, post=40, delete=0, throttled=2),
    }
    return RunInfo(**(told | fields))
