"""Text for people: numbers, durations, plurals, lists, tables and paragraphs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence

# Escape sequences as a whole (colours, window titles), then every other control character, the line
# separators of Unicode and the marks that turn the direction of text around, but not "\n". In the syntax of
# RE2, which DuckDB works with.
UNWANTED = (
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)"
    r"|[\x00-\x09\x0b-\x1f\x7f-\x9f\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}]"
)
_PLAIN = re.compile(re.sub(r"\\x\{(\w+)\}", r"\\u\1", UNWANTED) + "|\n")


def plain(text: str) -> str:
    """Return one text in one line without control characters."""
    return _PLAIN.sub(" ", text)


def counted(count: int, noun: str) -> str:
    """Return ``1 attempt``, ``1,200 attempts``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def n_rows(count: int) -> str:
    """Return ``1 row``, ``1,200 rows``."""
    return counted(count, "row")


def n_growers(count: int) -> str:
    """Return ``1 grower``, ``1,200 growers``."""
    return counted(count, "grower")


def times(count: int) -> str:
    """Return ``once``, ``1,200 times``."""
    return "once" if count == 1 else f"{count:,} times"


def number(value: float) -> str:
    """Return a number without insignificant digits: ``1,200``, ``10``, ``2.5``, ``0.02``."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"


def duration(seconds: float) -> str:
    """Return ``20 ms``, ``2.5 s``, ``40 s``, ``1 min 33 s``, ``5 min``, ``2 h 10 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    if seconds < 10:
        return f"{number(round(seconds, 1))} s"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    parts = {"h": hours, "min": minutes, "s": 0 if hours else whole % 60}
    return " ".join(f"{value} {unit}" for unit, value in parts.items() if value)


def words_of(status: str) -> str:
    """Return a status as words: ``not attempted``."""
    return status.replace("_", " ")


def with_code(status: str, code: str) -> str:
    """Return ``failed (server-error)``, or the status alone without a code."""
    return f"{words_of(status)} ({plain(code)})" if code else words_of(status)


def counts_by(counts: Mapping[str, int]) -> str:
    """Return ``3 created, 1 not attempted``, without counts that are 0; ``none`` if all are."""
    parts = [f"{count:,} {words_of(name)}" for name, count in counts.items() if count]
    return ", ".join(parts) or "none"


def row_numbers(rows: Sequence[int], count: int) -> str:
    """Return ``row 3``, or ``rows 3, 7, …`` if there are more (``count``) than the given ones."""
    more = ", …" if count > len(rows) else ""
    return f"row{'' if count == 1 else 's'} {', '.join(map(str, rows))}{more}"


def wrapped(text: str, width: int = 80, indent: int = 0, hang: int = 0) -> list[str]:
    """Return the lines of a text, no wider than ``width``; words stay whole.

    ``indent``: spaces before each line; ``hang``: more spaces before all lines but the first.
    """
    return textwrap.wrap(
        plain(text),
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
    )


def labelled(pairs: Sequence[tuple[str, str]], width: int = 80) -> str:
    """Return a label and a text per line, the texts aligned."""
    margin = max(len(label) for label, _ in pairs) + 4
    return "\n".join(
        line
        for label, text in pairs
        for line in wrapped(f"{f'{label}: ':<{margin - 2}}{text}", width, indent=2, hang=margin - 2)
    )


def table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return rows of cells as aligned lines: the first ``left`` columns to the left, others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
