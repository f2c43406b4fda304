"""How an event is read, and that a log of any size says the same as a small one, within bounded memory."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.model import Ambiguous, Event, Events, Log
from bulk_onboard.leaf import event_log
from bulk_onboard.leaf.event_log import EventLogReader, event_of, moment, status_code
from bulk_onboard.leaf.replies import Reply, after_events, after_log

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, 401) for value in (401, 401.0, "401", " 401 ", "401.0", "401 UNAUTHORIZED", "HTTP 401")),
        *((value, 401) for value in ("HTTP/1.1 401 Unauthorized", "UNAUTHORIZED", "Unauthorized", "401: no")),
        (200, 200), ("OK", 200), (999, 999),
        *((value, 0) for value in (0, 0.0, "0", 99, -1, 401.5, 10**30, 1e300)),
        *((value, 0) for value in ("4010", "2026-01-15", "abc", "")),
        *((value, 0) for value in (None, True, False, [], {}, [401])),
    ],
)  # fmt: skip
def test_the_status_that_a_value_shows(value: object, expected: int) -> None:
    assert status_code(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-30T12:00:00.000000Z",
        "2026-11-30T12:00:00",
        "2026-11-30T13:00:00+01:00",
        1796040000,
        1796040000.0,
        1796040000000,
        "1796040000",
        "1796040000000",
        [2026, 11, 30, 12, 0],
        [2026, 11, 30, 12, 0, 0, 0],
    ],
)
def test_the_time_that_a_value_shows(value: object) -> None:
    assert moment(value) == NOW


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_other_values_are_not_dates(value: object) -> None:
    found = moment(value)
    assert found is None or found.tzinfo is UTC


def _read(body: bytes, piece: int) -> bytes:
    reader = EventLogReader()
    for at in range(0, len(body), piece):
        if reader.full:
            break
        reader.feed(body[at : at + piece])
    return reader.body()


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-1, 999)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9)
)
values = scalars | st.lists(st.integers(0, 3000), max_size=7) | st.dictionaries(st.text(max_size=4), scalars)
# Integers that every JSON parser reads alike (RFC 8259, section 6); Leaf's ids are UUIDs.
names = st.none() | st.integers(-(1 << 53) + 1, (1 << 53) - 1) | st.uuids().map(str)
fields = {"id": names} | dict.fromkeys(("createdDate", "statusCode", "body", "headers"), values)
some_events = st.lists(st.fixed_dictionaries({}, optional=fields), min_size=1, max_size=8)


@given(some_events, st.booleans(), st.integers(1, 400))
def test_a_log_in_pieces_equals_the_whole(log: list[Any], paged: bool, piece: int) -> None:
    body = json.dumps({"last": True, "content": log, "size": 9} if paged else log).encode()
    whole = [event_of(each) for each in log]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_log, "SMALL_LOG", 0)
        found = _read(body, piece)
    verdict = after_log(Reply(200, {}, found, NOW))
    assert isinstance(verdict, Log)
    assert verdict.events == tuple(whole)
    assert after_events(Reply(200, {}, found, NOW)) == after_events(Reply(200, {}, body, NOW))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>" * 99,
        b'{"a": 1}',
        b"[1]",
        b'[{"id": 1}, 2]',
        b'{"content": {}}',
        b'[{"id": "1"',
        b"[" * 99,
        b'"x"',
    ],
)
def test_what_is_not_a_list_of_events_is_unreadable(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "SMALL_LOG", 0)
    assert isinstance(after_events(Reply(200, {}, _read(body, 7), NOW)), Ambiguous)
    assert isinstance(after_log(Reply(200, {}, _read(body, 7), NOW)), Ambiguous)


def _line(number: int, code: int) -> dict[str, Any]:
    date = (NOW - timedelta(seconds=number)).isoformat()
    return {
        "id": f"e-{number}",
        "createdDate": date,
        "statusCode": code,
        "headers": "h" * 50,
        "body": "planted",
    }


def test_the_newest_events_of_a_large_log_are_kept() -> None:
    lines = [_line(number, 200 if number else 401) for number in range(event_log.MOST_EVENTS * 3)]
    body = json.dumps(lines[::-1]).encode()
    assert len(body) > event_log.SMALL_LOG
    found = _read(body, 1 << 16)
    assert b"planted" not in found
    assert after_events(Reply(200, {}, found, NOW)) == Events(Event(401, NOW, "e-0"))
    kept = after_log(Reply(200, {}, found, NOW))
    assert isinstance(kept, Log)
    assert {each.id for each in kept.events} == {f"e-{number}" for number in range(event_log.MOST_EVENTS)}


def test_an_endless_log_is_cut_and_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "SMALL_LOG", 100)
    monkeypatch.setattr(event_log, "LARGEST_LOG", 2000)
    reader = EventLogReader()
    reader.feed(b"[")
    fed = 0
    while not reader.full:
        reader.feed(json.dumps(_line(fed, 200)).encode() + b",")
        fed += 1
    assert fed < 30
    answer = Reply(200, {}, reader.body(), NOW)
    assert after_events(answer) == Ambiguous(
        "response-too-large", "the event log was too long to be read to its end"
    )
    # What is about to be deleted is kept as far as it was read.
    kept = after_log(answer)
    assert isinstance(kept, Log)
    assert len(kept.events) == fed
