"""How long a row waits after a refusal or a failure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.policy.retry import Moment, Policy

POLICY = Policy()
DRAWS = st.floats(0, 1, exclude_max=True)


@given(st.integers(0, 100), DRAWS)
def test_random_refusals_wait_for_seconds_only(throttles: int, draw: float) -> None:
    wait = POLICY.after_throttle(throttles, None, Moment(0.0, draw))
    assert wait is not None
    assert 0 <= wait <= POLICY.throttle_cap < POLICY.backoff_cap


@given(st.integers(0, 100), DRAWS, st.floats(0.1, 1_000), st.floats(0, 1_000))
def test_retry_after_is_kept_within_the_patience(
    throttles: int, draw: float, after: float, elapsed: float
) -> None:
    wait = POLICY.after_throttle(throttles, after, Moment(elapsed, draw))
    assert wait == (after if elapsed + after <= POLICY.patience else None)
