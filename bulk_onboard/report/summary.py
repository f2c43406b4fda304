"""A run in short: for programs (summary.json) and for people (the closing text)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bulk_onboard.codes import hint
from bulk_onboard.errors import ExitCode
from bulk_onboard.facts import Cause, RunInfo
from bulk_onboard.model import Health, Status
from bulk_onboard.report.safe import plain
from bulk_onboard.report.tally import Tally, exit_code
from bulk_onboard.stamp import from_text, to_text

# So many causes are told; the rest is in the results.
SHOWN = 10


def summary(info: RunInfo, tally: Tally) -> dict[str, Any]:
    """What summary.json holds."""
    seconds = _seconds(info)
    requests = info.requests
    return {
        "runId": info.run_id,
        "provider": info.provider,
        "input": info.input,
        "rows": info.rows,
        "counts": dict(tally.counts),
        "health": dict(tally.health),
        "requests": {"total": requests.total} | asdict(requests),
        "rate": {
            "ceiling": info.ceiling or None,
            "achieved": round(requests.total / seconds, 1) if seconds else 0.0,
        },
        "startedAt": to_text(info.started_at),
        "finishedAt": to_text(info.finished_at) or None,
        "seconds": round(seconds, 1),
        "exitCode": int(exit_code(tally, info)),
        "stopReason": info.stop_reason,
    }


def words(info: RunInfo, tally: Tally, files: Sequence[Path], width: int = 80) -> str:
    """The closing text, for somebody who has never seen this tool: did it work, what is wrong, what now."""
    code = exit_code(tally, info)
    paragraphs: list[list[str]] = [
        _wrapped(_verdict(info, tally, code), width),
        [line for part in _numbers(info, tally) for line in _wrapped(part, width, "  ")],
        list(_causes(tally, width)),
        list(_places(files)),
        list(_next_steps(info, tally, code, width)),
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)


def _seconds(info: RunInfo) -> float:
    """To the millisecond, as the ledger keeps times: a report written again has to say the same."""
    begun, ended = from_text(to_text(info.started_at)), from_text(to_text(info.finished_at))
    return max(0.0, (ended - begun).total_seconds()) if begun and ended else 0.0


# --- did it work ------------------------------------------------------------------------------------


def _verdict(info: RunInfo, tally: Tally, code: ExitCode) -> str:
    match code:
        case ExitCode.OK:
            return _all_well(tally)
        case ExitCode.BUG:
            return (
                f"This is a bug in bulk-onboard: {info.rows:,} rows were read, but the report counts"
                f" {sum(tally.counts.values()):,}. Please report it; running again is safe."
            )
        case ExitCode.INTERRUPTED:
            return f"Interrupted: {_so_far(tally)}."
        case ExitCode.ATTENTION:
            return f"{_so_far(tally)}, {_attention(tally)}."
        case _:
            return f"Stopped: {(info.stop_reason or code.meaning).rstrip('.')}. {_so_far(tally)}."


def _all_well(tally: Tally) -> str:
    repeats = tally.counts[Status.DUPLICATE]
    total = tally.rows - repeats
    more = f" {_rows(repeats)} only repeated an earlier one." if repeats else ""
    if total == 1:
        return f"The one grower is connected.{more}"
    return f"All {total:,} growers are connected.{more}"


def _so_far(tally: Tally) -> str:
    """How many growers are connected and not known to be unhealthy."""
    counts = tally.counts
    total = tally.rows - counts[Status.DUPLICATE]
    unhealthy = sum(cause.count for cause in tally.causes if cause.status == Health.UNHEALTHY)
    connected = counts[Status.CREATED] + counts[Status.EXISTING] - unhealthy
    are = "is" if total == 1 else "are"
    return f"{connected:,} of {_of(total)} {are} connected"


def _attention(tally: Tally) -> str:
    return f"{_rows(tally.attention)} need{'s' if tally.attention == 1 else ''} attention"


# --- the numbers ------------------------------------------------------------------------------------


def _numbers(info: RunInfo, tally: Tally) -> Iterator[str]:
    yield f"Rows:     {_listed(tally.counts)}"
    if any(tally.health.values()):
        yield f"Health:   {_listed(tally.health)}"
    requests = info.requests
    sent = f"{requests.total:,} to Leaf"
    if (seconds := _seconds(info)) and requests.total:
        sent += f" in {_length(seconds)}, {requests.total / seconds:,.1f} per second"
    if requests.throttled:
        sent += f"; Leaf asked to slow down {_times(requests.throttled)}"
    yield f"Requests: {sent}"


def _listed(counts: Any) -> str:
    found = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    return ", ".join(found) or "none"


# --- what needs attention ---------------------------------------------------------------------------


def _causes(tally: Tally, width: int) -> Iterator[str]:
    if not tally.causes:
        return
    yield "What needs attention:"
    for cause in tally.causes[:SHOWN]:
        yield from _cause(cause, width)
    if rest := tally.causes[SHOWN:]:
        yield from _wrapped(
            f"and {_rows(sum(cause.count for cause in rest))} for {len(rest)} other reasons, in the results",
            width,
            "  ",
        )


def _cause(cause: Cause, width: int) -> Iterator[str]:
    code = f" ({plain(cause.code)})" if cause.code else ""
    status = cause.status.replace("_", " ")
    yield from _wrapped(f"{_rows(cause.count)} {status}{code}: {_row_numbers(cause)}", width, "  ")
    if cause.message:
        yield from _wrapped(plain(cause.message), width, "      ")
    if action := hint(cause.code or cause.status):
        yield from _wrapped(f"-> {action}", width, "      ")


def _row_numbers(cause: Cause) -> str:
    more = ", ..." if cause.count > len(cause.rows) else ""
    return f"row{'' if cause.count == 1 else 's'} {', '.join(str(row) for row in cause.rows)}{more}"


# --- where, and what next ---------------------------------------------------------------------------


def _places(files: Sequence[Path]) -> Iterator[str]:
    """Paths stay whole, however long: they are there to be copied."""
    if files:
        yield "Written:"
    for file in files:
        yield f"  {plain(str(file))}"


def _next_steps(info: RunInfo, tally: Tally, code: ExitCode, width: int) -> Iterator[str]:
    pending = tally.health[Health.PENDING]
    if code is not ExitCode.OK:
        yield from _wrapped(f"Next: {_what_to_do(code)}", width)
    if pending:
        have = "has" if pending == 1 else "have"
        yield from _wrapped(
            f"{_rows(pending)} {have} no answer of the provider yet. Check again later:", width
        )
        # A command stays on one line: it is there to be copied.
        yield f"  bulk-onboard events {info.run_id}"
    if code is ExitCode.OK and not pending:
        yield "Nothing is left to do."


def _what_to_do(code: ExitCode) -> str:
    match code:
        case ExitCode.INTERRUPTED:
            return "run the same command again; it does only what is left."
        case ExitCode.LOGIN:
            return "correct LEAF_TOKEN, or LEAF_USERNAME and LEAF_PASSWORD, and run the same command again."
        case ExitCode.ATTENTION:
            return "correct these rows in the file and run the same command again; it does only what is left."
        case ExitCode.BUG:
            return "keep the ledger and the files; they help to find the bug."
        case _:
            return "put right what stopped it, and run the same command again; it does only what is left."


# --- pieces -----------------------------------------------------------------------------------------


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        plain(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent + ("  " if indent else ""),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _of(growers: int) -> str:
    return f"{growers:,} grower{'' if growers == 1 else 's'}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _length(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
