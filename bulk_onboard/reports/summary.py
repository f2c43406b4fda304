"""The summary of a run: summary.json for programs, and the closing text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bulk_onboard.domain.codes import hint, lookup
from bulk_onboard.domain.entry import LeftGrower
from bulk_onboard.domain.model import DRY_RUN_STATUSES, Status
from bulk_onboard.domain.run_events import LEFT_WITHOUT_HINT, Cause, Estimate, RunInfo, RunKind
from bulk_onboard.domain.timestamps import from_text, to_text
from bulk_onboard.domain.users import UserOrigin
from bulk_onboard.errors import ExitCode
from bulk_onboard.reports.advice import advice
from bulk_onboard.reports.counts import OFF_PLAN, ROTATED, Counts, exit_code
from bulk_onboard.reports.formatting import (
    duration,
    growers,
    listed,
    number,
    row_numbers,
    rows,
    status,
    times,
    wrapped,
)
from bulk_onboard.reports.sanitize import plain

# More causes than this are not listed; the rest is in the results.
SHOWN = 10


def summary(info: RunInfo, counts: Counts, users: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return the content of summary.json.

    ``users``: how many Leaf users the run created and found, by `UserOrigin`.
    """
    return {
        "runId": info.run_id,
        "provider": info.provider,
        "input": info.description.as_json() if info.description else {"name": info.input},
        "rows": info.rows,
        "counts": dict(counts.statuses),
        "health": dict(counts.health),
        "causes": [asdict(cause) | {"rows": list(cause.rows)} for cause in (*counts.causes, *counts.notes)],
        **sent(info),
        "exitCode": int(exit_code(counts, info)),
        "stopReason": info.stop_reason,
        "providers": {name: dict(statuses) for name, statuses in counts.providers.items()},
        "environment": dict(info.environments),
        "users": {origin.value: (users or {}).get(origin, 0) for origin in UserOrigin},
        "earlierChecks": {"count": counts.checked_earlier, "oldest": counts.oldest_check or None},
        "leftWithout": [grower._asdict() for grower in counts.left_without],
        "waiting": [
            {"code": cause.code, "count": cause.count, "rows": list(cause.rows)}
            for cause in counts.waiting_for
        ],
    } | dict(_occasional(info, counts))


def sent(info: RunInfo) -> dict[str, Any]:
    """Return what a run or rollback sent, how fast and when, for its summary."""
    seconds, requests = seconds_of(info), info.requests
    return {
        "requests": {"total": requests.total} | asdict(requests),
        "rate": {
            "ceiling": info.ceiling or None,
            "achieved": round(requests.total / seconds, 1) if seconds else 0.0,
        },
        "startedAt": to_text(info.started_at),
        "finishedAt": to_text(info.finished_at) or None,
        "seconds": round(seconds, 1),
    }


def _occasional(info: RunInfo, counts: Counts) -> Iterator[tuple[str, Any]]:
    """The keys of a dry run, of a run that carried out a plan, and of a run that was rolled back."""
    if counts.rolled_back:
        yield "rolledBack", {"growers": counts.rolled_back, "runs": list(counts.rollbacks)}
    if info.kind is RunKind.DRY_RUN:
        possible = {status: counts.statuses.get(status, 0) for status in DRY_RUN_STATUSES}
        yield "counts", {**counts.statuses, **possible}
        yield "forecast", _as_json(info.forecast) if info.forecast else None
    if info.plan is not None:
        outdated, left_out = (counts.off_plan[code] for code in OFF_PLAN)
        yield "plan", {"name": info.plan, "outdated": outdated, "notInPlan": left_out}


def _as_json(known: Estimate) -> dict[str, Any]:
    requests = {"total": known.total, "get": known.get, "post": known.post, "delete": known.delete}
    return {"requests": requests, "seconds": known.seconds, "users": known.users}


def words(
    info: RunInfo,
    counts: Counts,
    files: Sequence[Path],
    width: int = 80,
    *,
    users: Mapping[str, int] | None = None,
) -> str:
    """Return the closing text: whether it worked, what needs attention, and what to do next."""
    code = exit_code(counts, info)
    paragraphs: list[list[str]] = [
        wrapped(verdict(info, counts, code), width),
        [line for part in _numbers(info, counts, users or {}) for line in wrapped(part, width, "  ")],
        list(without_credentials(counts.left_without, width)),
        list(_causes(counts, width)),
        list(_notes(counts, width)),
        list(_places(files)),
        list(_next_steps(info, counts, code, width)),
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)


def seconds_of(info: RunInfo) -> float:
    """Return how long a run took, in seconds.

    Computed from times as the ledger stores them, so that a report that is written again says the same.
    """
    begun, ended = from_text(to_text(info.started_at)), from_text(to_text(info.finished_at))
    return max(0.0, (ended - begun).total_seconds()) if begun and ended else 0.0


# --- did it work ------------------------------------------------------------------------------------


def verdict(info: RunInfo, counts: Counts, code: ExitCode) -> str:
    """Return a sentence or two: did it work, and if not, why not. ``code``: how the run ended."""
    said = _verdict(info, counts, code)
    if not counts.rolled_back:
        return said
    deleted = f"the credentials of {growers(counts.rolled_back)} were deleted ({', '.join(counts.rollbacks)})"
    return f"Rolled back: {deleted}. Before that: {said}"


def _verdict(info: RunInfo, counts: Counts, code: ExitCode) -> str:
    if info.kind is RunKind.DRY_RUN and code in {ExitCode.OK, ExitCode.ATTENTION}:
        return _dry_run_verdict(counts)
    match code:
        case ExitCode.OK:
            return _all_well(counts) + _as_of(counts) + _rotated(counts)
        case ExitCode.BUG:
            return (
                f"This is a bug in bulk-onboard: {info.rows:,} rows were read, but the report counts"
                f" {sum(counts.statuses.values()):,}. Please report it; running again is safe."
            )
        case ExitCode.INTERRUPTED:
            return f"Interrupted: {_so_far(counts)}.{_rotated(counts)}"
        case ExitCode.ATTENTION:
            return f"{_so_far(counts)}, {_attention(counts)}.{_as_of(counts)}{_rotated(counts)}"
        case _:
            return f"Stopped: {(info.stop_reason or code.meaning).rstrip('.')}. {_so_far(counts)}."


def _all_well(counts: Counts) -> str:
    repeats = counts.statuses[Status.DUPLICATE]
    total = counts.growers
    more = f" {rows(repeats)} only repeated an earlier one." if repeats else ""
    if counts.unchecked == total:
        stored = "The one grower has" if total == 1 else f"All {total:,} growers have"
        return f"{stored} credentials at Leaf; whether they work was not checked.{more}"
    if counts.waiting or counts.unchecked:
        return f"{_so_far(counts)}.{more}"
    if total == 1:
        return f"The one grower is connected.{more}"
    return f"All {total:,} growers are connected.{more}"


def _as_of(counts: Counts) -> str:
    """Growers that only earlier runs checked."""
    if not counts.checked_earlier:
        return ""
    was = "was" if counts.checked_earlier == 1 else "were"
    return (
        f" {growers(counts.checked_earlier)} {was} last checked by earlier runs, since {counts.oldest_check}."
    )


def _rotated(counts: Counts) -> str:
    """Return the sentence about tokens that Leaf has refreshed: not a reason to act, but always reported."""
    count = counts.noted(ROTATED)
    return f" Leaf holds another token than the file for {growers(count)} ({ROTATED})." if count else ""


def _dry_run_verdict(counts: Counts) -> str:
    statuses = counts.statuses
    parts = [f"{growers(statuses.get(Status.WOULD_CREATE, 0))} would be connected"]
    if replaced := statuses.get(Status.WOULD_REPLACE, 0):
        healthy = counts.noted("replaces-healthy")
        at_stake = f" ({healthy:,} of them healthy)" if healthy else ""
        parts.append(f"{replaced:,} would get new credentials{at_stake}")
    parts.append(f"{statuses[Status.EXISTING]:,} are connected already")
    if counts.attention or counts.left_without:
        parts.append(_attention(counts))
    return f"Dry run: nothing was changed. {', '.join(parts)}.{_rotated(counts)}"


def _so_far(counts: Counts) -> str:
    connected, total = counts.connected, counts.growers
    are = "is" if total == 1 else "are"
    waiting = f", {counts.waiting:,} not confirmed yet" if counts.waiting else ""
    unchecked = f", {counts.unchecked:,} stored but not checked" if counts.unchecked else ""
    return f"{connected:,} of {growers(total)} {are} connected{waiting}{unchecked}"


def _attention(counts: Counts) -> str:
    parts = []
    if counts.attention or not counts.left_without:
        parts.append(f"{rows(counts.attention)} need{'s' if counts.attention == 1 else ''} attention")
    if left_count := len(counts.left_without):
        parts.append(f"{growers(left_count)} may have been left without credentials")
    return ", and ".join(parts)


# --- the numbers ------------------------------------------------------------------------------------


def _numbers(info: RunInfo, counts: Counts, users: Mapping[str, int]) -> Iterator[str]:
    yield f"Rows:     {listed(counts.statuses)}"
    if len(counts.providers) > 1:
        for name, statuses in counts.providers.items():
            yield f"  {name or 'of no provider'}: {listed(statuses)}"
    if info.environments:
        environments = ", ".join(f"{count:,} {name}" for name, count in sorted(info.environments.items()))
        yield f"For environment: {environments}"
    if users:
        yield f"Users:    {listed(users)}"
    if any(counts.health.values()):
        yield f"Health:   {listed(counts.health)}"
    for cause in counts.waiting_for:
        yield f"Waiting:  {cause.count:,} {cause.code or 'pending'}: {row_numbers(cause)}"
    requests = info.requests
    sent = f"{requests.total:,} to Leaf"
    if (seconds := seconds_of(info)) and requests.total:
        sent += f" in {duration(seconds)}, {requests.total / seconds:,.1f} per second"
    if requests.throttled:
        sent += f"; Leaf asked to slow down {times(requests.throttled)}"
    yield f"Requests: {sent}"
    if info.forecast:
        yield f"A run:    {_taking(info.forecast, info.ceiling)}"
    if counts.off_plan:
        yield f"Plan:     {', '.join(f'{n:,} {code}' for code, n in counts.off_plan.items())} ({info.plan})"


def _taking(known: Estimate, ceiling: float) -> str:
    kinds = {"GET": known.get, "POST": known.post, "DELETE": known.delete}
    listed = ", ".join(f"{count:,} {name}" for name, count in kinds.items() if count)
    takes = f"would take about {known.total:,} requests{f' ({listed})' if listed else ''}"
    if known.users:
        takes += f", create {known.users:,} Leaf user{'' if known.users == 1 else 's'}"
    if known.seconds is None:
        return takes
    return f"{takes}, {duration(known.seconds)} at {number(ceiling)} per second"


# --- what needs attention ---------------------------------------------------------------------------


def without_credentials(left_growers: Sequence[LeftGrower], width: int) -> Iterator[str]:
    """The growers that interrupted replacements left without credentials, and what to do about them."""
    if not left_growers:
        return
    said = (
        f"{growers(len(left_growers))} may have been left without credentials by an interrupted replacement:"
    )
    yield from wrapped(said, width)
    for grower in left_growers[:SHOWN]:
        yield f"  {plain(grower.leaf_user_id)} ({grower.provider}, run {grower.run_id})"
    if len(left_growers) > SHOWN:
        yield f"  and {len(left_growers) - SHOWN:,} more"
    yield from wrapped(f"-> {LEFT_WITHOUT_HINT}", width, "      ")


def _causes(counts: Counts, width: int) -> Iterator[str]:
    if not counts.causes:
        return
    yield "What needs attention:"
    for cause in counts.causes[:SHOWN]:
        yield from _cause(cause, width)
    if rest := counts.causes[SHOWN:]:
        others = rows(sum(cause.count for cause in rest))
        yield from wrapped(f"and {others} for {len(rest)} other reasons, in the results", width, "  ")


def _notes(counts: Counts, width: int) -> Iterator[str]:
    if counts.notes:
        yield "For information:"
    for cause in counts.notes:
        yield from _cause(cause, width)
        if known := lookup(cause.code):
            yield from wrapped(known.meaning, width, "      ")


def _cause(cause: Cause, width: int) -> Iterator[str]:
    code = f" ({plain(cause.code)})" if cause.code else ""
    yield from wrapped(f"{rows(cause.count)} {status(cause.status)}{code}: {row_numbers(cause)}", width, "  ")
    if cause.message:
        # One row's message need not be true of the others, but it shows what it is about.
        example = f"row {cause.rows[0]}: " if cause.count > 1 and cause.rows else ""
        yield from wrapped(example + plain(cause.message), width, "      ")
    if action := hint(cause.code or cause.status):
        yield from wrapped(f"-> {action}", width, "      ")


# --- where, and what next ---------------------------------------------------------------------------


def _places(files: Sequence[Path]) -> Iterator[str]:
    """Paths stay on one line, so that they can be copied; the page comes first."""
    if files:
        yield "Written:"
    for file in sorted(files, key=lambda file: file.suffix != ".html"):
        yield f"  {plain(str(file))}"


def _next_steps(info: RunInfo, counts: Counts, code: ExitCode, width: int) -> Iterator[str]:
    lead = "" if code is ExitCode.OK else "Next: "
    for text, command in advice(info, counts, code):
        yield from wrapped(f"{lead}{text[0].lower() if lead else text[0]}{text[1:]}", width)
        if command:
            # A command stays on one line: it is there to be copied.
            yield f"  {command}"
        lead = ""
