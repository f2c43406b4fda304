"""What is wrong with a file: counted, grouped and told, with no secret of it."""

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest

from bulk_onboard.cli.validate import Written, in_words
from bulk_onboard.domain.chunk import Chunk, make_chunk
from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.engine.validation import COLUMNS, Validation, validate_file
from bulk_onboard.errors import ExitCode
from bulk_onboard.settings import Settings

IDS = [str(uuid.UUID(int=number + 10**30)) for number in range(9)]


class Memory:
    """A source that is a list of rows."""

    name = "growers.csv"
    description = InputDescription("growers.csv", "in memory")
    header = ("leafUserId", "refreshToken")

    def __init__(self, *rows: tuple[str, str]) -> None:
        self._rows = rows

    def chunks(self, columns: Sequence[int], size: int = 50_000) -> Iterator[Chunk]:
        for start in range(0, len(self._rows), 2):
            part = self._rows[start : start + 2]
            numbers = range(start + 2, start + 2 + len(part))
            yield make_chunk(list(numbers), [[row[column] for row in part] for column in columns])

    def require_text(self, columns: Sequence[int]) -> None:
        pass

    def changed(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


@pytest.fixture
def found() -> Validation:
    rows = [(IDS[0], "token-0"), ("not-a-uuid", "token-1"), (IDS[2], ""), (IDS[0], "token-0"), (IDS[3], "")]
    return validate_file(Memory(*rows), Settings())


def test_each_row_is_valid_invalid_or_a_duplicate(found: Validation) -> None:
    assert found.counts == {"valid": 1, "invalid": 3, "duplicate": 1}
    assert found.rows == sum(found.counts.values()) == 5
    assert found.exit_code == ExitCode.ATTENTION


def test_problems_are_grouped_by_code_with_counts_and_the_first_rows(found: Validation) -> None:
    told = [(cause.code, cause.count, cause.rows) for cause in found.problems]
    assert told == [("missing-refreshToken", 2, (4, 6)), ("bad-leaf-user-id", 1, (3,))]
    words = in_words(found, Written(Path("p/problems.csv")))
    assert "growers.csv: 5 rows, 1 valid, 3 invalid, 1 duplicate" in words
    assert "2 rows  missing-refreshToken  (rows 4, 6)" in words
    assert "p/problems.csv" in words


def test_problems_are_listed_in_row_order(found: Validation) -> None:
    assert tuple(found.table.columns) == COLUMNS
    assert found.table["row"].tolist() == [3, 4, 5, 6]
    assert found.table["status"].tolist() == ["invalid", "invalid", "duplicate", "invalid"]


def test_a_valid_file_needs_no_setting() -> None:
    found = validate_file(Memory((IDS[0], "token-0"), (IDS[1], "token-1")), Settings())
    assert found.exit_code == ExitCode.OK
    assert found.problems == ()
    assert tuple(found.table.columns) == COLUMNS
