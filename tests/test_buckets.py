"""Rows of an input in parts are judged as they would be all together."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard import buckets
from bulk_onboard.repeats import Sightings, findings_of, of_growers, of_tokens

# Few growers and tokens, so that they meet.
_ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 1)), max_size=30)


def _sightings(rows: list[tuple[int, int, int]], first: int) -> Sightings:
    """Rows of a grower, a token and one of two other things that a row may say."""
    growers, tokens, others = (np.array(column, np.uint64) for column in zip(*rows, strict=True))
    ids = np.stack([growers, growers * np.uint64(7)], axis=1)
    numbers = np.arange(first, first + len(rows), dtype=np.int64)
    return Sightings(numbers, ids, tokens, tokens * np.uint64(2) + others)


def _whole(seen: Sightings, *, allowed: bool) -> pd.DataFrame:
    return findings_of([of_growers(seen), {} if allowed else of_tokens(seen)])


@given(st.lists(_ROWS.filter(bool), min_size=1, max_size=4), st.integers(1, 5), st.booleans())
def test_what_meets_in_buckets_is_what_meets_in_the_whole(
    parts: list[list[tuple[int, int, int]]], many: int, allowed: bool
) -> None:
    first, seen = 2, []
    for rows in parts:
        seen.append(_sightings(rows, first))
        first += len(rows)
    found = [
        findings
        for bucket in range(many)
        for findings in buckets.judge(
            [buckets.share({"raven": part}, bucket, many) for part in seen], allow_shared_tokens=allowed
        )
    ]
    whole = Sightings(*(np.concatenate(column) for column in zip(*seen, strict=True)))
    pd.testing.assert_frame_equal(findings_of(found), _whole(whole, allowed=allowed))


@given(_ROWS.filter(bool), st.integers(1, 5))
def test_each_row_is_in_one_bucket_by_its_grower_and_in_one_by_its_token(
    rows: list[tuple[int, int, int]], many: int
) -> None:
    seen = _sightings(rows, 2)
    shares = [buckets.share({"": seen}, bucket, many) for bucket in range(many)]
    for side in ("growers", "tokens"):
        numbers = np.concatenate([getattr(share, side)[""].rows for share in shares])
        assert sorted(numbers) == list(seen.rows)


def test_growers_of_two_providers_do_not_meet() -> None:
    one, other = _sightings([(1, 1, 0)], 2), _sightings([(1, 2, 0)], 3)
    shares = [buckets.share({"raven": one, "claas": other}, 0, 1)]
    assert findings_of(buckets.judge(shares, allow_shared_tokens=False)).empty
    shares = [buckets.share({"raven": one}, 0, 1), buckets.share({"raven": other}, 0, 1)]
    assert set(findings_of(buckets.judge(shares, allow_shared_tokens=False))["code"]) == {"conflicting-rows"}
