"""When Leaf is unavailable for everybody, and how long that is waited out. Pure; times are handed in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bulk_onboard.domain.model import Ambiguous, Transient

# Consecutive failures, and the different growers they are of: it is not one grower's credentials that fail.
FAILURES, TARGETS = 10, 3
# Seconds from the first failure until the run stops, besides what Leaf asks to wait (that at most).
PATIENCE, LONGEST_WAIT = 60.0, 600.0
# Seconds until the next request tries whether Leaf is back: doubled each time, up to the cap.
FIRST_PAUSE, PAUSE_CAP = 0.5, 5.0

_CODES = frozenset(
    {
        "connection-refused", "connect-timeout", "dns-failure", "tls-failure", "leaf-unavailable",
        "server-error", "no-answer", "connection-lost",
    }
)  # fmt: skip


def is_failure(verdict: object) -> bool:
    """Whether an answer says that Leaf, or the way to it, is out of order."""
    return isinstance(verdict, Transient | Ambiguous) and verdict.code in _CODES


@dataclass(frozen=True, slots=True)
class Outage:
    """The failures since the last request that Leaf served.

    ``targets``: growers that they were of; ``since``, ``latest``: when the first and the last came;
    ``tries``: how many requests have tried in vain since then; ``asked_to_wait``: the longest wait that Leaf
    asked for. Times in seconds, of any clock.
    """

    failures: int = 0
    targets: frozenset[str] = frozenset()
    since: float = 0.0
    latest: float = 0.0
    tries: int = 0
    asked_to_wait: float = 0.0

    @property
    def is_on(self) -> bool:
        """Whether requests are to wait, but for one at a time that tries whether Leaf is back."""
        return self.failures >= FAILURES and len(self.targets) >= TARGETS

    @property
    def next_try(self) -> float:
        """Return when the next request may be sent."""
        return self.latest + min(PAUSE_CAP, FIRST_PAUSE * 2.0 ** min(self.tries, 16))

    def is_too_long(self, now: float) -> bool:
        """Whether it has lasted for longer than it is waited out."""
        return self.is_on and now - self.since > PATIENCE + min(self.asked_to_wait, LONGEST_WAIT)

    def failed(self, target: str, now: float, after: float = 0.0) -> Outage:
        """Return the state after one more failure; ``after``: seconds that Leaf asks to wait."""
        return replace(
            self,
            failures=self.failures + 1,
            targets=self.targets if len(self.targets) >= TARGETS else self.targets | {target},
            since=self.since if self.failures else now,
            latest=now,
            tries=self.tries + self.is_on,
            asked_to_wait=max(self.asked_to_wait, after),
        )
