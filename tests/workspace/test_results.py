"""The view `results`: what the rows of the input say, joined with what the run recorded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import NOT_AS_ASKED, Health, Status
from bulk_onboard.reports.results import COLUMNS
from bulk_onboard.workspace import Workspace
from tests.reports.pages import fingerprint_of, grower, workspace_of

DONE = Entry(
    row=3,
    status="created",
    leaf_user_id="of no account",
    fingerprint="of no account",
    code="settled-by-asking",
    message="found",
    http_status=200,
    attempts=2,
    credential_id="c-3",
    credential_status="OK",
    health="healthy",
    event_status=201,
    event_at="2026-11-23T15:45:03.000Z",
    intended_at="2026-11-23T15:45:00.500Z",
    started_at="2026-11-23T15:45:01.000Z",
    finished_at="2026-11-23T15:45:02.000Z",
    latency_ms=123.456,
)


def lines(workspace: Workspace) -> list[dict[str, Any]]:
    """The results, closing the workspace."""
    with workspace:
        return workspace.arrow("SELECT * FROM results ORDER BY row").to_pylist()


def test_an_entry_says_more_than_the_row_except_about_what_was_read_from_the_file() -> None:
    line = lines(workspace_of(["", "", ""], [DONE]))[1]
    assert {name: line[name] for name in COLUMNS} == {
        "row": 3,
        "leafUserId": grower(3),
        "provider": "raven",
        "status": "created",
        "health": "healthy",
        "code": "settled-by-asking",
        "message": "found",
        "hint": "",
        "httpStatus": 200,
        "attempts": 2,
        "credentialId": "c-3",
        "credentialStatus": "OK",
        "eventStatusCode": 201,
        "eventAt": "2026-11-23T15:45:03.000Z",
        "startedAt": "2026-11-23T15:45:01.000Z",
        "finishedAt": "2026-11-23T15:45:02.000Z",
        "latencyMs": 123.5,
        "fingerprint": fingerprint_of(3).hex(),
        "failingSince": "",
        "failedRuns": None,
        "healthCheckedAt": "",
    }


KNOWN = {"status": "existing", "code": "already-onboarded", "health": "healthy", "credential_id": "c-9"}


@pytest.mark.parametrize(
    ("row", "entry", "expected"),
    [
        (
            {},
            Entry(2, None, intended_at="t"),
            {"status": "unresolved", "code": "open-intent", "startedAt": "t"},
        ),
        ({}, None, {"status": "not_attempted", "code": "not-attempted", "attempts": 0}),
        (
            {"status": "invalid", "code": "missing-refreshToken", "message": "no token"},
            None,
            {"status": "invalid", "message": "no token", "hint": "Fill in refreshToken and run again."},
        ),
        (KNOWN, None, {"status": "existing", "health": "healthy", "credentialId": "c-9", "hint": ""}),
        (
            KNOWN,
            Entry(2, "existing", code="credentials-gone", health="unhealthy"),
            {"code": "credentials-gone", "health": "unhealthy", "credentialId": "", "cause": "unhealthy"},
        ),
        ({"status": "invalid", "id": [None], "leaf_user_id": "Ann"}, None, {"leafUserId": "Ann", "id": None}),
        ({"unresolved": [True]}, None, {"leafUserId": "", "id": None}),
    ],
)
def test_the_rules(row: dict[str, Any], entry: Entry | None, expected: dict[str, Any]) -> None:
    columns = {"status": "", **row}
    workspace = workspace_of([columns.pop("status")], [entry] if entry else [], **columns)
    (line,) = lines(workspace)
    assert {name: line[name] for name in expected} == expected


def test_kept_columns_are_there_under_their_numbers() -> None:
    (line,) = lines(workspace_of([""], kept={"region": "north", "Status": "new"}))
    assert (line["kept_0"], line["kept_1"]) == ("north", "new")


def test_the_causes_are_those_of_the_model() -> None:
    entries = [Entry(row, status.value) for row, status in enumerate(Status, 2)]
    found = lines(workspace_of([""] * len(entries), entries))
    assert [line["cause"] for line in found] == [s.value if s.needs_attention else None for s in Status]
    entries = [Entry(row, "existing", code=code) for row, code in enumerate(("", *NOT_AS_ASKED), 2)]
    found = lines(workspace_of([""] * len(entries), entries))
    assert [line["cause"] for line in found] == [None, "existing", "existing"]
    entries = [Entry(row, "created", health=health.value) for row, health in enumerate(Health, 2)]
    found = lines(workspace_of([""] * len(entries), entries))
    assert [line["cause"] for line in found] == [None, "unhealthy", None]


known = st.lists(st.sampled_from(["", "existing", "invalid"]), max_size=20)
outcomes = st.dictionaries(st.integers(0, 19), st.sampled_from([None, *(status.value for status in Status)]))


@given(known, outcomes)
def test_every_row_has_one_line_and_one_status(known: list[str], outcomes: dict[int, str | None]) -> None:
    entries = [Entry(at + 2, status) for at, status in outcomes.items() if at < len(known)]
    found = {line["row"]: line for line in lines(workspace_of(known, entries))}
    assert list(found) == list(range(2, 2 + len(known)))
    expected = dict(enumerate([status or "not_attempted" for status in known], 2))
    expected |= {entry.row: entry.status or "unresolved" for entry in entries}
    assert {row: line["status"] for row, line in found.items()} == expected
