"""Numbers, durations, plurals, tables and paragraphs as people read them."""

import pytest

from bulk_onboard.domain.formatting import duration, labelled, number, plain, row_numbers, table, wrapped


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.02, "20 ms"),
        (2.5, "2.5 s"),
        (9.96, "10 s"),
        (40, "40 s"),
        (93, "1 min 33 s"),
        (300, "5 min"),
        (7800, "2 h 10 min"),
        (86400, "24 h"),
    ],
)
def test_durations_are_rounded(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_are_rounded() -> None:
    assert [number(value) for value in (1200, 10.0, 2.5, 0.017)] == ["1,200", "10", "2.5", "0.017"]


def test_row_numbers_say_whether_there_are_more() -> None:
    assert row_numbers([3], 1) == "row 3"
    assert row_numbers([3, 7], 2) == "rows 3, 7"
    assert row_numbers([3, 7], 9) == "rows 3, 7, …"


def test_words_of_a_paragraph_stay_whole_and_later_lines_hang() -> None:
    assert wrapped("run --if-exists replace again", 16, indent=2, hang=2) == [
        "  run",
        "    --if-exists",
        "    replace",
        "    again",
    ]


def test_tables_and_labels_are_aligned() -> None:
    assert table([("run", "rows"), ("a", "1,200")]) == ["run   rows", "a    1,200"]
    assert labelled([("A", "x"), ("Long", "y")]) == "  A:    x\n  Long: y"


def test_control_characters_and_line_breaks_become_spaces() -> None:
    assert plain("a\x1b[31mb\nc\u202ed\x00") == "a b c d "
