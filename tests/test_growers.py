"""What is known of all growers at once."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.growers import (
    HEALTHS,
    GrowerColumns,
    Growers,
    State,
    growers,
    nobody,
    together,
)
from bulk_onboard.texts import uuid_words

# Also ids that share their first half, as those of one moment may.
ids = st.uuids() | st.integers(0, 5).map(lambda low: UUID(int=(7 << 64) + low))
entries = st.tuples(
    ids.map(str),
    st.sampled_from(["", "0f" * 16, "a1" * 16]),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.sampled_from(State),
    st.sampled_from(HEALTHS),
    st.uuids().map(str) | st.text(max_size=5) | st.uuids().map(lambda one: str(one).upper()),
)
Entries = list[tuple[str, str, int, State, str, str]]


def built(found: Entries) -> Growers:
    return (
        growers(GrowerColumns(*(list(column) for column in zip(*found, strict=True)))) if found else nobody()
    )


def words(names: list[str]) -> np.ndarray:
    return uuid_words(pa.array(names, pa.large_string()))


def told(known: Growers, name: str) -> tuple[int, int, str, str] | None:
    (at,) = known.find(words([name])).tolist()
    if at < 0:
        return None
    (held,) = known.credential_texts(pa.array([at])).to_pylist()
    return int(known.apps[at].view(np.int64)), int(known.states[at]), HEALTHS[known.healths[at]], held


@given(st.lists(entries), st.lists(ids.map(str)))
def test_the_last_entry_of_a_grower_counts_and_strangers_are_not_found(
    found: Entries, others: list[str]
) -> None:
    known, last = built(found), {one[0]: one[2:] for one in found}
    for name in [*last, *others]:
        assert told(known, name) == last.get(name)


@given(st.lists(st.lists(entries), max_size=4))
def test_parts_come_together_in_order(parts: list[Entries]) -> None:
    known, last = (
        together([built(part) for part in parts]),
        {one[0]: one[2:] for part in parts for one in part},
    )
    assert {name: told(known, name) for name in last} == last
    assert len(known) == len(last)


@given(st.lists(entries), st.lists(entries))
def test_what_is_newer_wins_and_who_is_to_do_again_is_left_out(old: Entries, new: Entries) -> None:
    known = nobody().with_newer(built(old)).with_newer(built(new))
    last = {one[0]: one[2:] for one in [*old, *new]}
    for name, expected in last.items():
        assert told(known, name) == (None if expected[1] == State.TO_DO else expected)


def test_an_id_that_is_no_uuid_is_nobody_s() -> None:
    assert len(growers(GrowerColumns(["g-1"], [""], [0], [State.DONE], [""], [""]))) == 0


def test_growers_whose_keys_collide_are_told_apart() -> None:
    first, other = 5, 9
    odd = 0x9E3779B97F4A7C15
    pairs = [(first, 3), (other, ((first ^ other ^ (3 * odd)) * pow(odd, -1, 1 << 64)) % (1 << 64))]
    names = [str(UUID(bytes=np.array(pair, np.uint64).tobytes())) for pair in pairs]
    known = growers(GrowerColumns(names, ["", ""], [0, 0], [State.DONE, State.OPEN], ["", ""], ["a", "b"]))
    assert known.longest == 2
    assert [told(known, name) for name in names] == [(0, 0, "", "a"), (0, 2, "", "b")]


@given(st.lists(st.uuids(), min_size=1, unique=True))
def test_credentials_with_uuids_take_sixteen_bytes_each(found: list[UUID]) -> None:
    names = [str(one) for one in found]
    known = growers(
        GrowerColumns(
            names, [""] * len(names), [0] * len(names), [State.DONE] * len(names), [""] * len(names), names
        )
    )
    assert known.credential_ids.nbytes == 16 * len(names)
    assert [told(known, name) for name in names] == [(0, 0, "", name) for name in names]
