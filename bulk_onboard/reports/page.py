"""The HTML page of a run: it works offline, contains no secrets, and runs only its own script.

The template escapes every value; the content security policy allows only the hashes of style and script.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bulk_onboard
from bulk_onboard.domain import formatting
from bulk_onboard.domain.codes import hint, lookup
from bulk_onboard.domain.formatting import counts_by, duration, number, plain, words_of
from bulk_onboard.domain.input_description import describe
from bulk_onboard.domain.model import Health, Status
from bulk_onboard.domain.run_events import Cause, RunInfo, RunKind
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.errors import ExitCode
from bulk_onboard.reports.advice import advice
from bulk_onboard.reports.chart import over_time
from bulk_onboard.reports.counts import Counts, exit_code
from bulk_onboard.reports.draft import drafts
from bulk_onboard.reports.page_rows import Latency, PageRows
from bulk_onboard.reports.sanitize import FORMULA_IN_JAVASCRIPT
from bulk_onboard.reports.summary import seconds_of, verdict

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# The largest number of causes on the page; the others are in the results.
CAUSES = 40

_TONES: Mapping[str, str] = {
    Status.CREATED: "good",
    Status.EXISTING: "good",
    Status.DUPLICATE: "calm",
    Status.WOULD_CREATE: "calm",
    Status.WOULD_REPLACE: "calm",
    Status.UNRESOLVED: "wait",
    Status.NOT_ATTEMPTED: "wait",
    Health.HEALTHY: "good",
    Health.PENDING: "wait",
}
_TONES_OF_RUNS = {ExitCode.OK: "good", ExitCode.ATTENTION: "wait", ExitCode.INTERRUPTED: "wait"}


def write_page(
    path: Path, info: RunInfo, counts: Counts, rows: PageRows, results: Sequence[str] = ()
) -> Path:
    """Write the page of a run, complete or not at all. ``results``: names of files beside it to link to.

    Raises OutputError.
    """
    text = render(info, counts, rows, results)
    with drafts([path], f"`bulk-onboard report {path.parent.name}`") as (draft,), draft.writing():
        draft.file.write(text.encode(errors="replace"))
    return path


def render(info: RunInfo, counts: Counts, rows: PageRows, results: Sequence[str] = ()) -> str:
    """Return the page, which depends only on the ledger and on this version."""
    code = exit_code(counts, info)
    style, script = _part("page.css"), _part("page.js")
    template = _environment().get_template("page.html")
    return template.render(
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        version=bulk_onboard.__version__,
        info=info,
        counts=counts,
        planned=_planned(counts),
        dry=info.kind is RunKind.DRY_RUN,
        practice=not info.leaf.startswith("http"),
        tone=_TONES_OF_RUNS.get(code, "bad"),
        verdict=verdict(info, counts, code),
        advice=list(advice(info, counts, code)),
        causes=[_cause(cause) for cause in counts.causes[:CAUSES]],
        notes=[_cause(cause) for cause in counts.notes],
        other_causes=len(counts.causes[CAUSES:]),
        parts=list(_parts(counts)),
        statuses=list(_bars(counts.statuses, counts.rows)),
        healths=list(_healths(counts)),
        rows=rows,
        formula=FORMULA_IN_JAVASCRIPT,
        results=results,
        chart=over_time(info.traffic, info.ceiling),
        facts=list(_facts(info, code, rows.latency)),
    )


# --- values for the template ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CauseText:
    """A cause in text form. ``rows``: the numbers of the first rows."""

    status: str
    code: str
    count: int
    meaning: str
    example: str
    hint: str
    rows: str
    tone: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a bar chart, or a part of one bar.

    ``share``: percent; ``since``: where it starts, in percent.
    """

    name: str
    count: int
    share: float
    tone: str = "calm"
    since: float = 0.0


def _planned(counts: Counts) -> int:
    """Return how many growers would have received credentials in a real run."""
    return counts.statuses.get(Status.WOULD_CREATE, 0) + counts.statuses.get(Status.WOULD_REPLACE, 0)


def _parts(counts: Counts) -> Iterator[Bar]:
    """Yield the parts of the bar that shows all growers."""
    parts = {
        ("connected", "good"): counts.connected,
        ("would get credentials", "planned"): _planned(counts),
        ("not confirmed yet", "wait"): counts.waiting,
        ("not checked", "calm"): counts.unchecked,
        ("need attention", "bad"): counts.concern,
        ("not attempted yet", "wait"): counts.statuses[Status.NOT_ATTEMPTED],
    }
    since = 0.0
    for (name, tone), count in parts.items():
        if count:
            share = 100 * count / (counts.rows - counts.statuses[Status.DUPLICATE])
            yield Bar(name, count, share, tone, since)
            since += share


def _cause(cause: Cause) -> CauseText:
    known = lookup(cause.code or cause.status)
    example = cause.message
    if example and cause.count > 1 and cause.rows:
        example = f"row {cause.rows[0]}: {example}"
    return CauseText(
        status=words_of(cause.status),
        code=cause.code,
        count=cause.count,
        meaning=known.meaning if known else "",
        example=example,
        hint=hint(cause.code or cause.status),
        rows=formatting.row_numbers(cause.rows, cause.count),
        tone=_TONES.get(cause.status, "bad"),
    )


def _bars(counts: Mapping[str, int], total: int) -> Iterator[Bar]:
    for name, count in counts.items():
        if count:
            yield Bar(words_of(name), count, 100 * count / total, _TONES.get(name, "bad"))


def _healths(counts: Counts) -> Iterator[Bar]:
    """Yield rows by health; nothing if no row was checked."""
    connected = counts.statuses[Status.CREATED] + counts.statuses[Status.EXISTING]
    if checked := sum(counts.health.values()):
        total = max(connected, checked)
        yield from _bars(counts.health, total)
        if rest := total - checked:
            yield Bar("not checked", rest, 100 * rest / total)


def _facts(info: RunInfo, code: ExitCode, latency: Latency | None) -> Iterator[tuple[str, str]]:
    """Yield names and values of the details of a run: its identity and its figures."""
    requests, seconds = info.requests, seconds_of(info)
    yield "Run", info.run_id
    if info.command:
        yield "Command", info.command
    yield "File", info.input
    yield from describe(info.description) if info.description else ()
    yield "Provider", info.provider.replace(",", ", ")
    if info.environments:
        yield "Environment", counts_by(info.environments)
    yield "Leaf", info.leaf
    yield "API owner", info.owner
    yield "Started", to_text(info.started_at)
    yield "Ended", to_text(info.finished_at) or "not recorded: the run was killed"
    if seconds:
        yield "Took", duration(seconds)
    yield "Rows", f"{info.rows:,}"
    methods = counts_by({"GET": requests.get, "POST": requests.post, "DELETE": requests.delete})
    yield "Requests", f"{requests.total:,} ({methods})" if requests.total else "0"
    if seconds and requests.total:
        yield "On average", f"{number(requests.total / seconds)} per second"
    yield "Ceiling", f"{number(info.ceiling)} per second" if info.ceiling else "none"
    yield "Throttled", f"{requests.throttled:,}"
    if latency:
        median, percentile_95, slowest = (duration(value / 1000) for value in latency)
        yield "Answers", f"half within {median}, 95 % within {percentile_95}, the slowest {slowest}"
    yield "Exit code", f"{int(code)}: {code.meaning}"


# --- template, style, script ------------------------------------------------------------------------


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415  (only the page needs it)

    environment = Environment(
        loader=FunctionLoader(_part),
        autoescape=True,
        finalize=_plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "options": _options,
        "rows": formatting.n_rows,
        "duration": duration,
        "number": number,
        "times": formatting.times,
    }
    return environment


def _plain(value: Any) -> Any:
    """Return a value of the template without control characters."""
    return plain(value) if type(value) is str else value


def _options(text: str) -> Markup:
    """Return a text as HTML in which options are not wrapped: a browser may break lines after a hyphen."""
    from markupsafe import Markup, escape  # noqa: PLC0415  (comes with Jinja)

    return Markup(_OPTION.sub(r'<span class="option">\1</span>', str(escape(plain(text)))))  # noqa: S704  (escaped)


_OPTION = re.compile(r"(--[a-z][a-z-]*)")


@cache
def _part(name: str) -> str:
    """Return a file beside this module, with the line ends that a browser uses for hashes."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _hash(text: str) -> str:
    """Return the hash of a style or script in the form that a Content-Security-Policy uses."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
