"""Rows of several providers in one file are treated as if each provider's stood in a file of its own."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.compare import Keys, compare
from bulk_onboard.domain.chunk import Chunk, make_chunk
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.growers import GrowerColumns, State, growers, nobody
from bulk_onboard.mixed import Going, RepeatsOfEach, check_each, compare_each, split
from bulk_onboard.model import IfExists
from bulk_onboard.repeats import Repeats
from bulk_onboard.validation.check import Checked, Surroundings, check
from bulk_onboard.validation.columns import Columns, match_header
from bulk_onboard.validation.fingerprints import Fingerprints

HEADER = ("note", "password", "provider", "refreshToken", "leafUserId", "username", "organizationName")
NAMES = ("raven", "sentera", "valley")
OURS = {name: PROVIDERS[name] for name in NAMES}
# What a setting says need not stand in a cell.
APP = {name: Surroundings([field.name for field in PROVIDERS[name].app_fields]) for name in NAMES}
PRINTS = Fingerprints(b"k" * 32)


def grower(number: int) -> str:
    return str(UUID(int=(4 << 76) + (8 << 60) + number))


# Each example is many calls of pandas; each is soon told from the next.
FEW = settings(max_examples=10)
_cells = st.sampled_from(["", "a", "b", " c ", '"d"', "TODO", "#N/A", "e\x00f"])
_spelled = st.sampled_from(["raven", "Raven ", "SENTERA", "valley", "", "ravne", "st\u200bara"])
_rows = st.tuples(_cells, _cells, _spelled, _cells, st.integers(0, 4).map(grower) | _cells, _cells, _cells)
_files = st.lists(_rows, min_size=1, max_size=8)


def columns(name: str | None = None) -> Columns:
    """Where the fields of all providers stand, or those of one."""
    found = match_header(HEADER, list(OURS.values()), mapping={}, keep=["note"])
    return found.of(OURS[name]) if name else found


def read(rows: list[tuple[str, ...]], name: str | None = None, numbers: list[int] | None = None) -> Chunk:
    """The rows as a source would give them: fields, what is kept, and the column of providers."""
    its = columns(name)
    at = [*its.fields.values(), *(i for _, i in its.keep), *(() if name else (HEADER.index("provider"),))]
    return make_chunk(numbers or list(range(2, 2 + len(rows))), [[row[i] for row in rows] for i in at])


def checked(rows: list[tuple[str, ...]], otherwise: str = "") -> Checked:
    return check_each(read(rows), columns(), Going(OURS, otherwise), APP, PRINTS)


def alone(rows: list[tuple[str, ...]], name: str, numbers: list[int]) -> Checked:
    return check(read(rows, name, numbers), columns(name), OURS[name], APP[name], PRINTS)


def of(
    rows: list[tuple[str, ...]], name: str, otherwise: str = ""
) -> tuple[list[tuple[str, ...]], list[int]]:
    """The rows of one provider, and their numbers."""
    names = Going(OURS, otherwise).names(pd.Series([row[2] for row in rows], dtype="str"))
    at = [i for i, each in enumerate(names) if each == name]
    return [rows[i] for i in at], [2 + i for i in at]


@FEW
@given(_files, st.sampled_from(["", "valley"]))
def test_every_row_is_judged_as_in_a_file_of_its_providers_rows_alone(
    rows: list[tuple[str, ...]], otherwise: str
) -> None:
    found = checked(rows, otherwise)
    assert found.frame["row"].tolist() == list(range(2, 2 + len(rows)))
    assert len(found.ids) == len(found.prints) == len(found.digests) == (found.frame["code"] == "").sum()
    for part in split(found):
        its, numbers = of(rows, part.provider, otherwise)
        assert part.checked.frame["row"].tolist() == numbers
        if not part.provider:
            assert set(part.checked.frame["code"]) <= {"unknown-provider", "missing-provider"}
            continue
        expected = alone(its, part.provider, numbers)
        pd.testing.assert_frame_equal(part.checked.frame.drop(columns="provider"), expected.frame)
        fields = list(expected.payload)
        pd.testing.assert_frame_equal(part.checked.payload[fields], expected.payload)
        for one, other in zip(
            (part.checked.ids, part.checked.prints, part.checked.digests),
            (expected.ids, expected.prints, expected.digests),
            strict=True,
        ):
            assert (one == other).all()
        told = found.warnings[found.warnings["row"].isin(numbers)]
        assert sorted(told.to_numpy().tolist()) == sorted(expected.warnings.to_numpy().tolist())


@FEW
@given(st.lists(_files, min_size=1, max_size=3), st.booleans())
def test_repeats_and_shared_tokens_are_found_among_the_rows_of_one_provider(
    files: list[list[tuple[str, ...]]], allow: bool
) -> None:
    together, apart = RepeatsOfEach(), {name: Repeats() for name in NAMES}
    for rows in files:
        found = checked(rows)
        together.add(found)
        for name in NAMES:
            apart[name].add(
                alone(*of(rows, name)[:1], name, of(rows, name)[1]) if of(rows, name)[0] else _empty()
            )
    expected = [apart[name].findings(allow_shared_tokens=allow) for name in NAMES]
    lines = sorted(line for each in expected for line in each.to_numpy().tolist())
    assert sorted(together.findings(allow_shared_tokens=allow).to_numpy().tolist()) == lines


def _empty() -> Checked:
    none = np.empty((0, 2), np.uint64)
    frame = pd.DataFrame({"row": pd.Series([], dtype="int64"), "code": pd.Series([], dtype="str")})
    return Checked(frame, frame, none, none, none, frame, frame)


@FEW
@given(_files, st.sampled_from(IfExists), st.sets(st.integers(0, 4)))
def test_a_row_is_compared_with_what_is_known_of_its_own_providers_growers(
    rows: list[tuple[str, ...]], if_exists: IfExists, done: set[int]
) -> None:
    ids = [grower(number) for number in sorted(done)]
    states = [State.OPEN if number % 2 else State.DONE for number in sorted(done)]
    blank = [""] * len(ids)
    known = {
        "raven": growers(GrowerColumns(ids, blank, [1] * len(ids), states, blank, blank)),
        "valley": nobody(),
    }
    found = checked(rows)
    apps = np.arange(len(found.frame), dtype=np.uint64) % 2
    table, open_lines, _ = compare_each(found, apps, known, if_exists)
    assert table["row"].tolist() == found.frame["row"].tolist()
    assert table["provider"].tolist() == found.frame["provider"].tolist()
    expected_open = []
    for part in split(found):
        one = part.checked
        keys = Keys(one.ids, one.prints, apps[part.lines])
        its, opened, _ = compare(one.frame, keys, known.get(part.provider, nobody()), if_exists)
        mine = table[table["provider"] == part.provider].drop(columns="provider").reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, its)
        expected_open += part.lines[opened].tolist()
    assert open_lines.tolist() == sorted(expected_open)


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("john-deere", "john-deere"),
        (" John Deere", "john-deere"),
        ("JOHN_DEERE", "john-deere"),
        ("'johndeere'", "john-deere"),
        ("cnhi field ops", "cnhi-field-ops"),
        ("deere", ""),
        ("", "claas"),
        ("  ", "claas"),
    ],
)
def test_a_provider_is_known_however_it_is_spelled_and_a_blank_cell_is_the_one_that_was_named(
    cell: str, name: str
) -> None:
    assert Going(PROVIDERS, "claas").names(pd.Series([cell], dtype="str")).tolist() == [name]


def test_a_row_that_goes_nowhere_says_so_and_what_was_perhaps_meant() -> None:
    rows = [("", "", "ravne", "t", grower(1), "", ""), ("", "", "", "t", "not-a-uuid", "", "")]
    frame = checked(rows).frame
    assert frame["code"].tolist() == ["unknown-provider", "missing-provider"]
    assert "did you mean raven?" in frame["message"].iloc[0]
    assert set(frame["fingerprint"]) == {""}


def test_what_stands_in_the_column_of_providers_may_be_a_token_in_the_wrong_place() -> None:
    token = "planted-refresh-token-of-a-grower-0123456789"
    (message,) = checked([("", "", token, "raven", grower(1), "", "")]).frame["message"]
    assert "token" not in message
