"""Columns in files without a name: the same values as in memory, whatever the disk does."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk_onboard.engine.spool import LEAST, Spooled
from bulk_onboard.engine.validation import validate_file
from bulk_onboard.errors import OutputError
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.repeats import InMemory, Repeats
from bulk_onboard.settings import Settings
from bulk_onboard.validation.check import Checked

KIB = 1024
# A full file for each, or 100 bytes in memory first, or nothing but memory.
LEASTS = (0, 100, LEAST)


def column(kind: type[np.generic], *shape: int, least: int) -> Spooled:
    return Spooled(kind, *shape, least=least)


@given(
    st.lists(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 2), max_size=9), max_size=9),
    st.sampled_from(LEASTS),
    st.sets(st.integers(0, 8)),
)
def test_what_was_added_is_read(parts: list[list[tuple[int, int]]], least: int, read_after: set[int]) -> None:
    wide, narrow, plain = (
        Spooled(np.uint64, 2, least=least),
        Spooled(np.int64, least=least),
        InMemory(np.uint64, 2),
    )
    for number, part in enumerate(parts):
        lines = np.array(part, np.uint64).reshape(-1, 2)
        wide.add(np.asfortranarray(lines)), plain.add(lines)
        narrow.add(lines[:, 1].astype(np.int64))  # every other number of a larger array
        lines[:] = 0  # it has been copied
        if number in read_after:
            assert (wide.values == plain.values).all()
    assert wide.values.tolist() == plain.values.tolist()
    assert narrow.values.tolist() == plain.values[:, 1].astype(np.int64).tolist()
    assert (wide.values.dtype, narrow.values.dtype) == (np.uint64, np.int64)


_rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 1)), max_size=12)


def sighted(first: int, rows: Sequence[tuple[int, int, int]], *, more: bool) -> Checked:
    """Valid rows of such growers, tokens and other fields, if there are ``more``."""
    frame = pd.DataFrame({"row": np.arange(first, first + len(rows)), "code": [""] * len(rows)})
    told = np.array(rows, np.uint64).reshape(-1, 3)
    # Half of the growers differ from another in the second of their two numbers only.
    ids, prints = np.stack([told[:, 0] // 2, told[:, 0]], axis=1), np.stack([told[:, 1]] * 2, axis=1)
    digests = prints * np.uint64(2) + told[:, 2:] if more else prints
    return Checked(frame, frame, ids, prints, digests, frame, frame)


def judged(rows: Sequence[tuple[int, int, int]], *, allow: bool) -> dict[int, str]:
    """What is to be found among rows (grower, token, other fields) from row 2 on, by looking at each pair."""
    found: dict[int, str] = {}
    for at, (grower, token, other) in enumerate(rows):
        same = [(i, each[1:]) for i, each in enumerate(rows) if each[0] == grower]
        if any(told != (token, other) for _, told in same):
            found[at + 2] = "conflicting-rows"
        elif not allow and any(each[1] == token and each[0] != grower for each in rows):
            found[at + 2] = "shared-token"
        elif same[0][0] < at:
            found[at + 2] = "duplicate"
    return found


@example([[(0, 0, 0)], [(0, 0, 1)]], 0, True, True, 5)  # one token, and still they contradict each other
@given(st.lists(_rows, max_size=6), st.sampled_from(LEASTS), st.booleans(), st.booleans(), st.integers(0, 5))
def test_what_each_pair_of_rows_shows_is_found(
    chunks: list[list[tuple[int, int, int]]], least: int, more: bool, allow: bool, renamed: int
) -> None:
    spooled, first = Repeats(partial(column, least=least)), 2
    for rows in chunks:
        spooled.add(sighted(first, rows, more=more))
        first += len(rows)
    lines = [(grower, token, other * more) for rows in chunks for grower, token, other in rows]
    for names in (lines, [(renamed, *line[1:]) if at % 3 == 0 else line for at, line in enumerate(lines)]):
        found = spooled.findings(allow_shared_tokens=allow)
        assert dict(zip(found["row"], found["code"], strict=True)) == judged(names, allow=allow)
        others = np.arange(2, first, 3, dtype=np.int64)
        spooled.rename(others, np.full((len(others), 2), (renamed // 2, renamed), np.uint64))


@given(st.lists(_rows, max_size=6), st.sampled_from(LEASTS), st.booleans())
def test_the_same_is_told_as_from_memory(
    chunks: list[list[tuple[int, int, int]]], least: int, more: bool
) -> None:
    plain, spooled, first = Repeats(), Repeats(partial(column, least=least)), 2
    for rows in chunks:
        for each in (plain, spooled):
            each.add(sighted(first, rows, more=more))
        first += len(rows)
    expected = plain.findings(allow_shared_tokens=False)
    pd.testing.assert_frame_equal(spooled.findings(allow_shared_tokens=False), expected)
    for one, other in zip(spooled.sightings(), plain.sightings(), strict=True):
        assert one.tolist() == other.tolist()


def test_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spooled = Spooled(np.int64, least=0)
    spooled.add(np.arange(1000))
    assert spooled._file is not None
    assert not list(tmp_path.iterdir())
    assert spooled.values.sum() == sum(range(1000))


def test_where_no_file_can_be_made_all_stays_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    spooled = Spooled(np.int64, least=0)
    for part in (np.arange(5), np.arange(5, 9)):
        spooled.add(part)
    assert spooled.values.tolist() == list(range(9))


def test_what_cannot_be_read_again_is_told() -> None:
    spooled = Spooled(np.int64, least=0)
    spooled.add(np.arange(1000))
    assert spooled._file is not None
    spooled._file.truncate(100)
    with pytest.raises(OutputError, match="a temporary file cannot be read: it is shorter than it was"):
        _ = spooled.values


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """As on a disk that is full, no file grows beyond that."""
    import resource  # there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="no limit to a file's size there")
def test_what_a_full_disk_does_not_take_stays_in_memory() -> None:
    spooled = Spooled(np.int64, least=0)
    with files_end_at(100 * KIB):  # within the seventh part
        for first in range(0, 20_000, 2_000):
            spooled.add(np.arange(first, first + 2_000))
    assert spooled.values.tolist() == list(range(20_000))
    assert sum(map(len, spooled._pending)) == 8_000


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_first_row_is_met_again_at_the_end_of_a_large_file(tmp_path: Path, kind: str) -> None:
    """By an id in capitals; so is its token, by another grower; and two rows in the middle contradict."""
    rows = LEAST // 8 + 10_000  # of each column some are on the disk
    ids = [f"{number:08x}-0000-4000-8000-00000000abcd" for number in range(rows)]
    tokens = [f"practice-{number:09}" for number in range(rows)]
    ids[-1], tokens[-1] = ids[0].upper(), tokens[0]
    tokens[-2] = tokens[1]
    ids[rows // 2] = ids[rows // 3]
    frame = pd.DataFrame({"leafUserId": ids, "refreshToken": tokens})
    file = tmp_path / f"growers.{kind}"
    frame.to_csv(file, index=False) if kind == "csv" else frame.to_parquet(file)
    with open_source(file) as source:
        found = validate_file(source, Settings(provider="raven")).table
    assert sorted(zip(found["row"], found["code"], strict=True)) == [
        (3, "shared-token"),
        (rows // 3 + 2, "conflicting-rows"),
        (rows // 2 + 2, "conflicting-rows"),
        (rows, "shared-token"),
        (rows + 1, "duplicate"),
    ]
