import json

from bulk_onboard.domain.input_description import InputDescription, SheetStart, SkippedLine, describe

FOUND = InputDescription(
    "growers.csv",
    "CSV",
    files=2,
    encoding="Windows-1252",
    encoding_guessed=True,
    delimiter="semicolon",
    header_row=3,
    columns={"leafUserId": "leafUserId", "refreshToken": "Raven token"},
    path_columns=("provider",),
    skipped_lines=tuple(SkippedLine(row, "a total") for row in range(7, 14)),
    hidden_rows=(7,),
    sheet_starts=(SheetStart(2, "North"), SheetStart(9, "South")),
    struck_rows=(8, 9),
    notes=("A note.",),
)


def test_the_description_survives_json() -> None:
    assert InputDescription.from_json(json.loads(json.dumps(FOUND.as_json()))) == FOUND


def test_a_description_without_some_keys_is_read() -> None:
    assert InputDescription.from_json({"name": "a.csv", "fileType": "CSV", "later": 1}).name == "a.csv"


def test_only_what_applies_is_shown() -> None:
    assert dict(describe(FOUND)) == {
        "File type": "CSV, 2 files, Windows-1252 (guessed), delimiter semicolon",
        "Header": "row 3",
        "Columns": "leafUserId, refreshToken from 'Raven token'",
        "From the path": "provider",
        "Skipped": "rows 7 to 13 (a total)",
        "Hidden": "1 row (row 7); a run needs --hidden include or skip",
        "Rows": "North from row 2, South from row 9",
        "Struck": "2 rows (rows 8, 9) struck through; delete rows that must not be sent",
        "Note": "A note.",
    }
    assert describe(InputDescription("a", "DataFrame")) == [("File type", "DataFrame")]
