"""The search for the rate that Leaf takes: what is known of it, and the rate that follows. No clock."""

from __future__ import annotations

from bulk_onboard.pace.probe import Immune, Knowledge, Probe, Refusal, learn

# A new rate is set in steps of at least this share of the old one.
STEP = 0.01
# Without a ceiling, whoever may send so many requests per second may send as many as he can.
FREE = 20_000.0


class Search:
    """``rate``: requests per second that may go out now, at most ``highest`` (0: no ceiling)."""

    def __init__(self, highest: float) -> None:
        self._highest = highest
        self._known: Knowledge = None
        self._sending = 0.0
        self.rate = highest

    def refused(self, told: Refusal) -> bool:
        """Learn from a refusal. Whether anything was learned: then what was counted so far is settled."""
        known = learn(self._known, told)
        if known is self._known:
            return False
        if not (isinstance(known, Probe) and known.goes_on(self._known)):
            self._sending = 0.0
        match known:
            case Probe():
                self.rate = known.rate(self._sending)
            case Immune() if isinstance(self._known, Probe):
                self.rate = self._known.before
        self._known = known
        return True

    def forget(self) -> None:
        """Nothing that was learned holds: as fast as is allowed again."""
        self._known, self.rate = None, self._highest

    @property
    def is_immune(self) -> bool:
        """Whether a lower rate has not lowered the share of refusals."""
        return isinstance(self._known, Immune)

    @property
    def probing(self) -> bool:
        """Whether the rate changes with the time spent sending."""
        return isinstance(self._known, Probe)

    def sent_for(self, seconds: float) -> None:
        """Requests went out for so many seconds more."""
        self._sending += seconds

    def speed_up(self) -> None:
        """Set the rate for the time spent sending since the refusal."""
        if not isinstance(self._known, Probe):
            return
        wanted = self._known.rate(self._sending)
        if wanted >= (self._highest or FREE):
            self._known = None
            self.rate = self._highest
        elif abs(wanted - self.rate) >= STEP * self.rate:
            self.rate = wanted
