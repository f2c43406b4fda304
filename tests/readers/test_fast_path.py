"""The fast way to read lines gives what the thorough one gives, or leaves them to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.errors import InputError
from bulk_onboard.readers import delimited
from tests.support.properties import scaled
from tests.support.tables import HEADER, as_rows, opened

HEAD = ",".join(HEADER) + "\nfirst,row," + "x" * 2000 + "\n"
CELL = st.one_of(
    st.sampled_from(
        ["", " ", "a", "007", "NA", "\ufeff", "\ufeffa", "\0", "\x1c", "\u2028", "é", "🌱", "\\", "'"]
    ),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters='"\r\n,'), max_size=5),
)
# What may stand in quotes, doubled there; and quotes that are not tidy.
QUOTED = st.lists(st.sampled_from(["a", "é", "🌱", '""', ",", "\n", "\r", "\r\n", " "]), max_size=5).map(
    lambda inner: f'"{"".join(inner)}"'
)
UNTIDY = st.sampled_from(['a"b', ' "a"', '"a" ', '"a', 'a"', '"', '""a', '"a""', '"""'])
LINE = st.one_of(st.tuples(CELL, CELL, CELL).map(",".join), st.lists(CELL, max_size=5).map(",".join))
LINES = st.lists(st.tuples(LINE, st.sampled_from(["\n", "\r\n", "\r"])), min_size=1, max_size=12)


QUOTED_LINES = st.lists(
    st.tuples(
        st.lists(st.one_of(QUOTED, CELL, CELL.map(lambda cell: f'"{cell}"')), min_size=3, max_size=3),
        st.sampled_from(["\n", "\n", "\r\n"]),
    ).map(lambda line: (",".join(line[0]), line[1])),
    min_size=1,
    max_size=12,
)
UNTIDY_LINES = st.lists(
    st.tuples(
        st.lists(st.one_of(QUOTED, CELL, UNTIDY), max_size=4).map(",".join), st.sampled_from(["\n", "\r"])
    ),
    min_size=1,
    max_size=6,
)


def rows_of(content: bytes, size: int) -> list[tuple[object, ...]] | str:
    """Everything that is known of the rows, or what is wrong with them."""
    try:
        with opened(content) as source:
            chunks = list(source.chunks([1, 0, 1], size))
    except InputError as error:
        return str(error)
    ragged = [bool(one) for chunk in chunks for one in chunk.ragged]
    return [(*row, long) for row, long in zip(as_rows(chunks), ragged, strict=True)]


@given(lines=LINES | QUOTED_LINES | UNTIDY_LINES, size=st.integers(1, 5))
@settings(max_examples=scaled(150))
def test_both_paths_read_the_same(lines: list[tuple[str, str]], size: int) -> None:
    content = HEAD + "".join(line + end for line, end in lines)
    fast = rows_of(content.encode(), size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "is_tidy", lambda *_: False)
        assert fast == rows_of(content.encode(), size)


def test_plain_lines_take_the_fast_path() -> None:
    found = delimited.columns_of(b"a,b,c\r\n007,,NA", ",", 3, [0, 1, 0])
    assert found is not None
    assert [column.to_pylist() for column in found] == [["a", "007"], ["b", ""], ["a", "007"]]


def test_simple_quotes_take_the_fast_path() -> None:
    content = b'"a","b, ""c""",\r\n"","x",y\n'
    assert delimited.is_tidy(content, ",")
    found = delimited.columns_of(content, ",", 3, [2, 1])
    assert found is None  # an empty cell to begin with: the row may be blank
    found = delimited.columns_of(content, ",", 3, [1, 0])
    assert found is not None
    assert [column.to_pylist() for column in found] == [['b, "c"', "x"], ["a", ""]]


@pytest.mark.parametrize("lines", ['"a\n', 'a"b"\n', ' "a"\n', '"a" \n', '"a"b\n', '"""a\n', 'a,b"\n'])
def test_other_quotes_take_the_slow_path(lines: str) -> None:
    assert not delimited.is_tidy(lines.encode(), ",")


def test_the_fast_path_resumes_after_a_quoted_line_break() -> None:
    content = 'A "title"\n' + HEAD
    content += "".join(f"a{i},{i},x\n" if i != 3 else f'"a\n{i}",{i},x\n' for i in range(12))
    plain: list[bool] = []

    def columns_of(*arguments: Any) -> Any:
        columns = original(*arguments)
        plain.append(columns is not None)
        return columns

    original = delimited.columns_of
    with opened(content.encode()) as source, pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "columns_of", columns_of)
        chunks = list(source.chunks([0, 1], 4))
    assert [row[0] for row in as_rows(chunks)] == [3, *range(4, 16)]
    assert plain == [True, False, True, True]


@pytest.mark.parametrize("line", ["a,b", "a,b,c,d", "", ",,", " a,b,c", "\ufeffa,b,c", "a,b,c\ra,b,c"])
def test_other_lines_take_the_slow_path(line: str) -> None:
    assert delimited.columns_of(f"{line}\na,b,c\n".encode(), ",", 3, [0]) is None
