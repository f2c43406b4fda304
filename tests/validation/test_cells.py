"""Columns of text as bytes; UUIDs as numbers and back: nothing else is taken for them."""

from __future__ import annotations

import re
import uuid

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.validation.cells import bytes_of, uuid_texts, uuid_words

UUID = re.compile("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
ids = st.uuids().map(str)
# UUIDs with another character somewhere, and with two parts exchanged.
damaged = st.builds(
    lambda text, at, character: text[:at] + character + text[at + 1 :],
    ids,
    st.integers(0, 35),
    st.sampled_from("-gG aZ0é_"),
)
turned = st.builds(lambda text, at: text[at:] + text[:at], ids, st.integers(0, 35))


def column(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


@given(st.lists(st.one_of(ids, ids.map(str.upper), damaged, turned, st.text(max_size=40)), max_size=4))
def test_a_column_has_words_only_if_all_of_it_is_uuids(texts: list[str]) -> None:
    words = uuid_words(column(texts))
    if words is None:
        assert not all(UUID.fullmatch(text) for text in texts)
    else:
        assert [line.tobytes() for line in words] == [uuid.UUID(text).bytes for text in texts]
        assert all(UUID.fullmatch(text) for text in texts)
        assert uuid_texts(words).to_pylist() == [text.lower() for text in texts]


@given(st.lists(st.text(max_size=5), max_size=8), st.integers(0, 8))
def test_the_bytes_of_a_part_of_a_column_are_those_of_its_texts(texts: list[str], start: int) -> None:
    data, starts, lengths = bytes_of(column(texts).slice(start))
    ends = starts + lengths
    found = [data[at:end].tobytes().decode() for at, end in zip(starts, ends, strict=True)]
    assert found == texts[start:]


def test_a_column_in_pieces_is_read_as_one() -> None:
    ids = [str(uuid.UUID(int=number)) for number in (1, 2)]
    words = uuid_words(pa.chunked_array([column([text]) for text in ids]))
    assert words is not None
    assert words.dtype == np.uint64
    assert uuid_texts(words).to_pylist() == ids
