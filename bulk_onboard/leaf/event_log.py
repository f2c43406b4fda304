"""A credential's event log: how one event is read, and a log of any size within bounded memory.

An event is ``{"id", "createdDate", "statusCode", "headers", "body"}`` (docs.withleaf.io, 2026); ``headers``
and ``body`` may hold secrets and are dropped here. What other Leafs and gateways may send instead:

| field         | read as                                                                                    |
| ------------- | ------------------------------------------------------------------------------------------ |
| `statusCode`  | 401, 401.0, "401", "401 UNAUTHORIZED", "HTTP 401", "UNAUTHORIZED": 401; anything else is 0 |
| `createdDate` | ISO 8601 text; seconds or milliseconds since 1970; [2026, 1, 15, 12, 0, 0]; else undated   |
| the log       | a list, a page object with the list as `content`, an empty body or null                    |
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any

import ijson

from bulk_onboard.domain.model import Event
from bulk_onboard.leaf.scrub import word
from bulk_onboard.policy.health import newest_first

# Bytes up to which a log is kept as it came. Larger ones are read piece by piece.
SMALL_LOG = 1 << 16
# Bytes after which reading stops. An event an hour of 1.3 kB makes 1 MB in the 30 days that Leaf keeps.
LARGEST_LOG = 32 << 20
# Events that are kept of a larger log, the newest ones.
MOST_EVENTS = 10_000
# In place of an event: the log was longer than what was read.
CUT_OFF = {"cutOff": True}

_STATUS = re.compile(r"(?:HTTP(?:/[0-9.]+)?\s+)?([0-9]{1,3})(?:\.0+)?(?![0-9.])", re.IGNORECASE)
_MILLISECONDS = 1e11  # as seconds, that is the year 5138


def event_of(data: Mapping[str, Any]) -> Event:
    """The event without its secrets. ``status_code`` 0: it shows no HTTP status."""
    name = data.get("id")
    return Event(
        status_code(data.get("statusCode")),
        moment(data.get("createdDate")),
        word(name) if isinstance(name, str | int) else "",
    )


def status_code(value: object) -> int:
    """The HTTP status that a value shows, 0 if it shows none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0
    text = str(value).strip()[:100]
    if match := _STATUS.match(text):
        code = int(match[1])
        return code if code >= 100 else 0
    name = re.sub(r"\W+", "_", text).upper()
    return HTTPStatus[name].value if name in HTTPStatus.__members__ else 0


def moment(value: object) -> datetime | None:
    """The UTC time that a value shows, None if it shows none."""
    try:
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLISECONDS else value, UTC)
        if isinstance(value, list):  # as Jackson writes a LocalDateTime; its last number is nanoseconds
            year, month, day, *rest = value
            hour, minute, second, nanoseconds = [*rest, 0, 0, 0, 0][:4]
            return datetime(year, month, day, hour, minute, second, nanoseconds // 1000, tzinfo=UTC)
        if not isinstance(value, str):
            return None
        if re.fullmatch(r"[0-9]{9,13}(\.[0-9]+)?", value):
            return moment(float(value))
        date = datetime.fromisoformat(value)
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def listed(data: object) -> list[dict[str, Any]] | None:
    """The events of a log's JSON, None if it is not a list of events."""
    entries = data.get("content") if isinstance(data, dict) else data
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return None
    return entries


class EventLogReader:
    """Takes the body of an event log in pieces, and gives a body of bounded size that says the same.

    Up to `SMALL_LOG` bytes that is the body itself; of more, a list of the newest `MOST_EVENTS` events
    without their headers and bodies. What is not an event log comes back as its first bytes only.
    """

    def __init__(self) -> None:
        self._start = bytearray()
        self._size = 0
        self._events: list[Event] = []
        self._found = ijson.sendable_list()
        self._parser: Any = None
        self._is_log = True

    @property
    def full(self) -> bool:
        """Whether nothing more should be read."""
        return self._size > LARGEST_LOG or not self._is_log

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        self._size += len(piece)
        if self._parser is None:
            self._start += piece
            if len(self._start) <= SMALL_LOG:
                return
            prefix = "content.item" if self._start.lstrip()[:1] == b"{" else "item"
            self._parser = ijson.items_coro(self._found, prefix, use_float=True)
            piece = bytes(self._start)
            del self._start[1000:]
        self._parse(partial(self._parser.send, piece))

    def body(self) -> bytes:
        """The body, once all was fed, or `full`."""
        if self._parser is None:
            return bytes(self._start)
        cut_off = self._size > LARGEST_LOG
        if self._is_log and not cut_off:
            self._parse(self._parser.close)
        if not self._is_log or not self._events:
            return bytes(self._start)
        self._drop_oldest()
        shown: list[dict[str, Any]] = [
            {
                "id": event.id,
                "createdDate": event.at and event.at.isoformat(),
                "statusCode": event.status_code,
            }
            for event in self._events
        ]
        return json.dumps([*shown, CUT_OFF] if cut_off else shown).encode()

    def _parse(self, step: Callable[[], object]) -> None:
        try:
            step()
            events = listed(list(self._found))
            self._is_log = events is not None
            self._events += map(event_of, events or [])
        except (ijson.JSONError, ValueError):
            self._is_log = False
        del self._found[:]
        if len(self._events) > 2 * MOST_EVENTS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        if len(self._events) > MOST_EVENTS:
            self._events.sort(key=newest_first, reverse=True)
            del self._events[MOST_EVENTS:]
