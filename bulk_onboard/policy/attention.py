"""The consequences of rows that need attention: exit code, changes since the last run, notification. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from bulk_onboard.errors import ExitCode
from bulk_onboard.settings import FailOn, NotifyWhen


class RecordedAttention(NamedTuple):
    """The growers that needed attention after a run (a Parquet file), and what of it counts now.

    ``providers``: those with growers that count; ``others``: whether rows without a grower or a provider do.
    """

    content: bytes
    providers: Sequence[str]
    others: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What has changed since an earlier run.

    ``worse``: how many growers or rows newly need attention, by status (or ``unhealthy``) and code;
    ``recovered``: how many growers no longer need it; ``lasting``: how many still need it.
    """

    worse: Mapping[tuple[str, str], int] = field(default_factory=dict)
    recovered: int = 0
    lasting: int = 0


def code_for(outcome: ExitCode, fail_on: FailOn, *, is_worse: bool) -> ExitCode:
    """Return the exit code for how a run ended.

    ``is_worse``: some row needs attention that did not need it after the last run.
    """
    if outcome is not ExitCode.ATTENTION or fail_on is FailOn.PROBLEMS:
        return outcome
    return outcome if fail_on is FailOn.CHANGE and is_worse else ExitCode.OK


class Turn(Enum):
    """Whether the state became worse or better since the previous run."""

    WORSE = auto()
    BETTER = auto()
    SAME = auto()


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended. ``last``: how the previous run ended; None if there was none, or it is not known.

    ``began``: whether the run is in the ledger at all. ``reported``: whether its report was written.
    """

    code: ExitCode
    change: Change = field(default_factory=Change)
    last: ExitCode | None = None
    began: bool = True
    reported: bool = True

    @property
    def turn(self) -> Turn:
        """Whether the state became worse or better; worse takes precedence, because it may wake people."""
        if self.change.worse or (_cut_short(self.code) and self.code != self.last):
            return Turn.WORSE
        if self.change.recovered or (_cut_short(self.last) and not _cut_short(self.code)):
            return Turn.BETTER
        return Turn.SAME

    def is_told(self, when: NotifyWhen) -> bool:
        """Whether to send a notification.

        A run that did not start leaves nothing to compare with, so it always causes a notification. A run
        that found the ledger in use does not: the other run sends its own.
        """
        match when:
            case NotifyWhen.ALWAYS:
                return True
            case NotifyWhen.PROBLEMS:
                return self.code is not ExitCode.OK
            case NotifyWhen.CHANGE:
                return self.code is not ExitCode.BUSY and self.turn is not Turn.SAME


def _cut_short(code: ExitCode | None) -> bool:
    """Whether the run was interrupted or stopped before its end."""
    return code not in {None, ExitCode.OK, ExitCode.ATTENTION}
