"""Numbers, durations, counts and paragraphs as text for people."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from bulk_onboard.domain.run_events import Cause
from bulk_onboard.reports.sanitize import plain


def rows(count: int) -> str:
    """``1 row``, ``1,200 rows``."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def growers(count: int) -> str:
    """``1 grower``, ``1,200 growers``."""
    return f"{count:,} grower{'' if count == 1 else 's'}"


def times(count: int) -> str:
    """``once``, ``1,200 times``."""
    return "once" if count == 1 else f"{count:,} times"


def number(value: float) -> str:
    """A number without digits that say nothing: ``1,200``, ``10``, ``2.5``, ``0.02``."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"


def duration(seconds: float) -> str:
    """``40.0 s``, ``5 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def moment(seconds: float) -> str:
    """How far into a run: ``40 s``, ``5:00 min``, ``2:10:00 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02} h" if hours else f"{rest // 60}:{rest % 60:02} min"


def milliseconds(value: float) -> str:
    """``20 ms``, ``1.5 s``."""
    return f"{number(value)} ms" if value < 1000 else f"{number(value / 1000)} s"


def span(since: float, until: float) -> str:
    """Return a range of milliseconds as text: ``under 1 ms``, ``10 to 20 ms``, ``over 50 s``."""
    if not since:
        return f"under {milliseconds(until)}"
    if until == float("inf"):
        return f"over {milliseconds(since)}"
    unit, scale = ("ms", 1) if until < 1000 else ("s", 1000)
    return f"{number(since / scale)} to {number(until / scale)} {unit}"


def status(word: str) -> str:
    """``not attempted``."""
    return word.replace("_", " ")


def listed(counts: Mapping[str, int]) -> str:
    """``3 created, 1 not attempted``: counts without those that are 0."""
    parts = [f"{count:,} {status(name)}" for name, count in counts.items() if count]
    return ", ".join(parts) or "none"


def row_numbers(cause: Cause) -> str:
    """``row 3``, ``rows 3, 7, 8, ...``."""
    more = ", ..." if cause.count > len(cause.rows) else ""
    return f"row{'' if cause.count == 1 else 's'} {', '.join(map(str, cause.rows))}{more}"


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Return the lines of a text, no wider than that; words stay whole."""
    return textwrap.wrap(
        plain(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent + ("  " if indent else ""),
        break_long_words=False,
        break_on_hyphens=False,
    )
