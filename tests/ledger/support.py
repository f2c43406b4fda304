"""What the tests of the ledger share."""

from __future__ import annotations

from datetime import UTC, datetime

from bulk_onboard.entry import Entry
from bulk_onboard.facts import RunInfo
from bulk_onboard.ledger import Ledger

LEAF = "https://api.withleaf.io"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = "2026-11-23T12:00:00.000Z"


def info(run_id: str = "r-1", leaf: str = LEAF, provider: str = "raven") -> RunInfo:
    """A run that begins."""
    return RunInfo(run_id, provider, "growers.csv", leaf, "owner@example.com", NOW)


def begin(ledger: Ledger, run_id: str = "r-1", leaf: str = LEAF, provider: str = "raven") -> tuple[int, int]:
    """A run on the ledger: its number and its scope."""
    scope = ledger.scope(leaf, provider)
    return ledger.begin(info(run_id, leaf, provider), scope, "process 1 on here"), scope


def intent(row: int, grower: str, fingerprint: str = "fp") -> Entry:
    """A POST that is about to be sent."""
    return Entry(row, None, grower, fingerprint, attempts=1, intended_at=AT, provider="raven")


def outcome(row: int, grower: str, status: str = "created", fingerprint: str = "fp") -> Entry:
    """What came of a row."""
    return Entry(
        row, status, grower, fingerprint, attempts=1, intended_at=AT, finished_at=AT, provider="raven"
    )
