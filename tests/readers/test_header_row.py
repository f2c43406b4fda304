"""Which row is the header: by the names in it, else by what is most like it."""

from __future__ import annotations

import pytest

from bulk_onboard.errors import InputError
from bulk_onboard.readers.header_row import header_names, header_row, require_one_row, wanted_names

ID = "0b9cd62b-4f4d-4c0a-9f0e-1f8f8d0f5a10"
DATA = [ID, "rt-1"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["leafUserId", "refreshToken"], DATA], 0),
        ([["Raven"], [], ["leafUserId", "refreshToken"], DATA], 2),
        ([[f"Report line {n}"] for n in range(150)] + [["leafUserId", "refreshToken"], DATA], 150),
        ([["Refresh Token"], ["leafUserId", "refreshToken"], DATA], 1),  # a title with one of the names
        ([["leafUserId", "refreshToken"], DATA, ["leafUserId", "refreshToken"], DATA], 0),
        ([[f"Report {ID}"], ["leafUserId", "refreshToken"], DATA], 1),
        ([["Report"], ["by Ann", "in May"], ["Leaf-Benutzer-ID", "Token"], DATA], 2),  # other names of fields
        ([["Report"], ["Kunde", "Wert"], DATA, DATA], 1),  # the last one above a grower
        ([["Report"], ["Kunde", "Wert"], ["x", "y"]], 0),
        ([DATA, DATA], 0),
        ([[], [""]], None),
    ],
)
def test_the_header_is_found(rows: list[list[str]], expected: int | None) -> None:
    assert header_row(rows, wanted_names()) == expected


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["Raven", ""], ["Leaf user", "Refresh"], ["ID", "token"], DATA], "rows 2 and 3; write"),
        ([["Leaf", ""], ["User ID", "Refresh token"], DATA], "rows 1 and 2; write"),
        ([["Leaf", ""], ["leafUserId", "Raven"], ["", "refreshToken"], DATA], "rows 2 and 3; write"),
        ([["Leaf", "Refresh"], ["user", "token"], ["ID", ""], DATA], "rows 1 and 2 and 3; write"),
        (
            [["Leaf User", "", "Raven", ""], ["ID", "Name", "Refresh Token", "Scope"], [ID, "", "", ""]],
            "rows 1 and 2",
        ),
    ],
)
def test_a_header_over_several_rows_is_reported(rows: list[list[str]], words: str) -> None:
    at = header_row(rows, wanted_names())
    assert at is not None
    with pytest.raises(InputError, match="the names of the columns seem to be in") as caught:
        require_one_row("growers.xlsx, sheet 'G'", rows, at, wanted_names())
    assert words in str(caught.value)
    assert "rt-1" not in str(caught.value)


@pytest.mark.parametrize(
    "rows",
    [
        [["Raven", ""], ["leafUserId", "refreshToken"], DATA],
        [["leafUserId", "refreshToken"], ["uuid", "string"], DATA],
    ],
)
def test_a_header_in_one_row_is_accepted(rows: list[list[str]]) -> None:
    at = header_row(rows, wanted_names())
    assert at is not None
    require_one_row("growers.csv", rows, at, wanted_names())


def test_invisible_characters_are_not_part_of_a_name() -> None:
    assert header_names(["\u202brefreshToken\u202c", " a\n b ", "\u200b", ""]) == ("refreshToken", "a b")
