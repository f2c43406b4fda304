"""Fingerprints: equal secrets are recognised, different ones told apart, and none is shown."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.fingerprint import LONGEST, SIZE, Fingerprints
from bulk_onboard.siphash import SipHash

keys = st.binary(min_size=1, max_size=64)
# Around a word of eight bytes, and around the length from which a digest is taken.
texts = st.one_of(
    st.text(max_size=20),
    st.integers(LONGEST - 2, LONGEST + 2).map(lambda length: "a" * length),
    st.text(min_size=1, max_size=3).map(lambda text: text * LONGEST),
)
lines = st.lists(texts, min_size=1, max_size=4)


def prints(key: bytes, table: list[list[str]]) -> list[bytes]:
    """The fingerprint of each line."""
    columns = [pa.array(column, pa.large_string()) for column in zip(*table, strict=True)]
    found = Fingerprints(key).of_columns(columns)
    assert found.dtype == np.uint64
    return [line.tobytes() for line in found]


def one(key: bytes, line: list[str]) -> bytes:
    (found,) = prints(key, [line])
    return found


# --- SipHash ----------------------------------------------------------------------------------------


def siphash(key: bytes, message: bytes) -> bytes:
    """SipHash-2-4 with 128 bits as the paper tells it, a number at a time."""
    ones = (1 << 64) - 1
    low, high = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    a, b = low ^ 0x736F6D6570736575, high ^ 0x646F72616E646F6D ^ 0xEE
    c, d = low ^ 0x6C7967656E657261, high ^ 0x7465646279746573

    def turned(word: int, bits: int) -> int:
        return (word << bits | word >> (64 - bits)) & ones

    def rounds(a: int, b: int, c: int, d: int, count: int) -> tuple[int, int, int, int]:
        for _ in range(count):
            a, c = (a + b) & ones, (c + d) & ones
            b, d = turned(b, 13) ^ a, turned(d, 16) ^ c
            a = turned(a, 32)
            c, a = (c + b) & ones, (a + d) & ones
            b, d = turned(b, 17) ^ c, turned(d, 21) ^ a
            c = turned(c, 32)
        return a, b, c, d

    whole = len(message) // 8 * 8
    last = message[whole:].ljust(7, b"\0") + bytes([len(message) % 256])
    for block in [*(message[at : at + 8] for at in range(0, whole, 8)), last]:
        word = int.from_bytes(block, "little")
        a, b, c, d = rounds(a, b, c, d ^ word, 2)
        a ^= word
    a, b, c, d = rounds(a, b, c ^ 0xEE, d, 4)
    first = a ^ b ^ c ^ d
    a, b, c, d = rounds(a, b ^ 0xDD, c, d, 4)
    return first.to_bytes(8, "little") + (a ^ b ^ c ^ d).to_bytes(8, "little")


# Of vectors_sip128 at https://github.com/veorq/SipHash: the key is 00 01 … 0f, the message 00 01 ….
@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "a3817f04ba25a8e66df67214c7550293"),
        (1, "da87c1d86b99af44347659119b22fc45"),
        (7, "a1f1ebbed8dbc153c0b84aa61ff08239"),
        (8, "3b62a9ba6258f5610f83e264f31497b4"),
        (9, "264499060ad9baabc47f8b02bb6d71ed"),
    ],
)
def test_the_hash_is_that_of_its_authors(length: int, expected: str) -> None:
    key, message = bytes(range(16)), bytes(range(length))
    assert siphash(key, message).hex() == expected
    if length % 8 == 0:
        hashes = SipHash(key, 1)
        for word in np.frombuffer(message, "<u8"):
            hashes.add(np.array([word], np.uint64))
        assert hashes.finish().tobytes().hex() == expected


@given(keys, st.lists(st.tuples(texts, texts), min_size=1, max_size=20))
def test_a_fingerprint_is_the_hash_of_all_values_with_their_lengths(
    key: bytes, table: list[tuple[str, str]]
) -> None:
    sip_key = blake2b(key=key, digest_size=16, person=b"siphash").digest()

    def message(value: bytes) -> bytes:
        long = blake2b(value, key=key, digest_size=64, person=b"long").digest()
        said = long if len(value) > LONGEST else value
        return len(value).to_bytes(8, "little") + said + bytes(-len(said) % 8)

    expected = [siphash(sip_key, b"".join(message(value.encode()) for value in line)) for line in table]
    assert prints(key, [list(line) for line in table]) == expected


# --- fingerprints -----------------------------------------------------------------------------------


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


@given(keys, st.lists(st.tuples(texts, texts), min_size=1, max_size=20))
def test_a_line_s_fingerprint_does_not_depend_on_its_neighbours(
    key: bytes, table: list[tuple[str, str]]
) -> None:
    found = prints(key, [list(line) for line in table])
    assert found == [one(key, list(line)) for line in table]


def test_a_part_of_a_column_has_the_fingerprints_of_that_part() -> None:
    column = pa.array(["", "planted-a", "Zoë" * 100, "planted-b", ""], pa.large_string())
    whole = Fingerprints(b"key").of_columns([column])
    assert (Fingerprints(b"key").of_columns([column.slice(1, 3)]) == whole[1:4]).all()
    assert Fingerprints(b"key").of_columns([column[:0]]).shape == (0, 2)


def test_a_fingerprint_stays_the_same_from_version_to_version() -> None:
    assert one(b"key", ["planted-token", "Zoë"]).hex() == "b3f83fad22e4c10da2ed52103ab1c95d"
    assert len(one(b"key", [""])) == SIZE
