"""The result of a run as a Prometheus file, for the textfile collector of the node exporter."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bulk_onboard.domain.timestamps import from_text
from bulk_onboard.errors import ExitCode

_SUCCESS = "bulk_onboard_last_success_timestamp_seconds"
Samples = list[tuple[Mapping[str, str], float]]


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric: its name, its help text, and its values by labels."""

    name: str
    help: str
    samples: Samples = field(default_factory=list)


def text(job: str, code: ExitCode, ended: datetime, summary: Mapping[str, Any] | None, before: str) -> str:
    """Return the content of the file.

    ``job`` distinguishes the metrics of several files. ``summary``: the content of summary.json; None for a
    run that did not start. ``before``: the previous content of the file, with the time of the last success.
    """
    gauges = list(_gauges(code, ended, before))
    if summary is not None:
        gauges += _of_run(summary)
    return "".join(_written(gauge, job) for gauge in gauges if gauge.samples)


def _gauges(code: ExitCode, ended: datetime, before: str) -> Iterator[Gauge]:
    success = ended.timestamp() if code is ExitCode.OK else _last_success(before)
    yield Gauge(
        "bulk_onboard_last_run_timestamp_seconds", "When the last run ended.", [({}, ended.timestamp())]
    )
    yield Gauge(
        _SUCCESS, "When the last run with exit code 0 ended.", [] if success is None else [({}, success)]
    )
    yield Gauge("bulk_onboard_exit_code", "The exit code of the last run.", [({}, float(code))])


def _last_success(before: str) -> float | None:
    match = re.search(rf"^{_SUCCESS}(?:{{.*}})? ([0-9.e+]+)$", before, re.MULTILINE)
    return float(match[1]) if match else None


def _of_run(summary: Mapping[str, Any]) -> Iterator[Gauge]:
    requests = summary["requests"]
    started = from_text(summary["startedAt"])
    yield Gauge("bulk_onboard_duration_seconds", "Duration of the last run.", [({}, summary["seconds"])])
    if started is not None:
        began = started.timestamp()
        yield Gauge("bulk_onboard_start_timestamp_seconds", "When the last run started.", [({}, began)])
    yield Gauge("bulk_onboard_rows", "Rows of the file by status.", _by("status", summary["counts"]))
    yield Gauge("bulk_onboard_checked_rows", "Connected rows by health.", _by("health", summary["health"]))
    causes = summary.get("causes", ())
    changed = sum(cause["count"] for cause in causes if cause["code"] == "token-changed")
    yield Gauge(
        "bulk_onboard_token_changed_rows",
        "Connected rows for which Leaf holds a different token from the file's.",
        [({}, float(changed))],
    )
    help_text = "Growers that may have been left without credentials by an interrupted replacement."
    yield Gauge(
        "bulk_onboard_growers_left_without", help_text, [({}, float(len(summary.get("leftWithout", ()))))]
    )
    methods = {name: requests[name] for name in ("get", "post", "delete")}
    yield Gauge("bulk_onboard_requests", "Requests sent to Leaf by method.", _by("method", methods))
    throttled = float(requests["throttled"])
    yield Gauge("bulk_onboard_requests_throttled", "Requests that Leaf throttled.", [({}, throttled)])


def _by(label: str, counts: Mapping[str, int]) -> Samples:
    return [({label: name}, float(count)) for name, count in counts.items()]


def _written(gauge: Gauge, job: str) -> str:
    lines = [f"# HELP {gauge.name} {gauge.help}", f"# TYPE {gauge.name} gauge"]
    for labels, value in gauge.samples:
        pairs = ",".join(f'{name}="{_escaped(text)}"' for name, text in {"job_name": job, **labels}.items())
        lines.append(f"{gauge.name}{{{pairs}}} {_number(value)}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def write_exported(path: Path, text: str) -> None:
    """Write or replace the file atomically, readable by all: it must not contain secrets. Raises OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(
            os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        if os.name == "posix":
            draft.chmod(0o644)  # whatever the umask says: the node exporter has to read it
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_exported(path: Path) -> str:
    """Return the content of the file, "" if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
