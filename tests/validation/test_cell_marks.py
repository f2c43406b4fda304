"""Which cells are marked, how gravely, and in which words."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.validation.cell_marks import Gravity, marks, problem_text
from bulk_onboard.validation.findings import CLEANED, COLUMNS, Validation

Lines = Sequence[tuple[object, ...]]


def found(problems: Lines = (), cleaned: Lines = ()) -> Validation:
    return Validation(
        "growers.csv", 100, pd.DataFrame(problems, columns=list(COLUMNS)),
        pd.DataFrame(cleaned, columns=list(CLEANED)),
        header=("Note", "ID", "Token", "App"), fields={"leafUserId": 1, "refreshToken": 2, "clientId": 3},
        credentials=("refreshToken",),
    )  # fmt: skip


def places(what: Validation) -> dict[tuple[int, int], Gravity]:
    return {(each.row, each.column): each.gravity for each in marks(what).cells}


def test_a_problem_of_a_cell_marks_this_cell() -> None:
    told = found([(5, "invalid", "missing-refreshToken", "Token", "Token is empty")])
    assert places(told) == {(5, 2): Gravity.WRONG}


def test_a_problem_of_the_row_marks_the_cells_that_it_is_about() -> None:
    told = found(
        [
            (2, "invalid", "conflicting-rows", "", "x"),
            (3, "invalid", "shared-token", "", "x"),
            (4, "duplicate", "duplicate", "", "x"),
            (5, "invalid", "ragged-row", "", "x"),
        ]
    )
    at = places(told)
    assert {place for place in at if place[0] == 2} == {(2, 1), (2, 2)}
    assert {place for place in at if place[0] == 3} == {(3, 2)}
    assert at[4, 1] == at[4, 2] == Gravity.REPEAT
    assert {place for place in at if place[0] == 5} == {(5, 1), (5, 2), (5, 3)}


def test_a_problem_of_a_row_is_one_comment() -> None:
    told = marks(found([(2, "invalid", "conflicting-rows", "", "x")]))
    assert [bool(each.note) for each in told.cells].count(True) == 1


def test_the_gravest_mark_gives_the_colour() -> None:
    told = marks(
        found(
            [(2, "invalid", "control-character", "Token", "Token has a control character")],
            [(2, "spaces-removed", "Token", "spaces around the value were taken off")],
        )
    )
    [cell] = told.cells
    assert cell.gravity is Gravity.WRONG
    assert len(cell.note.split("\n")) == 2


def test_only_the_first_rows_of_a_problem_have_comments() -> None:
    lines = [(row, "invalid", "missing-refreshToken", "Token", "Token is empty") for row in range(2, 12)]
    told = marks(found(lines), notes=3)
    assert [each.row for each in told.cells if each.note] == [2, 3, 4]
    assert len(told.cells) == len(told.rows) == 10
    assert told.shortened == ("missing-refreshToken",)


def test_a_cleaned_cell_is_not_a_problem_of_the_row() -> None:
    told = marks(found([], [(2, "quotes-removed", "Token", "quotes around the value were taken off")]))
    assert told.rows == {}
    assert told.cells[0].gravity is Gravity.CLEANED


def test_comments_say_what_is_wrong_and_what_to_do() -> None:
    assert problem_text("missing-refreshToken", "token is empty", "token") == (
        "token is empty. Fill in refreshToken and run again."
    )
    assert problem_text("duplicate", "repeats row 2") == "Repeats row 2. Nothing to do."


@given(st.lists(st.sampled_from([2, 3, 4]), min_size=1), st.integers(0, 5))
def test_each_row_that_needs_attention_has_a_comment(rows: list[int], notes: int) -> None:
    lines = [(row, "invalid", "placeholder-value", "Token", "Token is a placeholder") for row in rows]
    told = marks(found(lines), notes=notes)
    assert set(told.rows) == set(rows) == {each.row for each in told.cells}
