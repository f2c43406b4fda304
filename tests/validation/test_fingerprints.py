"""Fingerprints: equal secrets are recognised, different ones told apart, and none is shown."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.validation.fingerprints import ENVIRONMENT_HALF, Fingerprints

keys = st.binary(min_size=1, max_size=64)
texts = st.text(max_size=20)
rows = st.lists(texts, min_size=1, max_size=4)
# Two rows of the same width.
pairs = st.integers(1, 4).flatmap(
    lambda width: st.tuples(*[st.lists(texts, min_size=width, max_size=width)] * 2)
)


def prints(key: bytes, table: list[list[str]]) -> list[bytes]:
    """The fingerprint of each row."""
    columns = [pa.array(column, pa.large_string()) for column in zip(*table, strict=True)]
    result = Fingerprints(key).of_columns(columns)
    assert result.dtype == np.uint64
    return [row.tobytes() for row in result]


@given(
    keys,
    st.integers(1, 4).flatmap(
        lambda width: st.tuples(*[st.lists(texts, min_size=width, max_size=width)] * 2)
    ),
)
def test_two_rows_have_the_same_fingerprint_only_if_they_are_equal(
    key: bytes, pair: tuple[list[str], list[str]]
) -> None:
    row, other = pair
    assert (Fingerprints(key).of_row(row) == Fingerprints(key).of_row(other)) is (row == other)


@given(keys, st.text(max_size=12), st.integers(0, 12))
def test_boundaries_between_values_matter(key: bytes, text: str, cut: int) -> None:
    parts = [text[:cut], text[cut:]]
    assert Fingerprints(key).of_row(parts) != Fingerprints(key).of_row([text, ""]) or parts == [text, ""]


@given(st.lists(keys, min_size=2, max_size=2, unique_by=lambda key: key.rstrip(b"\0")), rows)
def test_another_key_gives_another_fingerprint(two: list[bytes], row: list[str]) -> None:
    assert Fingerprints(two[0]).of_row(row) != Fingerprints(two[1]).of_row(row)


@given(keys, st.lists(st.tuples(texts, texts), min_size=1, max_size=20))
def test_a_fingerprint_does_not_depend_on_neighbouring_rows(key: bytes, table: list[tuple[str, str]]) -> None:
    expected = [Fingerprints(key).of_row(row) for row in table]
    assert prints(key, [list(row) for row in table]) == expected


def test_part_of_a_column_has_the_same_fingerprints_as_in_the_whole() -> None:
    column = pa.array(["", "planted-a", "Zoë" * 100, "planted-b", ""], pa.large_string())
    whole = Fingerprints(b"key").of_columns([column])
    assert (Fingerprints(b"key").of_columns([column.slice(1, 3)]) == whole[1:4]).all()
    assert Fingerprints(b"key").of_columns([column[:0]]).shape == (0, 2)


def test_a_fingerprint_stays_the_same_from_version_to_version() -> None:
    assert Fingerprints(b"key").of_row(["planted-token"]).hex() == "59ade65bea229625f3d9d5ae8268f400"
    assert Fingerprints(b"key").of_row(["planted-token", "Zoë"]).hex() == "5d6b83e728c78a1a22349f0944e9f1c2"


apps = st.dictionaries(st.sampled_from(["clientId", "clientSecret", "apiKey"]), st.text(max_size=4))


@given(apps, st.text(max_size=4), apps, st.text(max_size=4))
def test_the_mark_of_an_application_covers_fields_and_environment(
    app: dict[str, str], environment: str, other: dict[str, str], elsewhere: str
) -> None:
    prints = Fingerprints(b"key")
    mark, others = (
        prints.of_app({**fields, "clientEnvironment": place}, "clientEnvironment")
        for fields, place in ((app, environment), (other, elsewhere))
    )
    filled, others_filled = ({n: v for n, v in fields.items() if v} for fields in (app, other))
    assert ((mark & ENVIRONMENT_HALF) == (others & ENVIRONMENT_HALF)) is (environment == elsewhere)
    assert ((mark >> 32) == (others >> 32)) is (filled == others_filled)
    assert mark != Fingerprints(b"other").of_app(app, "clientEnvironment")
