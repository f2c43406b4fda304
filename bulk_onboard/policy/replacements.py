"""How many growers may be between old and new credentials at a time, and when no more may be. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from bulk_onboard.domain.model import Status
from bulk_onboard.policy.progress import LEFT_WITHOUT, Finish, Progress

# At a time: until one replacement has succeeded, until `ENOUGH` have, and from then on.
FIRST, FEW, MANY = 1, 3, 10
ENOUGH = 10
# If the first UNUSABLE stored replacements are all unusable by their status, the app is wrong.
UNUSABLE = 3
_UNUSABLE_STATUSES = frozenset({"UNAUTHENTICATED", "MISSING_PERMISSION"})


class Replaced(Enum):
    """The result of one replacement."""

    NOTHING_DELETED = auto()
    SUCCEEDED = auto()
    UNUSABLE = auto()
    LOST = auto()  # the old credentials are gone, or may be, and the new ones are not known to be stored


@dataclass(frozen=True, slots=True)
class Replacements:
    """Replacements of one run: how many are under way, and what came of the others."""

    under_way: int = 0
    succeeded: int = 0
    unusable: int = 0
    lost: int = 0

    @property
    def may_start(self) -> bool:
        """Whether one more grower may lose the old credentials now."""
        limit = FIRST if not self.succeeded else FEW if self.succeeded < ENOUGH else MANY
        return self.under_way < limit

    @property
    def reason_to_stop(self) -> str | None:
        """Why no more credentials may be deleted; None to go on."""
        if self.lost:
            return "a grower's old credentials were deleted, and the new ones were not stored"
        if self.unusable >= UNUSABLE and not self.succeeded:
            return f"Leaf cannot use the new credentials of the first {self.unusable} growers (wrong app?)"
        return None

    def started(self) -> Replacements:
        """Return the state with one more under way."""
        return replace(self, under_way=self.under_way + 1)

    def ended(self, result: Replaced) -> Replacements:
        """Return the state with one less under way."""
        return replace(
            self,
            under_way=self.under_way - 1,
            succeeded=self.succeeded + (result is Replaced.SUCCEEDED),
            unusable=self.unusable + (result is Replaced.UNUSABLE),
            lost=self.lost + (result is Replaced.LOST),
        )


def result_of(progress: Progress, finish: Finish) -> Replaced:
    """Return the result of the replacement of a row with this end."""
    if finish.status is Status.CREATED:
        status = finish.credential.status.upper() if finish.credential else ""
        return Replaced.UNUSABLE if status in _UNUSABLE_STATUSES else Replaced.SUCCEEDED
    is_unknown = finish.status is Status.UNRESOLVED and progress.deletes > 0
    return Replaced.LOST if finish.code == LEFT_WITHOUT or is_unknown else Replaced.NOTHING_DELETED
