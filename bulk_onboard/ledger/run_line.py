"""A run as a line of the database."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.facts import Forecast, Kind, RunInfo
from bulk_onboard.model import Requests, Traffic
from bulk_onboard.stamp import from_text, to_text


def run_values(info: RunInfo) -> dict[str, Any]:
    """The columns of a run, without those of its scope."""
    return {
        "run_id": info.run_id,
        "input": info.input,
        "started_at": to_text(info.started_at),
        "finished_at": to_text(info.finished_at) or None,
        "rows": info.rows,
        "ceiling": info.ceiling,
        "requests": json.dumps(asdict(info.requests)),
        "kept": json.dumps(info.kept),
        "stop_reason": info.stop_reason,
        "interrupted": int(info.interrupted),
        "exit_code": info.exit_code,
        "kind": info.kind.value,
        "environments": json.dumps(dict(info.environments)),
        "traffic": json.dumps(asdict(info.traffic), separators=(",", ":")),
        "forecast": json.dumps(asdict(info.forecast)) if info.forecast else None,
        "plan": info.plan,
        "command": info.command,
        "left_out": info.left_out,
        "description": json.dumps(info.description.as_json()) if info.description else None,
    }


def run_info(found: dict[str, Any]) -> RunInfo:
    """A run as its line in the database, with the columns of its scope, tells it."""
    started = from_text(found["started_at"])
    assert started is not None  # noqa: S101  (the column is NOT NULL)
    return RunInfo(
        run_id=found["run_id"],
        provider=found["provider"],
        input=found["input"],
        leaf=found["leaf"],
        owner=found["owner"],
        started_at=started,
        finished_at=from_text(found["finished_at"] or ""),
        rows=found["rows"],
        ceiling=found["ceiling"],
        requests=Requests(**json.loads(found["requests"])),
        kept=tuple(json.loads(found["kept"])),
        stop_reason=found["stop_reason"],
        interrupted=bool(found["interrupted"]),
        exit_code=found["exit_code"],
        kind=Kind(found["kind"]),
        environments=json.loads(found["environments"]),
        traffic=_traffic(**json.loads(found["traffic"])),
        forecast=Forecast(**json.loads(found["forecast"])) if found["forecast"] else None,
        plan=found["plan"],
        command=found["command"],
        left_out=found["left_out"],
        description=_description(found["description"]),
    )


def _description(text: str | None) -> InputDescription | None:
    return InputDescription.from_json(json.loads(text)) if text else None


def _traffic(width: int = 1, **series: list[Any]) -> Traffic:
    return Traffic(width, **{name: tuple(values) for name, values in series.items()})
