"""The summary of a run: summary.json for programs, and the final text for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bulk_onboard.domain.codes import hint, lookup
from bulk_onboard.domain.entry import LeftGrower
from bulk_onboard.domain.formatting import (
    counted,
    counts_by,
    duration,
    n_growers,
    n_rows,
    number,
    plain,
    row_numbers,
    times,
    with_code,
    wrapped,
)
from bulk_onboard.domain.model import DRY_RUN_STATUSES, Status
from bulk_onboard.domain.run_events import LEFT_WITHOUT_HINT, Cause, Estimate, RunInfo, RunKind
from bulk_onboard.domain.timestamps import from_text, to_text
from bulk_onboard.domain.users import UserOrigin
from bulk_onboard.errors import ExitCode
from bulk_onboard.reports.advice import advice
from bulk_onboard.reports.counts import OFF_PLAN, ROTATED, Counts, exit_code

# The largest number of causes in the text; the others are in the results.
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
    } | dict(_optional_keys(info, counts))


def sent(info: RunInfo) -> dict[str, Any]:
    """Return the requests, rate and times of a run or rollback for its summary."""
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


def seconds_of(info: RunInfo) -> float:
    """Return how long a run took, in seconds.

    It is computed from the times in the ledger, so that a rewritten report shows the same.
    """
    started, finished = from_text(to_text(info.started_at)), from_text(to_text(info.finished_at))
    return max(0.0, (finished - started).total_seconds()) if started and finished else 0.0


def _optional_keys(info: RunInfo, counts: Counts) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a dry run, of a run that carried out a plan, and of a run that was rolled back."""
    if counts.rolled_back:
        yield "rolledBack", {"growers": counts.rolled_back, "runs": list(counts.rollbacks)}
    if info.kind is RunKind.DRY_RUN:
        yield (
            "counts",
            {**counts.statuses, **{status: counts.statuses.get(status, 0) for status in DRY_RUN_STATUSES}},
        )
        estimate = info.forecast
        requests = {name: getattr(estimate, name) for name in ("total", "get", "post", "delete") if estimate}
        yield (
            "forecast",
            {"requests": requests, "seconds": estimate.seconds, "users": estimate.users}
            if estimate
            else None,
        )
    if info.plan is not None:
        outdated, left_out = (counts.off_plan[code] for code in OFF_PLAN)
        yield "plan", {"name": info.plan, "outdated": outdated, "notInPlan": left_out}


# --- the final text -------------------------------------------------------------------------------


def words(
    info: RunInfo,
    counts: Counts,
    files: Sequence[Path],
    width: int = 80,
    *,
    users: Mapping[str, int] | None = None,
) -> str:
    """Return the final text: whether the run succeeded, what needs attention, and what to do next."""
    code = exit_code(counts, info)
    return paragraphs(
        wrapped(verdict(info, counts, code), width),
        [line for text in _numbers(info, counts, users or {}) for line in wrapped(text, width, 2, 2)],
        without_credentials(counts.left_without, width),
        cause_lines("What needs attention:", counts.causes, width),
        cause_lines("For information:", counts.notes, width, explained=True),
        # The page comes first.
        written(sorted(files, key=lambda file: file.suffix != ".html")),
        _next_steps(info, counts, code, width),
    )


def paragraphs(*parts: Iterable[str]) -> str:
    """Return lines as paragraphs, without empty ones."""
    return "\n\n".join(text for part in parts if (text := "\n".join(part)))


def verdict(info: RunInfo, counts: Counts, code: ExitCode) -> str:
    """Return a sentence or two: whether the run succeeded, and if not, why. ``code``: its exit code."""
    sentence = _verdict(info, counts, code)
    if not counts.rolled_back:
        return sentence
    deleted = (
        f"the credentials of {n_growers(counts.rolled_back)} were deleted ({', '.join(counts.rollbacks)})"
    )
    return f"Rolled back: {deleted}. Before that: {sentence}"


def _verdict(info: RunInfo, counts: Counts, code: ExitCode) -> str:
    if info.kind is RunKind.DRY_RUN and code in {ExitCode.OK, ExitCode.ATTENTION}:
        return _dry_run_verdict(counts)
    match code:
        case ExitCode.OK:
            return _all_connected(counts) + _as_of(counts) + _rotated(counts)
        case ExitCode.BUG:
            return bug(info.rows, sum(counts.statuses.values()))
        case ExitCode.INTERRUPTED:
            return f"Interrupted: {_so_far(counts)}.{_rotated(counts)}"
        case ExitCode.ATTENTION:
            return f"{_so_far(counts)}, {_attention(counts)}.{_as_of(counts)}{_rotated(counts)}"
        case _:
            return f"Stopped: {(info.stop_reason or code.meaning).rstrip('.')}. {_so_far(counts)}."


def bug(read: int, reported: int) -> str:
    """Return the sentence about counts that do not add up."""
    return (
        f"This is a bug in bulk-onboard: {read:,} rows were read, but the report counts {reported:,}. Please"
        " report it; running again is safe."
    )


def _all_connected(counts: Counts) -> str:
    repeats, total = counts.statuses[Status.DUPLICATE], counts.growers
    more = f" {n_rows(repeats)} only repeated an earlier one." if repeats else ""
    if counts.unchecked == total:
        stored = "The one grower has" if total == 1 else f"All {total:,} growers have"
        return f"{stored} credentials at Leaf; whether they work was not checked.{more}"
    if counts.waiting or counts.unchecked:
        return f"{_so_far(counts)}.{more}"
    return f"{'The one grower is' if total == 1 else f'All {total:,} growers are'} connected.{more}"


def _as_of(counts: Counts) -> str:
    """Return the sentence about growers that were checked only by earlier runs."""
    if not (count := counts.checked_earlier):
        return ""
    return (
        f" {n_growers(count)} {'was' if count == 1 else 'were'} last checked by earlier runs, since"
        f" {counts.oldest_check}."
    )


def _rotated(counts: Counts) -> str:
    """Return the sentence about tokens that Leaf has refreshed. It is always shown, but needs no action."""
    count = counts.noted(ROTATED)
    return f" Leaf holds a different token than the file for {n_growers(count)} ({ROTATED})." if count else ""


def _dry_run_verdict(counts: Counts) -> str:
    statuses = counts.statuses
    parts = [f"{n_growers(statuses.get(Status.WOULD_CREATE, 0))} would be connected"]
    if replaced := statuses.get(Status.WOULD_REPLACE, 0):
        healthy = counts.noted("replaces-healthy")
        at_stake = f" ({healthy:,} of them healthy)" if healthy else ""
        parts.append(f"{replaced:,} would get new credentials{at_stake}")
    parts.append(f"{statuses[Status.EXISTING]:,} are connected already")
    if counts.attention or counts.left_without:
        parts.append(_attention(counts))
    return f"Dry run: nothing was changed. {', '.join(parts)}.{_rotated(counts)}"


def _so_far(counts: Counts) -> str:
    are = "is" if counts.growers == 1 else "are"
    waiting = f", {counts.waiting:,} not confirmed yet" if counts.waiting else ""
    unchecked = f", {counts.unchecked:,} stored but not checked" if counts.unchecked else ""
    return f"{counts.connected:,} of {n_growers(counts.growers)} {are} connected{waiting}{unchecked}"


def _attention(counts: Counts) -> str:
    parts = []
    if counts.attention or not counts.left_without:
        parts.append(f"{n_rows(counts.attention)} need{'s' if counts.attention == 1 else ''} attention")
    if count := len(counts.left_without):
        parts.append(f"{n_growers(count)} may have been left without credentials")
    return ", and ".join(parts)


def _numbers(info: RunInfo, counts: Counts, users: Mapping[str, int]) -> Iterator[str]:
    yield f"Rows:     {counts_by(counts.statuses)}"
    if len(counts.providers) > 1:
        for name, statuses in counts.providers.items():
            yield f"  {name or 'of no provider'}: {counts_by(statuses)}"
    if info.environments:
        yield f"For environment: {counts_by(dict(sorted(info.environments.items())))}"
    if users:
        yield f"Users:    {counts_by(users)}"
    if any(counts.health.values()):
        yield f"Health:   {counts_by(counts.health)}"
    for cause in counts.waiting_for:
        place = row_numbers(cause.rows, cause.count)
        yield f"Waiting:  {cause.count:,} {cause.code or 'pending'}: {place}"
    yield requests_line(info)
    if info.forecast:
        yield f"A run:    {_estimate(info.forecast, info.ceiling)}"
    if counts.off_plan:
        yield f"Plan:     {', '.join(f'{n:,} {code}' for code, n in counts.off_plan.items())} ({info.plan})"


def requests_line(info: RunInfo) -> str:
    """Return how many requests a run or rollback sent, and how fast."""
    requests, seconds = info.requests, seconds_of(info)
    text = f"Requests: {requests.total:,} to Leaf"
    if seconds and requests.total:
        text += f" in {duration(seconds)}, {requests.total / seconds:,.1f} per second"
    if requests.throttled:
        text += f"; Leaf asked to slow down {times(requests.throttled)}"
    return text


def _estimate(estimate: Estimate, ceiling: float) -> str:
    methods = counts_by({"GET": estimate.get, "POST": estimate.post, "DELETE": estimate.delete})
    text = f"would take about {estimate.total:,} requests{f' ({methods})' if estimate.total else ''}"
    if estimate.users:
        text += f", create {counted(estimate.users, 'Leaf user')}"
    if estimate.seconds is None:
        return text
    return f"{text}, {duration(estimate.seconds)} at {number(ceiling)} per second"


def without_credentials(left_growers: Sequence[LeftGrower], width: int) -> Iterator[str]:
    """Yield the growers that interrupted replacements left without credentials, and what to do about them."""
    if not left_growers:
        return
    count = n_growers(len(left_growers))
    yield from wrapped(
        f"{count} may have been left without credentials by an interrupted replacement:", width
    )
    for grower in left_growers[:SHOWN]:
        yield f"  {plain(grower.leaf_user_id)} ({grower.provider}, run {grower.run_id})"
    if len(left_growers) > SHOWN:
        yield f"  and {len(left_growers) - SHOWN:,} more"
    yield from wrapped(f"-> {LEFT_WITHOUT_HINT}", width, 6, 2)


def cause_lines(title: str, causes: Sequence[Cause], width: int, *, explained: bool = False) -> Iterator[str]:
    """Yield for each reason the number of rows, their places, an example and what to do.

    ``explained``: add the meaning of each code.
    """
    if causes:
        yield title
    for cause in causes[:SHOWN]:
        place = row_numbers(cause.rows, cause.count)
        yield from wrapped(
            f"{n_rows(cause.count)} {with_code(cause.status, cause.code)}: {place}", width, 2, 2
        )
        if cause.message:
            # The message of one row may differ from the others, but it illustrates the problem.
            example = f"row {cause.rows[0]}: " if cause.count > 1 and cause.rows else ""
            yield from wrapped(example + cause.message, width, 6, 2)
        if action := hint(cause.code or cause.status):
            yield from wrapped(f"-> {action}", width, 6, 2)
        if explained and (known := lookup(cause.code)):
            yield from wrapped(known.meaning, width, 6, 2)
    if rest := causes[SHOWN:]:
        others = n_rows(sum(cause.count for cause in rest))
        yield from wrapped(f"and {others} for {len(rest)} other reasons, in the results", width, 2, 2)


def written(files: Iterable[Path]) -> Iterator[str]:
    """Yield the paths of the files. A path stays on one line, so that it can be copied."""
    lines = [f"  {plain(str(file))}" for file in files]
    yield from ["Written:", *lines] if lines else []


def _next_steps(info: RunInfo, counts: Counts, code: ExitCode, width: int) -> Iterator[str]:
    lead = "" if code is ExitCode.OK else "Next: "
    for text, command in advice(info, counts, code):
        yield from wrapped(f"{lead}{text[0].lower() if lead else text[0]}{text[1:]}", width)
        if command:
            # A command stays on one line, so that it can be copied.
            yield f"  {command}"
        lead = ""
