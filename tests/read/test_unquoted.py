"""The fast way to read lines without quotes gives what the thorough one gives, or leaves them to it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.read import unquoted
from tests.read.tables import HEADER, as_rows, opened

CELL = st.one_of(
    st.sampled_from(
        ["", " ", "a", "007", "NA", "\ufeff", "\ufeffa", "\0", "\x1c", "\u2028", "é", "🌱", "\\", "'"]
    ),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters='"\r\n,'), max_size=5),
)
LINE = st.one_of(st.tuples(CELL, CELL, CELL).map(",".join), st.lists(CELL, max_size=5).map(",".join))
LINES = st.lists(st.tuples(LINE, st.sampled_from(["\n", "\r\n", "\r"])), min_size=1, max_size=12)


def rows_of(content: bytes, size: int) -> list[tuple[object, ...]]:
    """Everything that is known of the rows."""
    with opened(content) as source:
        chunks = list(source.chunks([1, 0, 1], size))
    ragged = [bool(one) for chunk in chunks for one in chunk.ragged]
    return [(*row, long) for row, long in zip(as_rows(chunks), ragged, strict=True)]


@given(lines=LINES, size=st.integers(1, 5))
@settings(max_examples=80)
def test_lines_without_quotes_are_read_as_the_thorough_reader_reads_them(
    lines: list[tuple[str, str]], size: int
) -> None:
    content = (
        ",".join(HEADER) + "\nfirst,row," + "x" * 2000 + "\n" + "".join(line + end for line, end in lines)
    )
    fast = rows_of(content.encode(), size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unquoted, "columns_of", lambda *_: None)
        assert fast == rows_of(content.encode(), size)


def test_plain_lines_are_read_the_fast_way() -> None:
    found = unquoted.columns_of(b"a,b,c\r\n007,,NA", ",", 3, [0, 1, 0])
    assert found is not None
    assert [column.to_pylist() for column in found] == [["a", "007"], ["b", ""], ["a", "007"]]


@pytest.mark.parametrize(
    "line", ['a,"b",c', "a,b", "a,b,c,d", "", ",,", " a,b,c", "\ufeffa,b,c", "a,b,c\ra,b,c"]
)
def test_lines_that_are_not_plain_are_left_alone(line: str) -> None:
    assert unquoted.columns_of(f"{line}\na,b,c\n".encode(), ",", 3, [0]) is None
