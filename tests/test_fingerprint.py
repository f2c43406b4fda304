"""Fingerprints: equal secrets are recognised, different ones told apart, and none is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.fingerprint import SIZE, Fingerprints

keys = st.binary(min_size=1, max_size=64)
# Also halves of a pair, which a damaged file can hold.
texts = st.text(st.characters(exclude_categories=()), max_size=12)
lines = st.lists(texts, min_size=1, max_size=4)


def one(key: bytes, line: list[str]) -> bytes:
    (found,) = Fingerprints(key).of_columns([[value] for value in line])
    return found


@given(keys, lines, lines)
def test_two_lines_have_one_fingerprint_only_if_they_are_the_same(
    key: bytes, line: list[str], other: list[str]
) -> None:
    assert (one(key, line) == one(key, other)) is (line == other)


@given(keys, st.text(max_size=12), st.integers(0, 12))
def test_where_one_value_ends_and_the_next_begins_matters(key: bytes, text: str, cut: int) -> None:
    parts = [text[:cut], text[cut:]]
    assert one(key, parts) != one(key, [text, ""]) or parts == [text, ""]
    assert one(key, parts) != one(key, [text])


@given(st.lists(keys, min_size=2, max_size=2, unique_by=lambda key: key.rstrip(b"\0")), lines)
def test_another_key_gives_another_fingerprint(two: list[bytes], line: list[str]) -> None:
    assert one(two[0], line) != one(two[1], line)


@given(keys, st.lists(st.tuples(texts, texts), max_size=20))
def test_a_line_s_fingerprint_does_not_depend_on_its_neighbours(
    key: bytes, table: list[tuple[str, str]]
) -> None:
    columns = [[line[0] for line in table], [line[1] for line in table]]
    assert Fingerprints(key).of_columns(columns) == [one(key, list(line)) for line in table]


def test_a_fingerprint_stays_the_same_from_version_to_version() -> None:
    assert one(b"key", ["planted-token", "Zoë"]).hex() == "a742467324582e377dfc29c079c25468"
    assert len(one(b"key", [""])) == SIZE
