"""What Leaf replied to one row, so that its outcome is recorded with the reply that decided it."""

from __future__ import annotations

from typing import Any

from bulk_onboard.model import Answer
from bulk_onboard.policy.progress import LEFT_WITHOUT

# What ends a row without a reply to it: our own stop, a login that was refused, or silence.
_WITHOUT_REPLY = frozenset({"interrupted", "login-refused", "leaf-unavailable", "no-answer"})


class RowReplies:
    """The replies to the requests of one row. ``latest``: the newest, None before the first."""

    def __init__(self) -> None:
        self.latest: Answer[Any] | None = None
        self._by_code: dict[str, Answer[Any]] = {}

    def add(self, answer: Answer[Any]) -> None:
        """Take the answer to a request."""
        self.latest = answer
        if code := getattr(answer.verdict, "code", ""):
            self._by_code[code] = answer

    def deciding(self, code: str, message: str) -> Answer[Any] | None:
        """Return the reply that an outcome with this code and message comes from; None if from none.

        A grower that was left without credentials has the code of the reason at the beginning of its message.
        """
        reason = message.partition(":")[0] if code == LEFT_WITHOUT else code
        if reason in _WITHOUT_REPLY:
            return self._by_code.get(reason)
        return self._by_code.get(reason, self.latest)
