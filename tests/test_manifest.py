"""What the input held comes back from its block as it was, in few bytes."""

from __future__ import annotations

import uuid

import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard import manifest
from bulk_onboard.texts import HEX, UUIDS

ids = st.uuids().map(str)
prints = st.binary(min_size=16, max_size=16).map(bytes.hex)
# What may stand in a column, also what only looks like an id or a fingerprint.
cells = st.one_of(ids, ids.map(str.upper), prints, prints.map(str.upper), st.just(""), st.text(max_size=5))
columns = st.one_of(st.lists(cells, min_size=4, max_size=4), cells.map(lambda text: [text] * 4))


def frame(texts: dict[str, list[str]], rows: int) -> pd.DataFrame:
    text = {name: pd.Series(values, dtype="str") for name, values in texts.items()}
    return pd.DataFrame({"row": pd.Series(range(2, 2 + rows), dtype="int64")} | text)


@given(st.fixed_dictionaries({"leafUserId": columns, "code": columns, "keep.region": columns}))
def test_a_frame_comes_back_as_it_was(texts: dict[str, list[str]]) -> None:
    whole = frame(texts, 4)
    for given_ in (whole, whole.iloc[1:3], whole.iloc[:0]):
        found = manifest.unpack(manifest.pack(given_))
        pd.testing.assert_frame_equal(found, given_.reset_index(drop=True), check_index_type=False)


def test_a_block_of_plain_texts_is_read_too() -> None:
    """As earlier versions packed them."""
    whole = frame({"leafUserId": [str(uuid.uuid4()), ""], "status": ["", ""]}, 2)
    table = pa.Table.from_pandas(whole, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    pd.testing.assert_frame_equal(manifest.unpack(sink.getvalue().to_pybytes()), whole)


def test_a_row_takes_little_more_than_its_id_and_its_fingerprint() -> None:
    rows = 10_000
    texts = {
        "leafUserId": [str(uuid.uuid4()) for _ in range(rows)],
        "fingerprint": [uuid.uuid4().hex for _ in range(rows)],
        "status": [""] * rows,
    }
    assert len(manifest.pack(frame(texts, rows))) < 36 * rows


@given(st.lists(cells, min_size=1, max_size=4))
def test_a_form_is_taken_only_where_it_gives_the_very_texts_again(texts: list[str]) -> None:
    for form in (UUIDS, HEX):
        short = form.short(pa.array(texts, pa.large_string()))
        assert short is None or form.long(short).to_pylist() == texts
    some = [text for text in texts if text]
    if some and all(text == text.lower() and len(text) == 36 and text.count("-") == 4 for text in some):
        assert UUIDS.short(pa.array(texts, pa.large_string())) is not None
