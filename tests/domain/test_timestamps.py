"""Times as text: what is written is ISO 8601 in UTC, cut to milliseconds, and is read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.timestamps import from_text, to_text

_ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=_ZONES | st.just(UTC))  # noqa: DTZ001


@given(_MOMENTS)
def test_timestamps_are_iso_8601_in_utc_with_milliseconds(moment: datetime) -> None:
    text = to_text(moment)
    assert text == moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    read = from_text(text)
    assert read is not None
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)


@given(_MOMENTS, _MOMENTS)
def test_the_order_of_texts_is_that_of_the_moments(first: datetime, second: datetime) -> None:
    earlier, later = sorted((first, second))
    assert to_text(earlier) <= to_text(later)
    assert (to_text(None), from_text("")) == ("", None)
