import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Requests, Status
from bulk_onboard.domain.run_events import RunKind
from bulk_onboard.reports.counts import Counts
from bulk_onboard.reports.summary import summary, words
from tests.reports.pages import STARTED, counts_of, run_of

FILES = [Path("reports/20261123T154500Z-growers/results.csv")]

CONNECTED = Entry(2, "created", health="healthy")


def told(counts: Counts, **fields: Any) -> str:
    return words(run_of(counts.rows, **fields), counts, FILES)


def first_line(counts: Counts, **fields: Any) -> str:
    return told(counts, **fields).split("\n", maxsplit=1)[0]


# --- for programs -----------------------------------------------------------------------------------


def test_the_summary_follows_the_contract() -> None:
    counts = counts_of(Entry(2, "created", health="healthy"), Entry(3, "failed"))
    found = summary(run_of(2), counts)
    assert found == {
        "runId": "20261123T154500Z-growers",
        "provider": "raven",
        "input": {"name": "growers.csv"},
        "rows": 2,
        "counts": dict(counts.statuses),
        "health": {"healthy": 1, "unhealthy": 0, "pending": 0},
        "earlierChecks": {"count": 0, "oldest": None},
        "waiting": [],
        "causes": [{"status": "failed", "code": "", "count": 1, "rows": [3], "message": ""}],
        "leftWithout": [],
        "requests": {"total": 90, "get": 50, "post": 40, "delete": 0, "throttled": 2},
        "rate": {"ceiling": 10.0, "achieved": 9.0},
        "startedAt": "2026-11-23T15:45:00.000Z",
        "finishedAt": "2026-11-23T15:45:10.000Z",
        "seconds": 10.0,
        "exitCode": 1,
        "stopReason": None,
        "providers": {"raven": found["counts"]},
        "environment": {},
        "users": {"created": 0, "found": 0},
    }
    order = (
        "runId provider input rows counts health causes requests rate startedAt finishedAt seconds"
        " exitCode stopReason providers environment users earlierChecks leftWithout waiting"
    )
    assert " ".join(found) == order
    assert list(found["requests"]) == ["total", "get", "post", "delete", "throttled"]
    assert json.loads(json.dumps(found)) == found


def test_unknown_values_of_the_summary_are_null() -> None:
    assert summary(run_of(0, ceiling=0.0), counts_of())["rate"]["ceiling"] is None
    assert summary(run_of(0, finished_at=None), counts_of())["finishedAt"] is None
    for finished_at in (None, STARTED):
        assert summary(run_of(0, finished_at=finished_at), counts_of())["rate"]["achieved"] == 0.0


# --- for people: did it work ------------------------------------------------------------------------


WAITS = {"health": "pending", "code": "no-event-yet"}
STORED = Entry(2, "created")
NOT_CHECKED = "credentials at Leaf; whether they work was not checked."


@pytest.mark.parametrize(
    ("entries", "headline"),
    [
        ([CONNECTED._replace(row=row) for row in range(2, 202)], "All 200 growers are connected."),
        ([CONNECTED], "The one grower is connected."),
        ([CONNECTED, Entry(3, "created", **WAITS), Entry(4, "existing", **WAITS)],
         "1 of 3 growers are connected, 2 not confirmed yet."),
        ([STORED], f"The one grower has {NOT_CHECKED}"),
        ([STORED, STORED._replace(row=3)], f"All 2 growers have {NOT_CHECKED}"),
        ([STORED, CONNECTED._replace(row=3), Entry(4, "existing", code="app-changed")],
         "1 of 3 growers are connected, 1 stored but not checked, 1 row needs attention."),
        ([*(CONNECTED._replace(row=row) for row in (2, 3)), *(Entry(row, "failed") for row in (4, 5, 6))],
         "2 of 5 growers are connected, 3 rows need attention."),
        ([Entry(2, "created", code="bad-status", health="unhealthy"), CONNECTED._replace(row=3)],
         "1 of 2 growers are connected, 1 row needs attention."),
        ([CONNECTED, CONNECTED._replace(row=3), Entry(4, "duplicate", code="duplicate")],
         "All 2 growers are connected. 1 row only repeated an earlier one."),
    ],
)  # fmt: skip
def test_the_headline_counts_confirmed_growers_only(entries: list[Entry], headline: str) -> None:
    assert first_line(counts_of(*entries)) == headline


def test_the_reason_to_stop_comes_first() -> None:
    counts = counts_of(CONNECTED, rows=3)
    text = told(counts, stop_reason="Leaf refused our login", exit_code=4)
    assert text.startswith("Stopped: Leaf refused our login. 1 of 3 growers are connected.")
    assert "LEAF_TOKEN" in text


def test_an_interrupted_run_names_the_command_to_continue() -> None:
    text = told(counts_of(CONNECTED, rows=2), interrupted=True)
    assert text.startswith("Interrupted: 1 of 2 growers are connected.")
    assert "run the same command again" in text


def test_counts_that_do_not_add_up_are_a_bug() -> None:
    assert words(run_of(3), counts_of(Entry(2, "created")), FILES).startswith("This is a bug in bulk-onboard")


# --- for people: the rest ---------------------------------------------------------------------------


def test_causes_are_shown_with_rows_and_hints() -> None:
    entries = [Entry(row, "failed", code="no-answer", message="no answer in time") for row in range(2, 9)]
    text = told(counts_of(*entries))
    assert "7 rows failed (no-answer): rows 2, 3, 4, 5, 6, …" in text
    assert "no answer in time" in text
    assert "-> Run the same command again" in text
    entries = [Entry(row, "rejected", code=f"leaf:key{row}") for row in range(2, 20)]
    assert "and 8 rows for 8 other reasons" in told(counts_of(*entries))


def test_numbers_requests_and_files_are_shown() -> None:
    text = told(counts_of(Entry(2, "created", health="pending")), requests=Requests(1000, 234, 0, 3))
    assert "Rows:     1 created" in text
    assert "Health:   1 pending" in text
    assert "1,234 to Leaf in 10 s, 123.4 per second; Leaf asked to slow down 3 times" in " ".join(
        text.split()
    )
    assert str(FILES[0]) in text
    assert "  bulk-onboard events 20261123T154500Z-growers" in text.split("\n")


@pytest.mark.parametrize(("seconds", "length"), [(12.0, "12 s"), (600.0, "10 min"), (7800.0, "2 h 10 min")])
def test_durations_are_readable(seconds: float, length: str) -> None:
    text = told(counts_of(Entry(2, "created")), finished_at=STARTED + timedelta(seconds=seconds))
    assert f"in {length}," in text


def test_hostile_texts_reach_the_terminal_without_control_characters() -> None:
    entry = Entry(2, "rejected", code="leaf:\x1b[2J", message="a\x1b]0;title\x07b\nc\u202e")
    text = told(counts_of(entry), stop_reason="said \x1b[31mno", exit_code=5)
    assert not any((ord(sign) < 32 and sign != "\n") or sign == "\u202e" for sign in text)


rows = st.tuples(
    st.sampled_from([None, *(status.value for status in Status)]),
    st.sampled_from(["", "no-answer", "leaf:someKey", "missing-refreshToken", "never heard of"]),
    st.sampled_from(["", "healthy", "unhealthy", "pending"]),
    st.text("word \n\x1b", max_size=300),
)


@given(st.lists(rows, max_size=15), st.booleans())
def test_the_text_fits_80_columns_and_names_the_next_step(
    outcomes: list[tuple[str | None, str, str, str]], stopped: bool
) -> None:
    entries = [
        Entry(at, status, code=code, health=health, message=message)
        for at, (status, code, health, message) in enumerate(outcomes, 2)
    ]
    fields = {"stop_reason": "Leaf is down", "exit_code": 5} if stopped else {}
    text = told(counts_of(*entries), **fields)
    assert all(len(line) <= 80 or " " not in line.strip() for line in text.split("\n"))
    assert "Next: " in text or "bulk-onboard events" in text or "Nothing is left to do." in text


def test_durations_equal_the_times_in_the_ledger() -> None:
    counts = counts_of(Entry(2, "created"))
    run = run_of(1, finished_at=STARTED + timedelta(microseconds=100_900))
    again = run_of(1, finished_at=STARTED + timedelta(milliseconds=100))
    assert summary(run, counts) == summary(again, counts)


def test_rotated_tokens_are_in_headline_and_causes() -> None:
    healthy = {"health": "healthy", "code": "token-changed"}
    rotated = [Entry(row, "existing", **healthy) for row in (3, 4)]
    counts = counts_of(CONNECTED, *rotated, Entry(5, "created", **healthy))
    assert first_line(counts).startswith(
        "All 4 growers are connected. Leaf holds a different token than the file"
    )
    assert counts.attention == 0
    found = summary(run_of(4), counts)
    assert [(each["status"], each["code"], each["count"]) for each in found["causes"]] == [
        ("existing", "token-changed", 2),
        ("created", "token-changed", 1),
    ]
    assert found["exitCode"] == 0
    closing = told(counts)
    assert "For information" in closing
    assert "Leaf refreshes tokens itself" in " ".join(closing.split())


@pytest.mark.parametrize(
    ("fields", "entry", "advice"),
    [
        ({"left_out": 3}, Entry(2, "created", health="healthy"), "3 rows are left because of --limit"),
        ({"kind": RunKind.EVENTS}, Entry(2, "existing", health="unhealthy"), "then run the file"),
        (
            {"stop_reason": "1 of 1 canary rows is not healthy: row 2 is rejected", "exit_code": 5},
            Entry(2, "rejected"),
            "run the same command again: failed rows come last",
        ),
    ],
)
def test_the_advice_fits_the_command(fields: dict[str, Any], entry: Entry, advice: str) -> None:
    text = " ".join(told(counts_of(entry), **fields).split())
    assert advice in text
    assert "Nothing is left to do" not in text


def test_the_advice_for_rows_outside_a_plan() -> None:
    counts = counts_of(Entry(2, "not_attempted", code="not-in-plan"), planned=True)
    text = " ".join(told(counts, plan="plan.csv").split())
    assert "run the file without --plan" in text
    assert "then run the same command again" not in text
