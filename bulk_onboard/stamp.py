"""Times as text: UTC, ISO 8601, milliseconds, so that text order is time order."""

from __future__ import annotations

from datetime import UTC, datetime


def to_text(moment: datetime | None) -> str:
    """E.g. ``2026-11-24T02:03:04.123Z``; "" for None."""
    if moment is None:
        return ""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def from_text(text: str) -> datetime | None:
    """The moment that `to_text` wrote; None for ""."""
    return datetime.fromisoformat(text) if text else None
