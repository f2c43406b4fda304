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
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import ijson

from bulk_onboard.leaf.scrub import word
from bulk_onboard.model import Event
from bulk_onboard.policy.health import newest_first

# Bytes up to which a log is kept as it came. Larger ones are read piece by piece.
SMALL_LOG = 1 << 16
# Bytes after which reading stops. An event an hour of 1.3 kB makes 1 MB in the 30 days that Leaf keeps.
LARGEST_LOG = 32 << 20
# Events that are kept of a larger log, the newest ones.
MOST_EVENTS = 10_000
# In place of an event: the log was longer than what was read.
CUT_OFF = {"cutOff": True}

_FIELDS = frozenset({"id", "createdDate", "statusCode"})
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
    if found := _STATUS.match(text):
        code = int(found[1])
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
    found = data.get("content") if isinstance(data, dict) else data
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        return None
    return found


class EventLogReader:
    """Takes the body of an event log in pieces, and gives a body of bounded size that says the same.

    Up to `SMALL_LOG` bytes that is the body itself; of more, a list of the newest `MOST_EVENTS` events
    without their headers and bodies. What is not an event log comes back as its first bytes only.
    """

    def __init__(self) -> None:
        self._start = bytearray()
        self._size = 0
        self._events: list[Event] = []
        self._parser: _Parser | None = None
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
            self._parser, piece = _Parser(), bytes(self._start)
            del self._start[1000:]
        self._parse(piece)

    def body(self) -> bytes:
        """The body, once all was fed, or `full`."""
        if self._parser is None:
            return bytes(self._start)
        cut_off = self._size > LARGEST_LOG
        if self._is_log and not cut_off:
            self._parse(None)
        if not self._is_log:
            return bytes(self._start)
        self._drop_oldest()
        kept: list[dict[str, Any]] = [
            {"id": each.id, "createdDate": each.at and each.at.isoformat(), "statusCode": each.status_code}
            for each in self._events
        ]
        return json.dumps([*kept, CUT_OFF] if cut_off else kept).encode()

    def _parse(self, piece: bytes | None) -> None:
        """None: the body ends here."""
        assert self._parser is not None  # noqa: S101  (narrows the type)
        try:
            self._events += map(event_of, self._parser.events(piece))
        except (ijson.JSONError, ValueError):
            self._is_log = False
        if len(self._events) > 2 * MOST_EVENTS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        if len(self._events) > MOST_EVENTS:
            self._events.sort(key=newest_first, reverse=True)
            del self._events[MOST_EVENTS:]


class _Parser:
    """The events in pieces of JSON: of a list, or of the list ``content`` in an object."""

    def __init__(self) -> None:
        self._tokens = ijson.sendable_list()
        self._parse = ijson.parse_coro(self._tokens, use_float=True)
        self._prefix = ""
        self._has_list = False
        self._event: dict[str, Any] = {}

    def events(self, piece: bytes | None) -> Iterator[dict[str, Any]]:
        """Those that end in this piece. None: the end. Raises ijson.JSONError, ValueError."""
        if piece is None:
            self._parse.close()
            if not self._has_list:
                raise ValueError("no list of events")
        else:
            self._parse.send(piece)
        tokens = self._tokens[:]
        del self._tokens[:]
        for prefix, kind, value in tokens:
            if not self._prefix:
                self._prefix = {"start_array": "item", "start_map": "content.item"}.get(kind, "?")
            if kind == "start_array" and prefix == self._prefix.removesuffix("item").rstrip("."):
                self._has_list = True
            elif prefix == self._prefix:
                if kind == "start_map":
                    self._event = {}
                elif kind == "end_map":
                    yield self._event
                elif kind != "map_key":
                    raise ValueError("an element that is not an event")
            elif prefix.startswith(self._prefix):
                self._take(prefix[len(self._prefix) + 1 :], kind, value)

    def _take(self, name: str, kind: str, value: Any) -> None:
        if name in _FIELDS and kind in {"string", "number", "boolean", "null"}:
            self._event[name] = value
        elif name == "createdDate" and kind == "start_array":
            self._event[name] = []
        elif (
            name == "createdDate.item"
            and kind == "number"
            and isinstance(self._event.get("createdDate"), list)
        ):
            self._event["createdDate"].append(value)
