"""What the exit code says of rows that need attention. Pure."""

from __future__ import annotations

from bulk_onboard.errors import ExitCode
from bulk_onboard.settings import FailOn


def code_for(outcome: ExitCode, fail_on: FailOn, *, is_worse: bool) -> ExitCode:
    """Return the exit code for how a run ended.

    ``is_worse``: some row needs attention that did not need it after the last run.
    """
    if outcome is not ExitCode.ATTENTION or fail_on is FailOn.PROBLEMS:
        return outcome
    return outcome if fail_on is FailOn.CHANGE and is_worse else ExitCode.OK
