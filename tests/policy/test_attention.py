"""What the exit code says of rows that need attention."""

from __future__ import annotations

import itertools

import pytest

from bulk_onboard.errors import ExitCode
from bulk_onboard.policy.attention import code_for
from bulk_onboard.settings import FailOn


@pytest.mark.parametrize(
    ("fail_on", "is_worse", "code"),
    [
        (FailOn.PROBLEMS, False, 1),
        (FailOn.PROBLEMS, True, 1),
        (FailOn.CHANGE, False, 0),
        (FailOn.CHANGE, True, 1),
        (FailOn.NEVER, False, 0),
        (FailOn.NEVER, True, 0),
    ],
)
def test_rows_that_need_attention_fail_a_run_as_asked(fail_on: FailOn, is_worse: bool, code: int) -> None:
    assert code_for(ExitCode.ATTENTION, fail_on, is_worse=is_worse) == code


def test_every_other_end_keeps_its_code() -> None:
    for code, fail_on, is_worse in itertools.product(ExitCode, FailOn, (True, False)):
        if code is not ExitCode.ATTENTION:
            assert code_for(code, fail_on, is_worse=is_worse) is code
