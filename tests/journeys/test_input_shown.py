"""How a file is read is shown before anything is sent, and everywhere afterwards."""

import json
from pathlib import Path

from .support import Desk, growers, newest

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
OPTIONS = ("--map", "refreshToken=Raven token", "--sandbox", "--no-events")


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
