"""How a file is read is shown before anything is sent, and everywhere afterwards."""

import json
from pathlib import Path

from tests.support.cli import Desk, growers, newest

EXPECTED = {
    "name": "growers.csv",
    "fileType": "CSV",
    "files": 1,
    "encoding": "UTF-8",
    "encodingGuessed": False,
    "delimiter": "semicolon",
    "headerRow": 2,
    "columns": {"leafUserId": "leafUserId", "refreshToken": "Raven token"},
}
LINES = (
    "  File type: CSV, UTF-8, delimiter semicolon\n"
    "  Header:    row 2\n"
    "  Columns:   leafUserId, refreshToken from 'Raven token'\n"
)
OPTIONS = ("--map", "refreshToken=Raven token", "--sandbox", "--no-events", "--format", "csv,html")


def test_how_a_file_is_read_is_shown_before_and_after(desk: Desk) -> None:
    rows = "".join(f"{grower};{token}\n" for grower, token in growers(2))
    Path("growers.csv").write_text("Report of November\nleafUserId;Raven token\n" + rows)

    checked = desk("validate", "growers.csv", *OPTIONS[:2])
    assert LINES in checked.out
    as_json = json.loads(desk("validate", "growers.csv", *OPTIONS[:2], "--json").out)
    assert as_json["input"].items() >= EXPECTED.items()

    ran = desk.run("growers.csv", *OPTIONS)
    assert ran.code == 0, ran.err
    assert ran.err.index(LINES) < ran.err.index("About to store")
    assert ran.summary["input"].items() >= EXPECTED.items()
    page = ran.folder / "report.html"
    assert "refreshToken from &#39;Raven token&#39;" in page.read_text()

    before = {path.name: path.read_bytes() for path in ran.folder.iterdir()}
    page.unlink()
    (ran.folder / "summary.json").unlink()
    assert desk("report", ran.folder.name).code == 0
    assert {path.name: path.read_bytes() for path in newest().iterdir()} == before


def test_inputs_of_one_name_have_their_problems_in_different_places(desk: Desk) -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "growers.csv").write_text(f"leafUserId,refreshToken\n{folder}-is-no-id,rt-aaabbb\n")
    for file in ("a/growers.csv", "b/growers.csv", "a/growers.csv", str(Path("b/growers.csv").absolute())):
        assert desk("validate", file).code == 1
    found = {path.parent.name: path.read_text() for path in Path("reports").glob("*/problems.csv")}
    assert set(found) == {"validate-growers", "validate-growers-2"}
    assert all(text.count("bad-leaf-user-id") == 1 for text in found.values())
    told = json.loads(desk("validate", "b/growers.csv", "--json").out)
    assert Path(told["file"]) == Path("reports/validate-growers-2/problems.csv")


def test_findings_are_shown_where_nothing_can_be_written(desk: Desk) -> None:
    Path("growers.csv").write_text("leafUserId,refreshToken\nno-id,rt-aaabbb\n")
    Path("reports").write_text("a file, in which there is no place for another")
    checked = desk("validate", "growers.csv", "--fix", "fixed.csv")
    assert (checked.code, "bad-leaf-user-id" in checked.out) == (1, True)
    assert "Note: reports/validate-growers/problems.csv cannot be written" in checked.out.replace("\n", " ")
    assert Path("fixed.csv").is_file()
    assert json.loads(desk("validate", "growers.csv", "--json").out)["file"] is None
