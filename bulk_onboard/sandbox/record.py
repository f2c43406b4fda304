"""What the sandbox saw: one line a request, without any secret."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from bulk_onboard.sandbox.faults import Kind
from bulk_onboard.sandbox.shapes import timestamp


@dataclass(frozen=True, slots=True)
class Seen:
    """One request. ``status`` None: no status went out. ``monotonic``: seconds, for measuring distances."""

    at: float
    monotonic: float
    method: str
    path: str
    leaf_user_id: str
    provider: str
    fingerprint: str
    status: int | None
    fault: Kind | None
    stored: bool

    def shown(self, index: int) -> dict[str, object]:
        """As ``GET /sandbox/requests`` tells it."""
        return {
            "index": index,
            "at": timestamp(self.at),
            "monotonic": self.monotonic,
            "method": self.method,
            "path": self.path,
            "leafUserId": self.leaf_user_id,
            "provider": self.provider,
            "fingerprint": self.fingerprint,
            "status": self.status,
            "fault": self.fault,
            "stored": self.stored,
        }


class Record:
    """The newest requests, in the order in which they were answered."""

    def __init__(self, size: int) -> None:
        self._seen: deque[Seen] = deque(maxlen=size)
        self._total = 0

    def add(self, seen: Seen) -> None:
        """Put one down; the oldest makes room."""
        self._seen.append(seen)
        self._total += 1

    def since(self, index: int = 0) -> Iterator[dict[str, object]]:
        """All from that index on; an index stays the same when older ones are forgotten."""
        first = self._total - len(self._seen)
        for place, seen in enumerate(self._seen, first):
            if place >= index:
                yield seen.shown(place)

    def clear(self) -> None:
        """Forget all."""
        self._seen.clear()
        self._total = 0
