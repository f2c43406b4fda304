"""A folder or a pattern: which files are meant, in which order; nothing is passed over in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulk_onboard.domain.input_description import pattern_name
from bulk_onboard.errors import InputError
from bulk_onboard.readers.files import files_at


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder within one that begins like a note of a program, which must not matter."""
    folder = tmp_path / "_work" / ".cache"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def put(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def names(where: str) -> list[str]:
    """The files found, seen from here."""
    return [str(Path(path).resolve().relative_to(Path.cwd())) for path in files_at(where).paths]


def test_a_folder_is_its_files_in_name_order(here: Path) -> None:
    put("exports/b.csv", "exports/a.parquet", "exports/C.XLSX", "exports/c.csv.gz", "exports/part-10.csv")
    expected = ["C.XLSX", "a.parquet", "b.csv", "c.csv.gz", "part-10.csv"]
    for where in ("exports", "exports/", str(here / "exports"), "../.cache/exports"):
        assert names(where) == [f"exports/{name}" for name in expected]
        assert files_at(where).name == "exports"


def test_marker_files_are_ignored(here: Path) -> None:
    put(*[f"exports/{name}" for name in ("a.csv", "_SUCCESS", ".a.csv.crc", "~$a.xlsx", "_old.csv")])
    put("exports/_temporary/0/b.csv", "exports/.hidden/c.csv")
    assert names("exports") == names("exports/*") == names("exports/**/*.csv") == ["exports/a.csv"]


def test_a_named_marker_file_is_read(here: Path) -> None:
    put("exports/_a.csv", "exports/b.csv", "_days/c.csv")
    assert names("exports/_*.csv") == ["exports/_a.csv"]
    assert names("_days") == names("_days/*") == ["_days/c.csv"]


def test_a_pattern_matches_in_folders(here: Path) -> None:
    put(*[f"day=2026-11-{day}/part-{n}.csv" for day in ("02", "01") for n in (2, 1)], "other/x.csv")
    found = ["day=2026-11-01/part-1.csv", "day=2026-11-01/part-2.csv"]
    found += ["day=2026-11-02/part-1.csv", "day=2026-11-02/part-2.csv"]
    assert names("day=2026-11-*/*.csv") == names("day=*/part-[12].csv") == found
    assert names("day=2026-11-0?/*-1.csv") == found[::2]
    assert names("**/*.csv") == [*found, "other/x.csv"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("exports", "exports contains notes.pdf, which cannot be read; give a pattern, such as"),
        (
            "days",
            "days contains 01, which cannot be read; give a pattern, such as 'days/**/*.csv'",
        ),
        ("days/*", "days/* matches the folder 01; for the files in such folders, add /*"),
        ("nothing/*.csv", "nothing/*.csv: no file matches this pattern"),
        ("empty", "empty is an empty folder; expected files in it"),
    ],
)
def test_unreadable_names_are_refused(here: Path, where: str, message: str) -> None:
    put("exports/a.csv", "exports/notes.pdf", "days/01/a.csv", "days/b.csv", "empty/_SUCCESS")
    with pytest.raises(InputError) as caught:
        files_at(where)
    assert str(caught.value).startswith(message)


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(here: Path) -> None:
    put("a[1].csv", "a1.csv")
    assert files_at("a[1].csv").is_one
    assert names("a[1].csv") == ["a[1].csv"]
    assert names("a[12].csv") == ["a1.csv"]


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("exports/*.csv", "exports/*.csv"),
        ("*.csv", "*.csv"),
        ("/srv/exports/2026/day-*/*.csv", "2026/day-*/*.csv"),
        ("/*.csv", "*.csv"),
        ("s3://bucket/exports/day=*/*.csv", "exports/day=*/*.csv"),
        ("s3://bucket/*.csv", "bucket/*.csv"),
    ],
)
def test_the_name_of_a_pattern_begins_at_its_last_folder(where: str, name: str) -> None:
    assert pattern_name(where) == name


@pytest.mark.parametrize("where", ["https://host/a*.csv?x=y", "absent.csv", "a\0b", "a" * 300])
def test_most_names_are_one_file(here: Path, where: str) -> None:
    assert files_at(where).is_one
