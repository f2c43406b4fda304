import csv
import json
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EFBIG, ENOSPC
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.entry import Entry
from bulk_onboard.errors import OutputError
from bulk_onboard.reports import results, writers
from bulk_onboard.reports.draft import claim_folder
from bulk_onboard.reports.results import COLUMNS, table
from bulk_onboard.reports.writers import write_json, write_plan, write_problems, write_results
from tests.reports.pages import workspace_of
from tests.support.properties import scaled

FORMATS = ("csv", "parquet", "jsonl")
HEADER = (
    "row,leafUserId,provider,status,health,code,message,hint,httpStatus,attempts,credentialId,"
    "credentialStatus,eventStatusCode,eventAt,startedAt,finishedAt,latencyMs,fingerprint,"
    "failingSince,failedRuns,healthCheckedAt"
)


def write(
    folder: Path, *notes: str, formats: tuple[str, ...] = FORMATS, entries: tuple[Entry, ...] = ()
) -> list[Path]:
    """Write the results of rows with these texts in a kept column."""
    with workspace_of([""] * len(notes), entries, {"note": list(notes)}) as workspace:
        return write_results(workspace.db, folder, formats, workspace.kept)


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def note(folder: Path, text: str) -> str:
    """What a kept cell looks like in results.csv."""
    write(folder, text, formats=("csv",))
    return cells(folder / "results.csv")[0]["note"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_each_format_has_all_rows_in_order(tmp_path: Path) -> None:
    files = write(tmp_path, "a", "b", "c")
    assert files == [tmp_path / f"results.{name}" for name in FORMATS]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert [line["row"] for line in cells(files[0])] == ["2", "3", "4"]
    assert pd.read_parquet(files[1])["row"].tolist() == [2, 3, 4]
    assert [json.loads(line)["row"] for line in files[2].read_text().splitlines()] == [2, 3, 4]


def test_rows_in_several_portions_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "_PORTION", 7)
    numbers = [number + 50 * (number > 20) for number in range(2, 40)]
    with workspace_of([""] * len(numbers), row=numbers[::-1]) as workspace:
        files = write_results(workspace.db, tmp_path, FORMATS)
    assert [int(line["row"]) for line in cells(files[0])] == numbers
    assert pd.read_parquet(files[1])["row"].tolist() == numbers
    assert [json.loads(line)["row"] for line in files[2].read_text().splitlines()] == numbers
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_only_the_reports_folder_is_ignored_by_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for folder in ("reports/run-1", "run-1"):
        assert claim_folder(Path(folder))  # before anything is sent: a run may be killed
    write_problems(Path("checks/validate-a/problems.csv"), pd.DataFrame({"row": [2]}))
    assert (work / "checks" / ".gitignore").exists()
    assert (work / "reports" / ".gitignore").read_text() == "*\n"
    assert not (work / ".gitignore").exists()


def test_the_csv_has_the_header_of_the_contract_and_minimal_quotes(tmp_path: Path) -> None:
    entry = Entry(2, "created", message='said "no", twice', http_status=201, attempts=1, latency_ms=12.0)
    with workspace_of(
        ["", "invalid"], [entry], {"note": "#1"}, fingerprint=[None, None], id=[None, None]
    ) as workspace:
        write_results(workspace.db, tmp_path, ["csv"], workspace.kept)
    assert (tmp_path / "results.csv").read_bytes().split(b"\n") == [
        f"{HEADER},note".encode(),
        b'2,,raven,created,,,"said ""no"", twice",,201,1,,,,,,,12,,,,,#1',
        b"3,,raven,invalid,,,,,,0,,,,,,,,,,,,#1",
        b"",
    ]


def test_numbers_and_missing_values_keep_their_type(tmp_path: Path) -> None:
    entry = Entry(2, "created", http_status=201, attempts=1, latency_ms=12.34)
    write(tmp_path, "", "", entries=(entry,))
    frame = pd.read_parquet(tmp_path / "results.parquet", dtype_backend="numpy_nullable")
    assert frame["httpStatus"].tolist() == [201, pd.NA]
    assert frame["latencyMs"][0] == 12.3
    first, second = (json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines())
    assert (first["httpStatus"], second["httpStatus"], second["latencyMs"]) == (201, None, None)
    assert (first["attempts"], second["attempts"], second["message"]) == (1, 0, "")
    with workspace_of(["", ""], [entry], {"status": "x"}) as workspace:
        frame = table(workspace.db, workspace.kept)
    assert frame.columns.tolist() == [*COLUMNS, "status (input)"]
    assert frame["httpStatus"].tolist() == [201, pd.NA]
    assert frame.dtypes[["row", "attempts", "message", "latencyMs"]].tolist() == [
        "int64",
        "int64",
        "str",
        "float64",
    ]


def test_a_kept_header_that_repeats_another_is_renamed() -> None:
    assert results.headers(["status", "status (input)", "Status", "a"]) == [
        "status (input)", "status (input) (input)", "Status", "a",
    ]  # fmt: skip
    assert results.headers(["Status", "A", "a"], str.casefold) == ["Status (input)", "A", "a (input)"]


def test_the_plan_names_its_leaf_and_owner(tmp_path: Path) -> None:
    entry = Entry(2, "would_replace", credential_id="c-1", credential_created="t")
    with workspace_of(["invalid"], [entry], id=[None], leaf_user_id="x", fingerprint=[None]) as workspace:
        path = write_plan(workspace.db, tmp_path / "plan.csv", "https://it's", "me")
    assert path.read_text().splitlines() == [
        "row,leaf,apiOwner,leafUserId,provider,action,code,message,fingerprint,credentialId,createdTime",
        "2,https://it's,me,x,raven,would_replace,,,,c-1,t",
    ]


# --- harmless ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@sum", "  =1", '"=1', "'=1", "＝1", "＋1", "－1", "＠a", " '\" -2", "\ufeff=1"],
)
def test_formulas_are_escaped(tmp_path: Path, text: str) -> None:
    assert note(tmp_path, text) == f"'{text}"


def test_formulas_in_headers_are_escaped(tmp_path: Path) -> None:
    with workspace_of([""], kept={"=cmd()": "x", 'a,"b"': "y"}) as workspace:
        write_results(workspace.db, tmp_path, ["csv"], workspace.kept)
    assert list(cells(tmp_path / "results.csv")[0])[-2:] == ["'=cmd()", 'a,"b"']


def test_control_characters_become_spaces(tmp_path: Path) -> None:
    write(tmp_path, "a\x1b[31mred\x1b[0m\x07b\x85c\u202ed")
    wanted = "a red  b c d"
    assert cells(tmp_path / "results.csv")[0]["note"] == wanted
    assert pd.read_parquet(tmp_path / "results.parquet")["note"][0] == wanted
    assert json.loads((tmp_path / "results.jsonl").read_text())["note"] == wanted


def test_kept_cells_keep_line_breaks(tmp_path: Path) -> None:
    write(tmp_path, "first\r\nsecond", entries=(Entry(2, "failed", message="one\ntwo"),))
    line = cells(tmp_path / "results.csv")[0]
    assert (line["note"], line["message"]) == ("first\nsecond", "one two")
    assert b'"first\nsecond"' in (tmp_path / "results.csv").read_bytes()
    assert pd.read_parquet(tmp_path / "results.parquet")["note"][0] == "first\nsecond"
    assert json.loads((tmp_path / "results.jsonl").read_text())["note"] == "first\nsecond"


texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.text(
    "=+-@\t\r\n\"', a＝＋－＠\x1b[1m", max_size=8
)


@given(st.lists(texts, min_size=1, max_size=8))
@settings(max_examples=scaled(20), deadline=None)
def test_no_cell_of_the_csv_is_a_formula(tmp_path_factory: Any, notes: list[str]) -> None:
    folder = tmp_path_factory.mktemp("f")
    write(folder, *notes, formats=("csv",))
    for line in cells(folder / "results.csv"):
        for cell in line.values():
            assert not cell.lstrip(' \n"').startswith(tuple("=+-@＝＋－＠\t\r"))
            assert not any(ord(sign) < 32 and sign != "\n" for sign in cell)


plain = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=3)
inner = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"], include_characters="\n"))


@given(st.lists(st.builds(lambda head, tail: head + tail, plain, inner), min_size=1, max_size=20))
@settings(max_examples=scaled(20), deadline=None)
def test_written_files_read_back_unchanged(tmp_path_factory: Any, notes: list[str]) -> None:
    folder = tmp_path_factory.mktemp("f")
    write(folder, *notes)
    read = cells(folder / "results.csv")
    numbers = list(range(2, 2 + len(notes)))
    assert [int(line["row"]) for line in read] == numbers
    assert [line["note"] for line in read] == notes
    frame = pd.read_csv(folder / "results.csv", dtype="str", keep_default_na=False, lineterminator="\n")
    assert frame["note"].tolist() == notes
    stored = pd.read_parquet(folder / "results.parquet")
    assert (stored["row"].tolist(), stored["note"].tolist()) == (numbers, notes)
    lines = (folder / "results.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert [json.loads(line)["note"] for line in lines] == notes


# --- whole or absent, for nobody else ---------------------------------------------------------------


def test_files_and_new_folders_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "run"
    files = [*write(folder, "a"), write_json(folder / "summary.json", {"a": 1})]
    assert {mode(file) for file in files} == {0o600}
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    write_json(tmp_path / "summary.json", {})
    assert mode(tmp_path) == 0o755


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """No file can grow beyond so many bytes, as on a disk that fills up."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("name", FORMATS)
def test_a_failed_write_is_one_line_and_keeps_the_old_files(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "20261123T154500Z-growers"
    write(folder, "old")
    before = {file: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(OutputError) as caught, small_files(20_000):
        write(folder, *(os.urandom(60).hex() for _ in range(500)), formats=(name,))
    message = str(caught.value)
    assert f"results.{name}" in message
    assert os.strerror(EFBIG) in message
    assert "`bulk-onboard report 20261123T154500Z-growers` writes it again" in message
    assert "\n" not in message
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_a_full_disk_leaves_none_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write(tmp_path, "a")
    with pytest.raises(OutputError, match=r"summary\.json"):
        write_json(tmp_path / "summary.json", {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file, not a folder")
    with pytest.raises(OutputError, match=r"results\.csv"):
        write(tmp_path / "reports" / "run", "a")


# --- the small files --------------------------------------------------------------------------------


def test_json_is_written_unchanged(tmp_path: Path) -> None:
    content = {"input": "Höfe\x1b[1m.csv", "rows": 3, "stopReason": None}
    path = write_json(tmp_path / "new" / "summary.json", content)
    assert json.loads(path.read_text()) == content
    assert list(json.loads(path.read_text())) == list(content)
    assert b"\x1b" not in path.read_bytes()
    assert path.read_bytes().endswith(b"}\n")


def test_problems_are_written_as_csv(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "row": [2, 9],
            "status": ["invalid", "duplicate"],
            "code": ["missing-refreshToken", "duplicate"],
            "column": ["Refresh token", "=cmd()"],
            "message": ["no\nvalue", "repeats row 2"],
        }
    )
    path = write_problems(tmp_path / "validate-growers" / "problems.csv", table)
    assert mode(path) == 0o600
    assert path.read_text() == (
        "row,status,code,column,message\n"
        "2,invalid,missing-refreshToken,Refresh token,no value\n"
        "9,duplicate,duplicate,'=cmd(),repeats row 2\n"
    )


def test_unwritable_problems_name_the_command_that_repeats_them(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    with pytest.raises(OutputError, match="`bulk-onboard validate` writes it again"):
        write_problems(tmp_path / "reports" / "problems.csv", pd.DataFrame(columns=["row"]))
