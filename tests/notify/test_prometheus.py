"""The metrics are what Prometheus reads: one help and one type for each, every value a number."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bulk_onboard.errors import ExitCode
from bulk_onboard.notify import prometheus as metrics

NOW = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
SUMMARY: dict[str, Any] = {
    "counts": {"created": 50, "existing": 999_950, "failed": 0},
    "health": {"healthy": 50, "unhealthy": 0, "pending": 0},
    "causes": [{"status": "existing", "code": "token-changed", "count": 4, "rows": [3], "message": ""}],
    "requests": {"total": 100, "get": 50, "post": 50, "delete": 0, "throttled": 3},
    "startedAt": "2026-11-23T02:29:52.500Z",
    "seconds": 7.5,
}
LINE = re.compile(
    r'(bulk_onboard_[a-z_]+)\{job_name="((?:[^"\\]|\\.)*)"(?:,[a-z]+="[a-z_]+")?\} (-?\d+(?:\.\d+)?)'
)


def values(text: str) -> dict[str, float]:
    """The values by name and labels; whatever is no sample must be a comment."""
    samples = [line for line in text.splitlines() if not line.startswith("# ")]
    assert all(LINE.fullmatch(line) for line in samples), samples
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in samples}


def test_the_text_has_every_number_of_the_summary() -> None:
    told = values(metrics.text("raven", ExitCode.OK, NOW, SUMMARY, ""))
    job = 'job_name="raven"'
    assert told[f'bulk_onboard_rows{{{job},status="existing"}}'] == 999_950
    assert told[f'bulk_onboard_checked_rows{{{job},health="healthy"}}'] == 50
    assert told[f'bulk_onboard_requests{{{job},method="post"}}'] == 50
    assert told[f"bulk_onboard_token_changed_rows{{{job}}}"] == 4
    assert told[f"bulk_onboard_requests_throttled{{{job}}}"] == 3
    assert told[f"bulk_onboard_duration_seconds{{{job}}}"] == 7.5
    assert told[f"bulk_onboard_exit_code{{{job}}}"] == 0
    assert told[f"bulk_onboard_last_run_timestamp_seconds{{{job}}}"] == NOW.timestamp()


def test_each_metric_is_explained_once_before_its_first_sample() -> None:
    lines = metrics.text("raven", ExitCode.OK, NOW, SUMMARY, "").splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert len(names) == len(set(names))
    assert {match[1] for line in lines if (match := LINE.fullmatch(line))} == set(names)


def test_the_time_of_the_last_success_outlives_failures_also_of_runs_that_did_not_begin() -> None:
    text = metrics.text("raven", ExitCode.OK, NOW, SUMMARY, "")
    for night, (code, summary) in enumerate([(ExitCode.ATTENTION, SUMMARY), (ExitCode.INPUT, None)], 1):
        text = metrics.text("raven", code, NOW + timedelta(days=night), summary, text)
        found = {name.partition("{")[0]: value for name, value in values(text).items()}
        assert found["bulk_onboard_last_success_timestamp_seconds"] == NOW.timestamp()
        assert found["bulk_onboard_last_run_timestamp_seconds"] > NOW.timestamp()


def test_before_the_first_success_none_is_claimed() -> None:
    assert "last_success" not in metrics.text("raven", ExitCode.ATTENTION, NOW, SUMMARY, "# old\nnonsense\n")


@pytest.mark.parametrize("job", ['a"b', "a\\b", "a\nb", "农场"])
def test_any_name_of_a_file_is_a_proper_label(job: str) -> None:
    values(metrics.text(job, ExitCode.OK, NOW, None, ""))
