"""Rows of several providers in one file are checked as in a file of each provider's own."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.chunk import make_chunk
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.validation.check import CheckContext, Checked, check, provider_names
from bulk_onboard.validation.columns import match_header
from bulk_onboard.validation.fingerprints import Fingerprints
from tests.support.properties import scaled

HEADER = ("note", "password", "provider", "refreshToken", "leafUserId", "username", "organizationName")
NAMES = ("raven", "sentera", "valley")
OURS = {name: PROVIDERS[name] for name in NAMES}
SET = {name: [field.name for field in PROVIDERS[name].app_fields] for name in NAMES}
PRINTS = Fingerprints(b"k" * 32)
WRONG = {"unknown-provider", "missing-provider"}
Row = tuple[str, ...]


def grower(number: int) -> str:
    return str(UUID(int=(4 << 76) + (8 << 60) + number))


_cells = st.sampled_from(["", "a", "b", " c ", '"d"', "TODO", "#N/A", "e\x00f"])
_spelled = st.sampled_from(["raven", "Raven ", "SENTERA", "valley", "", "ravne", "st\u200bara"])
_rows = st.tuples(_cells, _cells, _spelled, _cells, st.integers(0, 4).map(grower) | _cells, _cells, _cells)


def checked(rows: list[Row], default: str = "") -> Checked:
    columns = match_header(HEADER, list(OURS.values()), mapping={}, keep=["note"])
    at = [*columns.fields.values(), *(i for _, i in columns.keep), HEADER.index("provider")]
    cells = make_chunk(range(2, 2 + len(rows)), [[row[i] for row in rows] for i in at])
    return check(cells, columns, OURS, CheckContext(SET, default_provider=default), PRINTS)


def checked_alone(rows: list[Row], name: str, numbers: list[int]) -> Checked:
    """The same rows in a file without a column of providers."""
    header = tuple("other" if column == "provider" else column for column in HEADER)
    columns = match_header(header, [OURS[name]], mapping={}, keep=["note"])
    at = [*columns.fields.values(), *(i for _, i in columns.keep)]
    cells = make_chunk(numbers, [[row[i] for row in rows] for i in at])
    return check(cells, columns, {name: OURS[name]}, CheckContext(SET), PRINTS)


@settings(max_examples=scaled(15))
@given(st.lists(_rows, min_size=1, max_size=8), st.sampled_from(["", "valley"]))
def test_mixed_rows_are_checked_like_files_of_one_provider(rows: list[Row], default: str) -> None:
    together = checked(rows, default)
    assert together.frame["row"].tolist() == list(range(2, 2 + len(rows)))
    assert len(together.ids) == len(together.prints) == len(together.digests) == together.valid.sum()
    names = together.frame["provider"].to_numpy(object)
    for name in set(names):
        lines = np.flatnonzero(names == name)
        frame = together.frame.iloc[lines].reset_index(drop=True)
        if not name:
            assert set(frame["code"]) <= WRONG
            continue
        alone = checked_alone([rows[at] for at in lines], name, (lines + 2).tolist())
        pd.testing.assert_frame_equal(frame, alone.frame)
        payload = together.payload.iloc[lines].reset_index(drop=True)
        pd.testing.assert_frame_equal(payload[list(alone.payload)], alone.payload)
        own = (names == name)[together.valid]
        assert (together.ids[own] == alone.ids).all()
        assert (together.prints[own] == alone.prints).all()
        assert (together.digests[own] == alone.digests).all()
        mine = together.warnings[together.warnings["row"].isin(lines + 2)]
        assert sorted(mine.to_numpy().tolist()) == sorted(alone.warnings.to_numpy().tolist())


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("john-deere", "john-deere"), (" John Deere", "john-deere"), ("JOHN_DEERE", "john-deere"),
        ("'johndeere'", "john-deere"), ("cnhi field ops", "cnhi-field-ops"), ("deere", ""), ("", "claas"),
        ("  ", "claas"),
    ],
)  # fmt: skip
def test_providers_are_recognised_in_any_spelling(cell: str, name: str) -> None:
    assert provider_names(pd.Series([cell], dtype="str"), PROVIDERS, "claas").tolist() == [name]


def test_a_row_without_a_provider_is_invalid_and_the_likely_provider_is_suggested() -> None:
    rows = [("", "", "ravne", "t", grower(1), "", ""), ("", "", "", "t", "not-a-uuid", "", "")]
    found = checked(rows)
    frame = found.frame
    assert frame["code"].tolist() == ["unknown-provider", "missing-provider"]
    assert "did you mean raven?" in frame["message"].iloc[0]
    assert set(found.fingerprints()) == {""}


def test_a_token_in_the_provider_column_is_not_shown() -> None:
    token = "planted-refresh-token-of-a-grower-0123456789"
    (message,) = checked([("", "", token, "raven", grower(1), "", "")]).frame["message"]
    assert "token" not in message


def test_a_file_without_a_provider_column_has_a_constant_one() -> None:
    rows = [("", "", "", "t", grower(n), "", "") for n in range(3)]
    found = checked_alone(rows, "raven", [2, 3, 4])
    assert set(found.frame["provider"]) == {"raven"}
    assert np.array_equal(found.digests, found.prints)
