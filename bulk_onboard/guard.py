"""Whether a file is what was expected of it: enough rows, not too many new growers. Pure."""

from __future__ import annotations

from bulk_onboard.settings import Safety


def too_few(name: str, rows: int, safety: Safety) -> str | None:
    """Why a file with so many rows is refused; None if it is not."""
    if rows >= safety.min_rows:
        return None
    return (
        f"{name} has {_rows(rows)}, but --min-rows expects {safety.min_rows:,} or more. Nothing was sent."
        " Is the export whole? If it is, run again with a lower --min-rows"
    )


def too_many_new(name: str, new: int, rows: int, safety: Safety) -> str | None:
    """Why a file is refused of whose rows so many are of growers never met before; None if it is not."""
    limit = safety.max_new
    if limit is None or not limit.passed(new, rows):
        return None
    allowed = f"{limit.count:,}" if limit.count is not None else f"{(limit.share or 0) * 100:g}%"
    return (
        f"{name}: {new:,} of {_rows(rows)} are of growers that the ledger has never met, but --max-new allows"
        f" {allowed}. Nothing was sent. If they are meant to be new, run again with a higher --max-new"
    )


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
