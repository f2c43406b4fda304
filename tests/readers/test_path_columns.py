"""Folders named ``name=value`` are columns, and a folder that is a table is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from bulk_onboard.errors import InputError
from bulk_onboard.readers.files import path_columns
from bulk_onboard.readers.inputs import open_source


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path: str, **columns: list[str]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame({"leafUserId": ["1", "2"], **columns})
    frame.to_parquet(path) if path.endswith(".parquet") else frame.to_csv(path, index=False)


def values(where: str, name: str) -> list[str]:
    """The cells of a column."""
    with open_source(where) as source:
        at = source.header.index(name)
        assert "provider" in source.description.path_columns
        assert all(chunk.cells[0].tolist() == chunk.cells[2].tolist() for chunk in source.chunks([at, 0, at]))
        return [cell for chunk in source.chunks([at]) for cell in chunk.cells[0]]


def test_rows_go_to_the_provider_of_their_folder() -> None:
    put("in/provider=john-deere/a.parquet")
    put("in/provider=raven/b.csv")
    expected = ["john-deere"] * 2 + ["raven"] * 2
    assert values("in/*/*", "provider") == values("in/provider=*/*", "provider") == expected
    assert values("in/provider=john-deere", "provider") == ["john-deere"] * 2
    assert values("in/provider=raven/b.csv", "provider") == ["raven"] * 2


def test_a_value_is_decoded_and_a_missing_one_is_blank() -> None:
    path = "/x/day=2026-11-01/Field%20Name=a%2Fb%3Dc/provider=__HIVE_DEFAULT_PARTITION__/p=q.csv"
    assert path_columns(path) == {"day": "2026-11-01", "Field Name": "a/b=c", "provider": ""}
    assert path_columns("s3://bucket/provider=raven/x.csv") == {"provider": "raven"}
    with pytest.raises(InputError, match="different values for Provider"):
        path_columns("provider=raven/Provider=lindsay/x.csv")


def test_a_column_that_contradicts_the_path_is_refused() -> None:
    put("provider=raven/a.csv", provider=["Raven", ""])
    assert values("provider=*/a.csv", "provider") == ["Raven", "raven"]
    put("provider=raven/a.csv", provider=["raven", "lindsay"])
    message = re.escape("a.csv, row 3: the column provider contradicts the folder provider=raven")
    with open_source("provider=raven/a.csv") as source, pytest.raises(InputError, match=message):
        list(source.chunks([1]))


@pytest.mark.parametrize(
    ("sign", "kind"),
    [
        ("_delta_log/00000000000000000000.json", "Delta"),
        (".hoodie/hoodie.properties", "Hudi"),
        ("metadata/v1.metadata.json", "Iceberg"),
        ("metadata/version-hint.text", "Iceberg"),
    ],
)
def test_table_formats_are_refused_however_they_are_named(sign: str, kind: str) -> None:
    mark = Path("exports/growers", sign)
    mark.parent.mkdir(parents=True)
    mark.touch()
    put("exports/growers/data/day=1/part-0.parquet")
    put("exports/growers/part-1.parquet")
    named = ["", "/", "/*.parquet", "/data/*/*.parquet", "/**/*.parquet", "/part-1.parquet"]
    for more in [*named, "/data/day=1/part-0.parquet", "/data/day=1"]:
        with pytest.raises(InputError, match=f"growers is an? {kind} table: .*export its current rows"):
            open_source(f"exports/growers{more}")


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        (["in/p=1/x.parquet", "in/p=2/x.parquet", "in/readme.md"], "in/*/*.parquet"),
        (["in/2026/11/a.csv.gz", "in/2026/12/b.csv.gz"], "in/*/*/*.csv.gz"),
        (["in/part-00000", "in/part-00001"], "in/part-*"),
        (["in/000000_0", "in/000001_0"], "in/*"),
        (["in/a.csv", "in/notes.pdf"], "in/*.csv"),
        (["in/a b/x.xlsx"], "in/*/*.xlsx"),
        (["in/a.csv", "in/more/b.csv"], "in/**/*.csv"),
    ],
)
def test_the_suggested_pattern_matches(files: list[str], pattern: str) -> None:
    for name in files:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("in/_SUCCESS").touch()
    with pytest.raises(InputError, match=re.escape(f"such as '{pattern}'")):
        open_source("in")
    assert len(list(Path().glob(pattern))) >= len(files) - 1


def test_a_folder_without_readable_files_gets_no_suggestion() -> None:
    Path("in").mkdir()
    Path("in/notes.pdf").touch()
    with pytest.raises(InputError, match=r"in contains notes\.pdf, which cannot be read; expected \.csv"):
        open_source("in")


def test_system_files_are_ignored() -> None:
    put("in/a.csv")
    for name in (
        "Thumbs.db",
        "desktop.ini",
        "Desktop.ini",
        ".DS_Store",
        "~$a.xlsx",
        ".~lock.a.csv#",
        "_SUCCESS",
    ):
        Path("in", name).touch()
    with open_source("in") as source:
        assert source.description.files == 1


@pytest.mark.parametrize("text", ["", "ERROR: permission denied for table growers\n", "\n\n", "a,b\n"])
def test_a_file_in_a_folder_that_holds_no_table_is_refused(text: str) -> None:
    put("in/a.csv")
    Path("in/b.csv").write_text(text)
    with pytest.raises(InputError, match=r"^b\.csv"):
        open_source("in")


def test_a_file_with_a_header_and_no_rows_is_noted() -> None:
    put("in/a.csv")
    Path("in/b.csv").write_text("leafUserId\n")
    with open_source("in") as source:
        assert source.description.notes == ("b.csv: a header and no rows",)


def test_files_of_the_same_name_are_listed_with_their_folders() -> None:
    put("in/provider=raven/part-0.csv")
    put("in/provider=lindsay/part-0.csv")
    with open_source("in/*/*.csv") as source:
        assert (
            "provider=lindsay/part-0.csv from row 2, provider=raven/part-0.csv from row 4"
            in source.row_ranges()
        )
