"""Whether a file is what was expected of it: enough rows, not too many new growers. Pure."""

from __future__ import annotations

from bulk_onboard.settings import Safety


def too_few(name: str, rows: int, safety: Safety) -> str | None:
    """The reason to refuse a file with too few rows, or None."""
    if rows >= safety.min_rows:
        return None
    return (
        f"{name} has {_rows(rows)}, but --min-rows expects {safety.min_rows:,} or more. Nothing was sent."
        " If the export is complete, run again with a lower --min-rows"
    )


def too_many_new(name: str, new: int, rows: int, safety: Safety) -> str | None:
    """The reason to refuse a file with too many growers that are not in the ledger, or None."""
    limit = safety.max_new
    if limit is None or not limit.passed(new, rows):
        return None
    allowed = f"{limit.count:,}" if limit.count is not None else f"{(limit.share or 0) * 100:g}%"
    return (
        f"{name}: {new:,} of {_rows(rows)} are of growers that are not in the ledger, but --max-new allows"
        f" {allowed}. Nothing was sent. If they are new growers, run again with a higher --max-new"
    )


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
